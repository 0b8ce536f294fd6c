package github_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

const callback = "http://127.0.0.1:1/auth/github/callback"

// leadsTo asks for a page and says where it leads to.
func (b *bench) leadsTo(address string) (int, *url.URL) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	check(b.t, err)
	resp, err := http.DefaultTransport.RoundTrip(req)
	check(b.t, err)
	defer resp.Body.Close()
	where, err := url.Parse(resp.Header.Get("Location"))
	check(b.t, err)
	return resp.StatusCode, where
}

func (b *bench) authorizeURL(verifier string) string {
	flow := oauth2.Config{ClientID: b.ClientID(), RedirectURL: callback, Endpoint: oauth2.Endpoint{AuthURL: b.URL() + "/login/oauth/authorize"}}
	return flow.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier))
}

// code signs somebody in.
func (b *bench) code(login, verifier string) string {
	b.t.Helper()
	status, where := b.leadsTo(b.authorizeURL(verifier) + "&as=" + login)
	if status != http.StatusFound || where.Query().Get("state") != "state" || where.Query().Get("code") == "" {
		b.t.Fatalf("%d to %s", status, where)
	}
	return where.Query().Get("code")
}

// exchange asks for a token with a form, and gives the answer's fields.
func (b *bench) exchange(form map[string]string) (int, url.Values) {
	b.t.Helper()
	values := url.Values{}
	for key, value := range form {
		values.Set(key, value)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.URL()+"/login/oauth/access_token", strings.NewReader(values.Encode()))
	check(b.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body := fetch(b.t, req)
	if values, err = url.ParseQuery(body); err != nil {
		values = url.Values{}
	}
	return status, values
}

func (b *bench) whoami(token string) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.APIURL()+"/user", nil)
	check(b.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	return fetch(b.t, req)
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.SetCallback(callback)
	verifier := oauth2.GenerateVerifier()
	if status, page := get(t, b.authorizeURL(verifier)); status != http.StatusOK || !strings.Contains(page, ">octo-dev</a>") || strings.Contains(page, ">acme</a>") {
		t.Errorf("%d: %s", status, page)
	}
	status, given := b.exchange(map[string]string{"client_id": b.ClientID(), "client_secret": b.ClientSecret(), "code": b.code("octo-dev", verifier),
		"code_verifier": verifier, "redirect_uri": callback})
	if status != http.StatusOK || given.Get("token_type") != "bearer" || given.Get("expires_in") != "28800" {
		t.Fatalf("%d: %v", status, given)
	}
	if status, body := b.whoami(given.Get("access_token")); status != http.StatusOK || !strings.Contains(body, `"login":"octo-dev"`) {
		t.Errorf("%d: %s", status, body)
	}
	if status, _ := b.whoami("ghu_made-up"); status != http.StatusUnauthorized {
		t.Errorf("a made-up token: %d", status)
	}
	if status, where := b.leadsTo(b.authorizeURL(verifier) + "&as=-"); status != http.StatusFound || where.Query().Get("error") != "access_denied" {
		t.Errorf("declined: %d to %s", status, where)
	}
}

// A code works once, within its time, for whoever has secret and verifier.
func TestCodeIsRefused(t *testing.T) {
	t.Parallel()
	var late atomic.Int64
	b := setup(t, func(c *github.Config) {
		c.Clock = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	})
	b.SetCallback(callback)
	verifier := oauth2.GenerateVerifier()
	used := b.code("octo-dev", verifier)
	form := func(code string, change ...string) map[string]string {
		f := map[string]string{"client_id": b.ClientID(), "client_secret": b.ClientSecret(), "code": code, "code_verifier": verifier, "redirect_uri": callback}
		for i := 0; i < len(change); i += 2 {
			f[change[i]] = change[i+1]
		}
		return f
	}
	b.exchange(form(used))
	tests := []struct {
		name, want string
		form       map[string]string
	}{
		{"used", "bad_verification_code", form(used)},
		{"made up", "bad_verification_code", form("0123456789abcdef0123")},
		{"another verifier", "bad_verification_code", form(b.code("octo-dev", verifier), "code_verifier", oauth2.GenerateVerifier())},
		{"no verifier", "bad_verification_code", form(b.code("octo-dev", verifier), "code_verifier", "")},
		{"another secret", "incorrect_client_credentials", form(b.code("octo-dev", verifier), "client_secret", "x")},
		{"another callback", "redirect_uri_mismatch", form(b.code("octo-dev", verifier), "redirect_uri", "http://127.0.0.1:2/")},
	}
	for _, tt := range tests {
		status, given := b.exchange(tt.form)
		if status != http.StatusOK || given.Get("error") != tt.want || given.Has("access_token") {
			t.Errorf("%s: %d %v", tt.name, status, given)
		}
	}
	expired := b.code("octo-dev", verifier)
	late.Store(int64(11 * time.Minute))
	if _, given := b.exchange(form(expired)); given.Get("error") != "bad_verification_code" {
		t.Errorf("too late: %v", given)
	}
	for name, address := range map[string]string{
		"another App":      strings.Replace(b.authorizeURL(verifier), b.ClientID(), "Iv23other", 1),
		"another callback": strings.Replace(b.authorizeURL(verifier), url.QueryEscape(callback), url.QueryEscape("https://evil.example/"), 1),
		"a plain verifier": strings.Replace(b.authorizeURL(verifier), "S256", "plain", 1),
	} {
		if status, where := b.leadsTo(address + "&as=octo-dev"); status < http.StatusBadRequest || where.String() != "" {
			t.Errorf("%s: %d to %s", name, status, where)
		}
	}
}
