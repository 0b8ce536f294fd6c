package github

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// testKey makes one key for all tests: it takes a while.
var testKey = sync.OnceValue(func() preview.Secret {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return preview.Secret(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

// fake is an API that hands out tokens and answers everything else with one handler.
func fake(t *testing.T, tokens http.HandlerFunc, rest http.HandlerFunc) *App {
	t.Helper()
	if tokens == nil {
		tokens = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"token":"ghs_secret","expires_at":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339))
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v3/app/installations/{id}/access_tokens", tokens)
	mux.HandleFunc("/", rest)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	app, err := New(Config{AppID: 1, PrivateKey: testKey(), APIURL: server.URL + "/api/v3/"})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

var project = preview.Project{ID: "p", InstallationID: 5, RepoID: 6, Owner: "acme", Name: "shop"}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	key := testKey()
	tests := []struct {
		name   string
		config Config
	}{
		{"no id", Config{PrivateKey: key}},
		{"no key", Config{AppID: 1}},
		{"not a key", Config{AppID: 1, PrivateKey: "-----BEGIN hunter2-----"}},
		{"relative address", Config{AppID: 1, PrivateKey: key, APIURL: "api.github.com"}},
		{"another scheme", Config{AppID: 1, PrivateKey: key, APIURL: "file:///etc"}},
		{"user in the address", Config{AppID: 1, PrivateKey: key, APIURL: "https://a:hunter2@ghe.example/"}},
	}
	for _, test := range tests {
		if _, err := New(test.config); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	app, err := New(Config{AppID: 1, PrivateKey: key})
	if err != nil || app.api.String() != "https://api.github.com/" {
		t.Errorf("default: %v, %v", app.api, err)
	}
}

func TestErrorClasses(t *testing.T) {
	t.Parallel()
	reset := fmt.Sprint(time.Now().Add(10 * time.Minute).Unix())
	tests := []struct {
		name     string
		status   int
		header   map[string]string
		body     string
		class    preview.Class
		atLeast  time.Duration
		contains string
	}{
		{name: "not found", status: 404, class: preview.ClassNotFound},
		{name: "server error", status: 502, body: "<html>secret page</html>", class: preview.ClassTransient},
		{name: "server error with a time", status: 503, header: map[string]string{"Retry-After": "30"}, class: preview.ClassTransient, atLeast: 30 * time.Second},
		{name: "server error with a date", status: 503, header: map[string]string{"Retry-After": time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat)},
			class: preview.ClassTransient, atLeast: 10 * time.Minute},
		{name: "too many requests", status: 429, header: map[string]string{"Retry-After": "7"}, class: preview.ClassTransient, atLeast: 7 * time.Second},
		{name: "too many requests without a time", status: 429, class: preview.ClassTransient, atLeast: time.Minute},
		{name: "primary limit", status: 403, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, class: preview.ClassTransient, atLeast: 9 * time.Minute},
		{name: "primary limit as 429", status: 429, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}, class: preview.ClassTransient, atLeast: 9 * time.Minute},
		{name: "secondary limit", status: 403, header: map[string]string{"Retry-After": "90"},
			body:  `{"message":"secondary","documentation_url":"https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`,
			class: preview.ClassTransient, atLeast: 85 * time.Second},
		{name: "endless limit", status: 429, header: map[string]string{"Retry-After": "99999999"}, class: preview.ClassTransient, atLeast: time.Hour},
		{name: "forbidden", status: 403, body: `{"message":"Resource not accessible by integration"}`, class: preview.ClassPermanent, contains: "Resource not accessible"},
		{name: "not processable", status: 422, body: `{"message":"Validation Failed","errors":[{"resource":"CheckRun","field":"head_sha","code":"invalid"}]}`,
			class: preview.ClassPermanent, contains: "Validation Failed; CheckRun head_sha invalid"},
		{name: "a proxy's page", status: 200, body: "<html>", class: preview.ClassTransient},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			app := fake(t, nil, func(w http.ResponseWriter, _ *http.Request) {
				for key, value := range test.header {
					w.Header().Set(key, value)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			_, err := app.PullRequest(t.Context(), project, 1)
			if got := preview.Classify(err); err == nil || got != test.class {
				t.Fatalf("%s: %v", got, err)
			}
			var transient *preview.TransientError
			if errors.As(err, &transient) && (transient.After < test.atLeast || transient.After > time.Hour) {
				t.Errorf("after %s, at least %s", transient.After, test.atLeast)
			}
			if !strings.Contains(err.Error(), test.contains) || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "acme/shop#1") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		gone   bool
		class  preview.Class
	}{
		{"uninstalled", 404, `{"message":"Not Found"}`, true, preview.ClassNotFound},
		{"our key or clock", 401, `{"message":"A JSON web token could not be decoded"}`, false, preview.ClassPermanent},
		{"repository out of reach", 422, `{"message":"There is at least one repository that does not exist or is not accessible to the parent installation."}`, true, preview.ClassNotFound},
		{"permission not granted", 422, `{"message":"The permissions requested are not granted to this installation."}`, false, preview.ClassPermanent},
		{"suspended", 403, `{"message":"This installation has been suspended"}`, false, preview.ClassPermanent},
		{"server error", 500, ``, false, preview.ClassTransient},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			app := fake(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}, func(w http.ResponseWriter, _ *http.Request) { t.Error("called without a token") })
			_, err := app.PullRequest(t.Context(), project, 1)
			if errors.Is(err, preview.ErrGone) != test.gone || preview.Classify(err) != test.class {
				t.Errorf("%s: %v", preview.Classify(err), err)
			}
		})
	}
}

