package server

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

const (
	testRepo   = "acme/shop"
	testSecret = "webhook-secret"
	checkName  = "Flaresmith / Preview"
	patience   = 5 * time.Minute // two full processors and the race detector make more than one of a few seconds
)

// firstID keeps the ids of two worlds apart, and so the names of their previews on one Postgres.
var firstID atomic.Int64

// world is a whole server on a database of its own, the stand-in GitHub, and a cloud in memory.
type world struct {
	t      testing.TB
	cloud  *cloud
	github *github.Server
	server *Server
	stop   func()
	config map[string]string
	log    logLines // all that the server logs, JSON
	local  bool     // the configuration's providers instead of the cloud
	// options are given to the server beside what every world needs.
	options Options
}

func sampleFiles() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		".github/flaresmith.yml": file(""),
		"wrangler.jsonc":         file(`{"name": "shop", "main": "src/index.js", "compatibility_date": "2026-10-01"}`),
		"src/index.js":           file("export default { fetch() { return new Response('one'); } };\n"),
	}
}

// newWorld starts everything; files is the sample repository's content.
func newWorld(t testing.TB, files fstest.MapFS, variables map[string]string) *world {
	t.Helper()
	return newWorldWith(t, files, variables, Options{})
}

func newWorldWith(t testing.TB, files fstest.MapFS, variables map[string]string, options Options) *world {
	t.Helper()
	if options.StandIns.Calls == nil {
		options.StandIns.Calls = patient
	}
	w := &world{t: t, cloud: newCloud(), local: variables["FLARESMITH_WORKERD"] != "" || variables["NEON_API_KEY"] != "", options: options}
	var err error
	if w.github, err = github.New(github.Config{Dir: t.TempDir(), AppID: 7, Validate: true, FirstID: firstID.Add(1_000_000), HookTimeout: patience, Permissions: map[string]string{
		"metadata": "read", "contents": "write", "issues": "read", "checks": "write", "deployments": "write", "pull_requests": "write"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.github.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.github.Close() })
	w.config = map[string]string{
		"DATABASE_URL": embeddedtest.Database(t), "GITHUB_APP_ID": "7", "GITHUB_APP_PRIVATE_KEY": string(w.github.AppKeyPEM()),
		"GITHUB_WEBHOOK_SECRET": testSecret, "GITHUB_API_URL": w.github.APIURL() + "/",
		"GITHUB_CLIENT_ID": w.github.ClientID(), "GITHUB_CLIENT_SECRET": w.github.ClientSecret(),
		"FLARESMITH_ALLOWED_ORGS": "acme", "FLARESMITH_PARENTS": "main=shop",
		"FLARESMITH_LISTEN": "127.0.0.1:0", "FLARESMITH_METRICS_LISTEN": "127.0.0.1:0", "FLARESMITH_DATA_DIR": t.TempDir(),
	}
	for key, value := range variables {
		w.config[key] = value
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	if _, err := w.github.CreateRepo("acme", "shop", files, github.RepoOptions{}); err != nil {
		t.Fatal(err)
	}
	for login, role := range map[string]string{"octo-dev": "write", "octo-lead": "maintain", "octo-guest": "read"} {
		w.github.AddUser(login)
		if err := w.github.SetRole(testRepo, login, role); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.github.Install("acme"); err != nil {
		t.Fatal(err)
	}
	return w
}

// patient is how a server calls that is not asked how long it waits. A busy machine may take longer for an answer, or for its
// database to count a call, than servers wait.
func patient(p *outbound.Policy) { p.Timeout, p.ShareTimeout = time.Minute, time.Minute }

// start runs a server on what is there, as after a restart.
func (w *world) start() {
	w.t.Helper()
	c, err := config.Load(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	logger := slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(testLog{w.t}, &slog.HandlerOptions{Level: slog.LevelWarn}),
		slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	options := w.options
	options.Logger = logger
	if !w.local && options.Providers == nil {
		options.Providers = w.cloud.providers()
	}
	if w.server, err = opened(w.t.Context(), c, options); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.server.Run(ctx) }()
	w.stop = func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				w.t.Errorf("run: %v", err)
			}
			ended <- nil
		case <-time.After(patience):
			w.t.Error("the server did not stop")
		}
	}
	w.github.SetCallback(w.server.links.Callback())
	w.github.SetWebhook(github.Webhook{URL: w.server.URL() + "/api/github/hook", Secret: testSecret})
}

// opened is a new server. A busy machine's database may take longer to let one in than it waits.
func opened(ctx context.Context, c config.Config, options Options) (*Server, error) {
	for tries := 1; ; tries++ {
		s, err := New(ctx, c, options)
		if err == nil || tries == 10 || !strings.Contains(err.Error(), "no answer in time") {
			return s, err
		}
	}
}

// testLog sends the server's log to the test, while it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// logLines is a log that can be read while it is written.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// until polls for a state of the world.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			w.t.Fatalf("waited %s in vain: %s\n%s", patience, what, w.describe())
		case <-tick.C:
		}
	}
}

