package setup_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/secretbox"
	"github.com/flaresmith/flaresmith/app/setup"
	"github.com/flaresmith/flaresmith/app/sim/github"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

func masterKey(n byte) string {
	key := bytes.Repeat([]byte{n}, 32)
	key[0] = 0
	return base64.StdEncoding.EncodeToString(key)
}

// flaky is a store that can be told to fail.
type flaky struct {
	*store.Store
	down atomic.Bool
}

func (f *flaky) KeepGitHubApp(ctx context.Context, a store.GitHubApp) error {
	if f.down.Load() {
		return errors.New("the database is down")
	}
	return f.Store.KeepGitHubApp(ctx, a)
}

// bench is a setup at one address, with a stand-in GitHub.
type bench struct {
	*setup.Setup
	t      *testing.T
	github *github.Server
	store  *flaky
	log    bytes.Buffer
	url    string
}

func newBench(t *testing.T, transport http.RoundTripper) *bench {
	t.Helper()
	b := &bench{t: t, store: &flaky{Store: storetest.New(t)}}
	var err error
	if b.github, err = github.New(github.Config{Dir: t.TempDir(), AppID: 7, Validate: true}); err != nil {
		t.Fatal(err)
	}
	if err := b.github.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = b.github.Close()
		if v := b.github.Violations(); len(v) > 0 {
			t.Errorf("GitHub's description: %v", v)
		}
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	b.url = server.URL
	box, err := secretbox.New(masterKey(1))
	if err != nil {
		t.Fatal(err)
	}
	if transport == nil {
		transport = http.DefaultTransport
	}
	b.Setup, err = setup.New(setup.Config{
		PublicURL: server.URL, GitHubURL: b.github.URL(), APIURL: b.github.APIURL() + "/", HookPath: "/api/github/hook", SignInPath: "/auth/github/callback",
		Permissions: map[string]string{"checks": "write", "contents": "read", "metadata": "read"}, Events: []string{"check_run", "push"},
		AllowedOwners: []string{"acme"}, Keeper: &setup.Keeper{Store: b.store, Box: box}, Transport: transport, Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// browser keeps cookies and follows nothing.
func (b *bench) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type page struct {
	status   int
	text     string
	location string
	policy   string
}

func (b *bench) read(resp *http.Response, err error) page {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{resp.StatusCode, string(body), resp.Header.Get("Location"), resp.Header.Get("Content-Security-Policy")}
}

func (b *bench) get(c *http.Client, address string) page {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.read(c.Do(req))
}

func (b *bench) post(c *http.Client, address string, form url.Values) page {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.read(c.Do(req))
}

func (b *bench) token() string {
	u, err := url.Parse(b.Link())
	if err != nil {
		b.t.Fatal(err)
	}
	return u.Query().Get("token")
}

var (
	actionPattern   = regexp.MustCompile(`<form method="post" action="([^"]+)"`)
	manifestPattern = regexp.MustCompile(`name="manifest" value="([^"]+)"`)
	createPattern   = regexp.MustCompile(`href="(/_apps/[^"]+)"`)
)

// atGitHub opens the form, sends the manifest to GitHub and creates the App; it gives the address that GitHub leads back to.
func (b *bench) atGitHub(c *http.Client, owner string) string {
	b.t.Helper()
	asked := b.post(c, b.url+"/setup", url.Values{"token": {b.token()}, "owner": {owner}})
	if asked.status != http.StatusOK {
		b.t.Fatalf("form: %d\n%s", asked.status, asked.text)
	}
	if !strings.Contains(asked.policy, "form-action 'self' "+b.github.URL()+";") {
		b.t.Errorf("policy %s", asked.policy)
	}
	action, manifest := html.UnescapeString(actionPattern.FindStringSubmatch(asked.text)[1]), html.UnescapeString(manifestPattern.FindStringSubmatch(asked.text)[1])
	shown := b.post(b.browser(), action, url.Values{"manifest": {manifest}})
	create := createPattern.FindStringSubmatch(shown.text)
	if create == nil {
		b.t.Fatalf("GitHub: %d %s", shown.status, shown.text)
	}
	return b.get(b.browser(), b.github.URL()+create[1]).location
}

func (b *bench) finished(within time.Duration) (setup.App, bool) {
	ctx, cancel := context.WithTimeout(b.t.Context(), within)
	defer cancel()
	app, err := b.Wait(ctx)
	return app, err == nil
}

func TestSetup(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	me := b.browser()
	if got := b.get(me, b.url+"/anything"); got.status != http.StatusServiceUnavailable {
		t.Errorf("before: %d", got.status)
	}
	link := b.Link()
	for range 2 { // looking at it spends nothing
		if got := b.get(me, link); got.status != http.StatusOK || !strings.Contains(got.text, "can&#39;t reach that address") {
			t.Fatalf("%d\n%s", got.status, got.text)
		}
	}
	if got := b.post(me, b.url+"/setup", url.Values{"token": {b.token()}, "owner": {"../x"}}); got.status != http.StatusBadRequest || !strings.Contains(got.text, "no account") {
		t.Errorf("wrong owner: %d\n%s", got.status, got.text)
	}
	back := b.atGitHub(me, "acme")
	if _, done := b.finished(50 * time.Millisecond); done {
		t.Error("done too early")
	}
	got := b.get(me, back)
	if got.status != http.StatusOK || !strings.Contains(got.text, b.github.URL()+"/apps/flaresmith/installations/new") {
		t.Fatalf("%d\n%s", got.status, got.text)
	}
	app, done := b.finished(time.Minute)
	if !done || app.ID != 7 || app.Slug != "flaresmith" || app.ClientID != b.github.ClientID() ||
		app.ClientSecret.Reveal() != b.github.ClientSecret() || app.PrivateKey.Reveal() != string(b.github.AppKeyPEM()) || app.WebhookSecret == "" {
		t.Errorf("%v %+v", done, app)
	}
	for name, secret := range map[string]string{"key": app.PrivateKey.Reveal(), "webhook": app.WebhookSecret.Reveal(), "client": app.ClientSecret.Reveal()} {
		if strings.Contains(got.text, secret) || strings.Contains(b.log.String(), secret) {
			t.Errorf("%s secret is shown", name)
		}
		var kept string
		if err := b.store.Pool().QueryRow(t.Context(), `SELECT github_app::text || encode(sealed, 'escape') FROM github_app`).Scan(&kept); err != nil || strings.Contains(kept, secret) {
			t.Errorf("%s secret is stored as it is: %v", name, err)
		}
	}
	for _, address := range []string{link, b.url + "/setup", back} {
		if got := b.get(me, address); got.status != http.StatusForbidden {
			t.Errorf("afterwards %s: %d", address, got.status)
		}
	}
	kept, err := b.Keeper.App(t.Context())
	app.PageURL = ""
	if diff := cmp.Diff(app, kept); err != nil || diff != "" {
		t.Errorf("kept: %v %s", err, diff)
	}
}

func TestSetupAttacks(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	me, other := b.browser(), b.browser()
	token := b.token()
	for name, form := range map[string]url.Values{"no token": {}, "wrong token": {"token": {token[1:]}}, "empty token": {"token": {""}}} {
		if got := b.post(other, b.url+"/setup", form); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := b.post(other, b.url+"/setup", url.Values{"token": {token}, "owner": {strings.Repeat("x", 5000)}}); got.status != http.StatusBadRequest {
		t.Errorf("too long: %d", got.status)
	}
	back := b.atGitHub(me, "acme")
	at, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	with := func(key, value string) string {
		changed := *at
		q := changed.Query()
		q.Set(key, value)
		changed.RawQuery = q.Encode()
		return changed.String()
	}
	if got := b.post(other, b.url+"/setup", url.Values{"token": {token}}); got.status != http.StatusForbidden {
		t.Errorf("spent token: %d", got.status)
	}
	for name, address := range map[string]string{"another browser": back, "another state": with("state", "x")} {
		who := other
		if name == "another state" {
			who = me
		}
		if got := b.get(who, address); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	// A code that somebody else got: the state is spent, and nothing is created.
	if got := b.get(me, with("code", "../../app")); got.status != http.StatusBadRequest {
		t.Errorf("code that is none: %d", got.status)
	}
	if got := b.get(me, back); got.status != http.StatusForbidden {
		t.Errorf("state for the second time: %d", got.status)
	}
	if got := b.get(me, b.url+"/setup"); got.status != http.StatusOK { // the session goes on
		t.Errorf("begin again: %d", got.status)
	}
	again, err := url.Parse(b.atGitHub(me, ""))
	if err != nil {
		t.Fatal(err)
	}
	q := again.Query()
	q.Set("code", "unknown")
	again.RawQuery = q.Encode()
	if got := b.get(me, again.String()); got.status != http.StatusBadGateway || strings.Contains(got.text, "unknown") || !strings.Contains(got.text, "404") {
		t.Errorf("unknown code: %d\n%s", got.status, got.text)
	}
	if _, err := b.Keeper.App(t.Context()); !errors.Is(err, preview.ErrNotFound) {
		t.Errorf("kept: %v", err)
	}
	if log := b.log.String(); strings.Contains(log, token) || strings.Contains(log, at.Query().Get("state")) {
		t.Errorf("logged:\n%s", log)
	}
}

// TestSetupDatabaseDown: what GitHub gave is given once, so it is held until it can be stored.
func TestSetupDatabaseDown(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	me := b.browser()
	back := b.atGitHub(me, "acme")
	b.store.down.Store(true)
	if got := b.get(me, back); got.status != http.StatusServiceUnavailable || !strings.Contains(got.text, "do not end the server") {
		t.Fatalf("%d\n%s", got.status, got.text)
	}
	if got := b.get(me, back); got.status != http.StatusServiceUnavailable { // as the page does by itself
		t.Fatalf("again: %d\n%s", got.status, got.text)
	}
	b.store.down.Store(false)
	if got := b.get(me, back); got.status != http.StatusOK || !strings.Contains(got.text, "The App is there") {
		t.Fatalf("%d\n%s", got.status, got.text)
	}
	if app, done := b.finished(time.Minute); !done || app.ID != 7 {
		t.Errorf("%v %+v", done, app)
	}
}

// TestSetupElsewhere: a replica that waits goes on when another one was set up, and the later App is refused.
func TestSetupElsewhere(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	me := b.browser()
	back := b.atGitHub(me, "acme")
	first := setup.App{ID: 8, Slug: "first", ClientID: "c", PrivateKey: "k", WebhookSecret: "w", ClientSecret: "s"}
	if err := b.Keeper.Keep(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if got := b.get(me, back); got.status != http.StatusConflict {
		t.Errorf("%d\n%s", got.status, got.text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	app, err := b.Wait(ctx)
	if diff := cmp.Diff(first, app); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

type broken func(*http.Request) (*http.Response, error)

func (f broken) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestGitHubFails(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) broken {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}
	}
	incomplete, err := json.Marshal(map[string]any{"id": 1, "pem": "secret-of-github"})
	if err != nil {
		t.Fatal(err)
	}
	for name, transport := range map[string]broken{
		"503": answer(http.StatusServiceUnavailable, `{"message":"secret-of-github"}`), "garbage": answer(http.StatusCreated, "secret-of-github"),
		"half an answer": answer(http.StatusCreated, string(incomplete)), "redirect": answer(http.StatusFound, ""),
		"no connection": func(*http.Request) (*http.Response, error) { return nil, errors.New("secret-of-github") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, transport)
			me := b.browser()
			if got := b.get(me, b.atGitHub(me, "acme")); got.status != http.StatusBadGateway || strings.Contains(got.text+b.log.String(), "secret-of-github") {
				t.Errorf("%d\n%s\n%s", got.status, got.text, b.log.String())
			}
			if _, err := b.Keeper.App(t.Context()); !errors.Is(err, preview.ErrNotFound) {
				t.Errorf("kept: %v", err)
			}
		})
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	keeper := func(keys ...string) *setup.Keeper {
		box, err := secretbox.New(strings.Join(keys, ","))
		if err != nil {
			t.Fatal(err)
		}
		return &setup.Keeper{Store: s, Box: box}
	}
	first, second := masterKey(1), masterKey(2)
	if changed, err := keeper(first).Rotate(t.Context()); changed || err != nil {
		t.Errorf("nothing kept: %v %v", changed, err)
	}
	app := setup.App{ID: 8, Slug: "first", ClientID: "c", PrivateKey: "k", WebhookSecret: "w", ClientSecret: "s"}
	if err := keeper(first).Keep(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if _, err := keeper(second).App(t.Context()); err == nil || !strings.Contains(err.Error(), "MASTER_ENC_KEY") {
		t.Errorf("the new key alone: %v", err)
	}
	if changed, err := keeper(second).Rotate(t.Context()); changed || err == nil || !strings.Contains(err.Error(), "put the old key behind the new one in MASTER_ENC_KEY") {
		t.Errorf("rotate without the old key: %v %v", changed, err)
	}
	for _, want := range []bool{true, false} {
		if changed, err := keeper(second, first).Rotate(t.Context()); changed != want || err != nil {
			t.Errorf("rotate: %v %v", changed, err)
		}
	}
	if got, err := keeper(second).App(t.Context()); err != nil || got != app {
		t.Errorf("afterwards: %+v %v", got, err)
	}
	if _, err := keeper(first).App(t.Context()); err == nil {
		t.Error("the old key still opens it")
	}
}
