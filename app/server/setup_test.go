package server

import (
	"bytes"
	"context"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/sim/github"
	"github.com/flaresmith/flaresmith/handlers"
)

// The README's table of permissions and its list of events are what the setup page asks for, and what the handlers need.
func TestAppAsksForWhatIsUsed(t *testing.T) {
	t.Parallel()
	var handled []string
	for _, h := range handlers.All(nil, 1) {
		handled = append(handled, h.Handles()...)
	}
	always := []string{"installation", "installation_repositories", "installation_target", "ping"}
	handled = slices.DeleteFunc(handled, func(event string) bool { return slices.Contains(always, event) })
	slices.Sort(handled)
	if diff := cmp.Diff(slices.Compact(handled), appEvents()); diff != "" {
		t.Errorf("events (-handled +asked for):\n%s", diff)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^ +\| ([A-Z][a-z]+(?: [a-z]+)?) \| (read(?: and write)?) \|`).FindAllStringSubmatch(string(readme), -1) {
		level := "read"
		if strings.HasSuffix(row[2], "write") {
			level = "write"
		}
		told[strings.ReplaceAll(strings.ToLower(row[1]), " ", "_")] = level
	}
	if diff := cmp.Diff(told, appPermissions(true)); diff != "" {
		t.Errorf("permissions (-README +asked for):\n%s", diff)
	}
	less := maps.Clone(told)
	less["contents"] = "read"
	if diff := cmp.Diff(less, appPermissions(false)); diff != "" {
		t.Errorf("permissions without onboarding: %s", diff)
	}
}

// linkWriter gives the link that is written to it.
type linkWriter struct {
	mu   sync.Mutex
	text bytes.Buffer
	link chan string
}

func (w *linkWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	if link := regexp.MustCompile(`http://\S+/setup\?token=\S+`).FindString(w.text.String()); link != "" {
		w.link <- link
	}
	return len(p), nil
}

// TestServeWithoutApp sets a server up from nothing and sees deliveries come; the next start needs nobody.
func TestServeWithoutApp(t *testing.T) {
	t.Parallel()
	gh, err := github.New(github.Config{Dir: t.TempDir(), AppID: 7, Validate: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := gh.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gh.Close() })
	c, err := config.Load(map[string]string{
		"DATABASE_URL": embeddedtest.Database(t), "MASTER_ENC_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "GITHUB_API_URL": gh.APIURL() + "/",
		"FLARESMITH_ALLOWED_ORGS": "acme", "FLARESMITH_PARENTS": "main=shop",
		"FLARESMITH_LISTEN": "127.0.0.1:0", "FLARESMITH_METRICS_LISTEN": "127.0.0.1:0", "FLARESMITH_DATA_DIR": t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	out := &linkWriter{link: make(chan string, 1)}
	type result struct {
		config.Config
		error
	}
	completed := make(chan result, 1)
	go func() {
		full, err := WithApp(t.Context(), c, logger, out)
		completed <- result{full, err}
	}()
	createApp(t, gh, <-out.link)
	got := <-completed
	if got.error != nil || got.GitHubAppID != 7 {
		t.Fatalf("%d %v", got.GitHubAppID, got.error)
	}
	again, err := WithApp(t.Context(), c, logger, io.Discard)
	if diff := cmp.Diff(got.Config, again); err != nil || diff != "" {
		t.Fatalf("the next start: %v %s", err, diff)
	}

	s, err := New(t.Context(), got.Config, Options{Logger: logger, Providers: newCloud().providers()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	gh.SetWebhook(github.Webhook{URL: s.URL() + hookPath, Secret: got.GitHubWebhookSecrets[0].Reveal()}) // the port is another one
	gh.Ping()
	if err := gh.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := gh.Deliveries()[0]; d.StatusCode != http.StatusAccepted {
		t.Errorf("ping: %d", d.StatusCode)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// createApp does what a person does in a browser.
func createApp(t *testing.T, gh *github.Server, link string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: patience}
	read := func(resp *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %v %s", resp.Request.URL, resp.StatusCode, err, body)
		}
		return string(body)
	}
	part := func(text, pattern string) string {
		t.Helper()
		found := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if found == nil {
			t.Fatalf("no %s in\n%s", pattern, text)
		}
		return html.UnescapeString(found[1])
	}
	at, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"token": at.Query()["token"], "owner": {"acme"}}
	at.RawQuery = ""
	asked := read(browser.PostForm(at.String(), form))                                                                                                             //nolint:noctx // the client has a timeout
	shown := read(browser.PostForm(part(asked, `<form method="post" action="([^"]+)"`), url.Values{"manifest": {part(asked, `name="manifest" value="([^"]+)"`)}})) //nolint:noctx // the client has a timeout
	if done := read(browser.Get(gh.URL() + part(shown, `href="(/_apps/[^"]+)"`))); !strings.Contains(done, "The App is there") {                                   //nolint:noctx // the client has a timeout
		t.Fatalf("GitHub led back to\n%s", done)
	}
}
