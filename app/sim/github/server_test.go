package github_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

const secret = "hook-secret"

// received is one webhook request as the App saw it.
type received struct {
	event, guid string
	payload     map[string]any
	raw         []byte
}

// bench is a Server with one installed repository, acme/shop, and an App that listens.
type bench struct {
	*github.Server
	t            *testing.T
	installation int64
	client       *gh.Client // with an installation token

	mu   sync.Mutex
	seen []received
}

func sample() fstest.MapFS {
	return fstest.MapFS{
		"README.md":        {Data: []byte("# Shop\n")},
		"src/index.ts":     {Data: []byte("export default {}\n")},
		"drizzle/0000.sql": {Data: []byte("create table a (id int);\n")},
	}
}

func setup(t *testing.T, change ...func(*github.Config)) *bench {
	t.Helper()
	b := &bench{t: t}
	hook := httptest.NewServer(http.HandlerFunc(b.receive))
	t.Cleanup(hook.Close)
	cfg := github.Config{Dir: t.TempDir(), Webhook: github.Webhook{URL: hook.URL, Secret: secret}, Validate: true}
	for _, f := range change {
		f(&cfg)
	}
	server, err := github.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Server = server
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range server.Violations() {
			t.Errorf("against GitHub's description: %s", v)
		}
	})
	if err := server.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	must(t)(server.CreateRepo("acme", "shop", sample(), github.RepoOptions{}))
	b.installation = must(t)(server.Install("acme", "shop"))
	check(t, server.SetRole("acme/shop", "octo-dev", "write"))
	b.client = b.clientFor(b.installation, nil)
	return b
}

func (b *bench) clientFor(installation int64, options *gh.InstallationTokenOptions) *gh.Client {
	b.t.Helper()
	transport, err := ghinstallation.New(http.DefaultTransport, 1, installation, b.AppKeyPEM())
	if err != nil {
		b.t.Fatal(err)
	}
	transport.BaseURL, transport.InstallationTokenOptions = b.APIURL(), options
	client, err := gh.NewClient(&http.Client{Transport: transport, Timeout: 30 * time.Second}).WithEnterpriseURLs(b.URL(), b.URL())
	if err != nil {
		b.t.Fatal(err)
	}
	return client
}

func (b *bench) appClient() *gh.Client {
	b.t.Helper()
	transport, err := ghinstallation.NewAppsTransport(http.DefaultTransport, 1, b.AppKeyPEM())
	if err != nil {
		b.t.Fatal(err)
	}
	client, err := gh.NewClient(&http.Client{Transport: transport, Timeout: 30 * time.Second}).WithEnterpriseURLs(b.URL(), b.URL())
	if err != nil {
		b.t.Fatal(err)
	}
	return client
}

func (b *bench) receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	if r.Header.Get("X-Hub-Signature-256") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		http.Error(w, "bad signature", http.StatusUnauthorized)
		return
	}
	if _, err := gh.ParseWebHook(r.Header.Get("X-GitHub-Event"), body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	one := received{event: r.Header.Get("X-GitHub-Event"), guid: r.Header.Get("X-GitHub-Delivery"), raw: body}
	_ = json.Unmarshal(body, &one.payload)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, one)
}

// events waits for all deliveries and names what arrived since the last call, as "event.action"; kinds narrows it.
func (b *bench) events(kinds ...string) []string {
	b.t.Helper()
	names := []string{}
	for _, one := range b.take() {
		name := one.event
		if action, _ := one.payload["action"].(string); action != "" {
			name += "." + action
		}
		if len(kinds) == 0 {
			names = append(names, name)
		}
		for _, kind := range kinds {
			if one.event == kind {
				names = append(names, name)
			}
		}
	}
	return names
}

func (b *bench) take() []received {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	check(b.t, b.Flush(ctx))
	for _, d := range b.Deliveries() {
		if d.StatusCode != http.StatusOK {
			b.t.Errorf("delivery %s %s: %d %s %s", d.Event, d.Action, d.StatusCode, d.Status, d.Response)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.seen
	b.seen = nil
	return seen
}

func (b *bench) gitIn(dir string, args ...string) string {
	b.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=octo-dev", "GIT_AUTHOR_EMAIL=o@example.com", "GIT_COMMITTER_NAME=octo-dev", "GIT_COMMITTER_EMAIL=o@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (b *bench) clone() string {
	b.t.Helper()
	dir := filepath.Join(b.t.TempDir(), "shop")
	check(b.t, b.Clone(context.Background(), "acme/shop", "octo-dev", dir))
	return dir
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T) func(int64, error) int64 {
	return func(v int64, err error) int64 {
		t.Helper()
		check(t, err)
		return v
	}
}

// openPR makes a branch with one commit and a pull request from it.
func (b *bench) openPR(branch string) (number int, sha string) {
	b.t.Helper()
	sha, err := b.Commit("acme/shop", branch, map[string]string{"src/" + branch + ".ts": "export const a = 1\n"}, "Add "+branch)
	check(b.t, err)
	number, err = b.OpenPR("acme/shop", "Add "+branch, branch, "", "octo-dev")
	check(b.t, err)
	return number, sha
}

func gitTry(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}