func TestNetworkErrors(t *testing.T) {
	t.Parallel()
	app := fake(t, nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := app.PullRequest(t.Context(), project, 1); preview.Classify(err) != preview.ClassTransient {
		t.Errorf("dropped: %v", err)
	}
	hang := fake(t, nil, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := hang.PullRequest(ctx, project, 1); preview.Classify(err) != preview.ClassTransient {
		t.Errorf("no answer in time: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := hang.PullRequest(ctx, project, 1); !errors.Is(err, context.Canceled) || preview.Classify(err) == preview.ClassTransient {
		t.Errorf("cancelled by the caller: %v", err)
	}
}

// TestTokenStaysHome: the archive's link leads to another host, which must not see the token.
func TestTokenStaysHome(t *testing.T) {
	t.Parallel()
	var seen, asked atomic.Value
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, "archive")
	}))
	defer elsewhere.Close()
	app := fake(t, nil, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Header.Get("Authorization"))
		http.Redirect(w, r, elsewhere.URL+"/x.tar.gz", http.StatusFound)
	})
	body, err := app.Archive(t.Context(), project, strings.Repeat("a", 40))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(body)
	if err != nil || string(text) != "archive" {
		t.Errorf("%q, %v", text, err)
	}
	if diff := cmp.Diff([]any{"token ghs_secret", ""}, []any{asked.Load(), seen.Load()}); diff != "" {
		t.Error(diff)
	}
}

func TestArchiveIsBounded(t *testing.T) {
	t.Parallel()
	body := &archive{body: io.NopCloser(strings.NewReader(strings.Repeat("x", 100))), left: 99, cancel: func() {}}
	if _, err := io.ReadAll(body); preview.Classify(err) != preview.ClassInvalid {
		t.Errorf("%v", err)
	}
}

// TestTokenIsNarrow looks at what is asked for, and that one token serves many calls.
func TestTokenIsNarrow(t *testing.T) {
	t.Parallel()
	var bodies []string
	app := fake(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, strings.TrimSpace(string(body)))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":"ghs_secret","expires_at":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339))
	}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	for range 3 {
		_, _ = app.BranchHead(t.Context(), project, "main")
		_ = app.React(t.Context(), project, 1, "eyes")
	}
	want := []string{
		`{"repository_ids":[6],"permissions":{"contents":"read","metadata":"read","pull_requests":"read"}}`,
		`{"repository_ids":[6],"permissions":{"checks":"write","deployments":"write","metadata":"read","pull_requests":"write"}}`,
	}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Error(diff)
	}
}

// TestReusedName: another repository took the name; its pull request is not ours.
func TestReusedName(t *testing.T) {
	t.Parallel()
	app := fake(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"number":1,"state":"open","base":{"repo":{"id":77}},"head":{"repo":{"id":77}}}`)
	})
	if _, err := app.PullRequest(t.Context(), project, 1); !errors.Is(err, preview.ErrNotFound) {
		t.Error(err)
	}
}

func TestLimitsOfACheck(t *testing.T) {
	t.Parallel()
	check := &report.Check{Conclusion: "failure", Title: strings.Repeat("ä", 300), Summary: strings.Repeat("ä", 70_000), Text: strings.Repeat("x", 70_000),
		Actions:     []report.Action{{Label: strings.Repeat("l", 30), Description: strings.Repeat("d", 50), Identifier: strings.Repeat("i", 30)}, {}, {}, {}},
		Annotations: []preview.Problem{{Path: ""}, {Path: "/abs"}, {Path: "a/../../b"}, {Path: "a\nb"}, {Path: "ok.ts", Column: 4, Message: strings.Repeat("m", 9000)}}}
	out := output(check, nil)
	got := []int{len([]rune(out.GetTitle())), len([]rune(out.GetSummary())), len([]rune(out.GetText())), len(actions(check)),
		len([]rune(actions(check)[0].Label)), len([]rune(actions(check)[0].Description)), len([]rune(actions(check)[0].Identifier))}
	if diff := cmp.Diff([]int{255, 65_535, 65_535, 3, 20, 40, 20}, got); diff != "" {
		t.Error(diff)
	}
	notes := annotations(check)
	if len(notes) != 1 || notes[0].GetPath() != "ok.ts" || notes[0].GetStartLine() != 1 || notes[0].StartColumn != nil || len([]rune(notes[0].GetMessage())) > maxAnnotationText {
		t.Errorf("%+v", notes)
	}
}

func TestRoleOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		roleName, permission string
		want                 preview.Role
	}{
		{"maintain", "write", preview.RoleMaintainer},
		{"triage", "read", preview.RoleViewer},
		{"release-manager", "write", preview.RoleContributor},
		{"", "admin", preview.RoleOwner},
		{"none", "admin", preview.RoleNone},
		{"", "", preview.RoleNone},
	}
	for _, test := range tests {
		if got := roleOf(test.roleName, test.permission); got != test.want {
			t.Errorf("%q, %q: %s, want %s", test.roleName, test.permission, got, test.want)
		}
	}
}

// TestRefusedTokenIsRenewed: GitHub revokes tokens early; a call is tried once more with a new one.
func TestRefusedTokenIsRenewed(t *testing.T) {
	t.Parallel()
	var tokens atomic.Int64
	var bodies []string
	app := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token":"t%d","expires_at":%q}`, tokens.Add(1), time.Now().Add(time.Hour).Format(time.RFC3339))
	}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Header.Get("Authorization")+" "+strings.TrimSpace(string(body)))
		if r.Header.Get("Authorization") == "token t1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"id":1}`)
	})
	for range 2 {
		if err := app.React(t.Context(), project, 1, "eyes"); err != nil {
			t.Error(err)
		}
	}
	want := []string{`token t1 {"content":"eyes"}`, `token t2 {"content":"eyes"}`, `token t2 {"content":"eyes"}`}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Error(diff)
	}
}