// settle waits until every delivery is handled and every environment is where it was wanted.
func (w *world) settle() {
	w.t.Helper()
	if err := w.github.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.until("everything is settled", func() bool {
		var busy int
		err := w.server.store.Pool().QueryRow(w.t.Context(), `
			SELECT (SELECT count(*) FROM pr_work WHERE wanted > done) + (SELECT count(*) FROM environments WHERE wanted > observed)
				+ (SELECT count(*) FROM river_job WHERE state IN ('available', 'running', 'retryable', 'pending', 'scheduled'))`).Scan(&busy)
		if err != nil {
			w.t.Fatal(err)
		}
		return busy == 0
	})
}

func (w *world) describe() string {
	rows, err := w.server.store.Pool().Query(context.Background(),
		`SELECT name || ' ' || state || ' wanted ' || wanted || ' observed ' || observed || ' ' || message FROM environments ORDER BY name`)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var line string
		_ = rows.Scan(&line)
		b.WriteString(line + "\n")
	}
	return b.String()
}

// push commits a change of the Worker to a branch and returns the commit.
func (w *world) push(branch, text string) string {
	w.t.Helper()
	sha, err := w.github.CommitAs("octo-dev", testRepo, branch,
		map[string]string{"src/index.js": fmt.Sprintf("export default { fetch() { return new Response(%q); } };\n", text)}, text)
	if err != nil {
		w.t.Fatal(err)
	}
	return sha
}

// open pushes a branch and opens a pull request for it.
func (w *world) open(branch string) (number int, sha string) {
	w.t.Helper()
	sha = w.push(branch, branch)
	number, err := w.github.OpenPR(testRepo, "Change "+branch, branch, "", "octo-dev")
	if err != nil {
		w.t.Fatal(err)
	}
	return number, sha
}

// check is our newest check run on a commit.
func (w *world) check(repo, sha string) (github.CheckRun, bool) {
	w.t.Helper()
	runs, err := w.github.CheckRuns(repo, sha)
	if err != nil {
		w.t.Fatal(err)
	}
	runs = slices.DeleteFunc(runs, func(r github.CheckRun) bool { return r.Name != checkName })
	if len(runs) == 0 {
		return github.CheckRun{}, false
	}
	return runs[len(runs)-1], true
}

// wantCheck waits until the commit's check has that conclusion, or status while it has none.
func (w *world) wantCheck(sha, want string) github.CheckRun {
	w.t.Helper()
	var check github.CheckRun
	w.until("the check of "+sha[:7]+" says "+want, func() bool {
		var ok bool
		check, ok = w.check(testRepo, sha)
		return ok && (check.Conclusion == want || check.Conclusion == "" && check.Status == want)
	})
	return check
}

// environment is the preview of a pull request as the store has it.
func (w *world) environment(pr int) preview.Environment {
	w.t.Helper()
	var name string
	err := w.server.store.Pool().QueryRow(w.t.Context(), `SELECT name FROM environments WHERE pr = $1 ORDER BY created_at LIMIT 1`, pr).Scan(&name)
	if err != nil {
		w.t.Fatalf("environment of pull request %d: %v", pr, err)
	}
	e, err := w.server.store.EnvironmentByName(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// deliver posts a body as GitHub would, with a fresh delivery id, and returns the status.
func (w *world) deliver(event string, body []byte) int {
	w.t.Helper()
	response, err := w.post(uuid.NewString(), event, body)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// post sends one signed delivery. It may be called from any goroutine.
func (w *world) post(guid, event string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.server.URL()+"/api/github/hook", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-Hub-Signature-256", signature(body))
	request.Header.Set("X-GitHub-Event", event)
	request.Header.Set("X-GitHub-Delivery", guid)
	request.Header.Set("Content-Type", "application/json")
	return http.DefaultClient.Do(request)
}

// signature is how GitHub signs a body.
func signature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// scraped is what the server tells of itself.
func (w *world) scraped() string {
	w.t.Helper()
	recorder := httptest.NewRecorder()
	w.server.metrics.handler().ServeHTTP(recorder, httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/metrics", nil))
	return recorder.Body.String()
}

// wantNoSecret looks for what must never be told, and for more of it, in the log, the metrics, and
// everything that was written to GitHub.
func (w *world) wantNoSecret(more ...string) {
	w.t.Helper()
	secrets := append([]string{testSecret, "PRIVATE KEY", "ghs_", "hunter2", "postgres://", "SCRAM-SHA"}, more...)
	places := map[string]string{"the log": w.log.String(), "the metrics": w.scraped()}
	for _, r := range w.github.Writes() {
		places[r.Route] += r.Body + "\n"
	}
	for where, text := range places {
		for _, secret := range secrets {
			if at := strings.Index(text, secret); at >= 0 {
				w.t.Errorf("%s: %s holds a secret: %q", w.t.Name(), where, text[max(0, at-200):min(len(text), at+100)])
			}
		}
	}
}

// valid fails the test when an exchange with GitHub broke GitHub's own description.
func (w *world) valid() {
	w.t.Helper()
	for _, v := range w.github.Violations() {
		w.t.Errorf("against GitHub's description: %+v", v)
	}
}
