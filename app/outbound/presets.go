package outbound

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// GitHub is GitHub's REST API. Its account is an installation. Secondary limits: 100 calls at once,
// 900 points a minute (a read is 1, a write 5), 80 creations of content a minute and 500 an hour.
func GitHub() Policy {
	return Policy{
		Provider:    "github",
		BodyTimeout: 5 * time.Minute, // archives; shorter answers are bounded by their callers
		Concurrent:  100,
		Limited:     githubLimited,
		Operation:   githubOperation,
		Retry: Retry{Safe: func(r *http.Request) bool { // a token too many is harmless
			return IdempotentMethod(r) || githubToken(r)
		}},
		Budgets: []Budget{
			{Name: "points", Limit: 900, Window: time.Minute, Burst: 300, Cost: githubPoints},
			{Name: "content-minute", Limit: 80, Window: time.Minute, Burst: 40, Cost: githubContent},
			{Name: "content-hour", Limit: 500, Window: time.Hour, Burst: 200, Cost: githubContent},
		},
	}
}

// Neon is Neon's API. Its account is the key's. 700 requests a minute an account and 40 a second a
// route: a bucket of 28 with 672 a minute keeps both. 423 and 503 are safe to repeat; a write that
// timed out, DELETE included, is not.
func Neon() Policy {
	return Policy{
		Provider: "neon",
		Timeout:  20 * time.Second,
		Retry:    Retry{Safe: readMethod, Refused: []int{http.StatusLocked, http.StatusServiceUnavailable}},
		Budgets:  []Budget{{Name: "requests", Limit: 700, Window: time.Minute, Burst: 28}},
	}
}

// Cloudflare is Cloudflare's API. Its account is the user of the token. 1,200 requests in 5 minutes a
// user, then 5 minutes of nothing but 429; 200 a second an address: the bucket of 190 keeps both.
func Cloudflare() Policy {
	return Policy{
		Provider: "cloudflare",
		Timeout:  30 * time.Second, // uploads
		Budgets:  []Budget{{Name: "requests", Limit: 1200, Window: 5 * time.Minute, Burst: 190}},
		Retry:    Retry{Pause: 5 * time.Minute},
	}
}

// Postman is Postman's API. Its account is the key's user. 300 requests a minute. PUT of a
// collection gives new ids to items that have none, so a write is repeated only when it was refused.
func Postman() Policy {
	return Policy{
		Provider: "postman",
		Timeout:  20 * time.Second,
		Retry:    Retry{Safe: readMethod},
		Budgets:  []Budget{{Name: "requests", Limit: 300, Window: time.Minute, Burst: 100}},
	}
}

// githubLimited knows that GitHub limits by 403 as well.
func githubLimited(r *http.Response) bool {
	return tooMany(r) || r.StatusCode == http.StatusForbidden &&
		(r.Header.Get("Retry-After") != "" || r.Header.Get("X-RateLimit-Remaining") == "0")
}

func githubPoints(r *http.Request) int {
	switch {
	case githubStorage(r):
		return 0
	case readMethod(r):
		return 1
	}
	return 5
}

func githubContent(r *http.Request) int {
	if r.Method != http.MethodPost || githubStorage(r) || githubToken(r) || githubSignIn(r) {
		return 0
	}
	return 1
}

// githubStorage is where archives come from: not the API, no limits of the API.
func githubStorage(r *http.Request) bool {
	host := strings.ToLower(r.URL.Hostname())
	return host == "codeload.github.com" || strings.HasSuffix(host, ".githubusercontent.com")
}

func githubToken(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/access_tokens") && strings.Contains(r.URL.Path, "/app/installations/")
}

// githubSignIn is the exchange of a code for a person's token. A code works once, so that it is never repeated.
func githubSignIn(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/login/oauth/access_token"
}

// githubOperation is the method and the last word of the path that is one of GitHub's own: names
// and ids of users never become labels.
func githubOperation(r *http.Request) string {
	words := []string{"access_tokens", "attempts", "branches", "check-runs", "check-suites", "comments", "commits", "compare",
		"contents", "deliveries", "deployments", "files", "git", "installation", "installations", "issues", "labels",
		"permission", "pulls", "refs", "repositories", "reviews", "statuses", "tarball", "trees", "user", "zipball"}
	if githubStorage(r) {
		return method(r) + " archive"
	}
	if githubSignIn(r) {
		return "POST sign-in"
	}
	segments := strings.Split(r.URL.Path, "/")
	for _, segment := range slices.Backward(segments) {
		if slices.Contains(words, segment) {
			return method(r) + " " + segment
		}
	}
	return method(r) + " other"
}
