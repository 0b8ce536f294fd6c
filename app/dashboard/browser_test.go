package dashboard_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// playwright is what drives the browser; fetched with npm, which keeps it in its cache.
const playwright = "playwright-core@1.65.1"

//go:embed testdata/browse.mjs
var browse []byte

// browser finds Chromium and installs playwright-core into dir, or skips; in CI it fails.
func browser(t *testing.T, dir string) string {
	t.Helper()
	missing := func(reason string) {
		if os.Getenv("CI") == "true" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	var chromium string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			chromium = path
			break
		}
	}
	if chromium == "" {
		missing("there is no Chromium on this machine")
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing("there is no " + tool + " on this machine")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", playwright)
	if out, err := install.CombinedOutput(); err != nil {
		missing("playwright-core can't be installed: " + err.Error() + "\n" + string(out))
	}
	return chromium
}

// TestInBrowser looks at the pages in Chromium, on a phone and on a wide screen, light and dark.
// With -artifacts the pictures are kept in the folder that go test then names.
func TestInBrowser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: the work is the browser's: the race detector sees nothing of it")
	}
	dir := t.TempDir()
	chromium := browser(t, dir)
	s := newClub(t, clubOptions{})
	if err := os.WriteFile(filepath.Join(dir, "browse.mjs"), browse, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "browse.mjs", encoded(t, map[string]any{
		"chromium": chromium, "pictures": t.ArtifactDir(), "github": s.github.URL(),
		"link": s.links.Link(projectID, now.Add(time.Hour)), "page": s.links.Page(projectID), "denied": s.links.Page(otherProject),
	}))
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir) // Chromium leaves its things there
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The script says when it looks, and this side then changes the world: the queued one gets up.
	answers := json.NewDecoder(stdout)
	var ready struct{ Ready bool }
	if err := answers.Decode(&ready); err != nil || !ready.Ready {
		t.Fatalf("the script did not get ready: %v", err)
	}
	s.store.change(func() {
		s.store.environments[1].State, s.store.environments[1].GoodSHA = preview.StateActive, sha1
		s.store.queue = nil
	})
	s.check(s.github.SetRole("acme/shop", "octo-read", "none"))
	s.ahead.Store(int64(61 * time.Second))
	if _, err := stdin.Write([]byte("changed\n")); err != nil {
		t.Fatal(err)
	}
	var result struct{ Wrong []string }
	if err := answers.Decode(&result); err != nil {
		t.Fatalf("the script ended early: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range result.Wrong {
		t.Error(wrong)
	}
}
