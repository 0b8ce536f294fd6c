package github_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

func TestPushOverHTTP(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *github.Config) { c.AutoOpenPR = true })
	b.take()
	dir := b.clone()
	b.gitIn(dir, "checkout", "-q", "-b", "feature/a")
	check(t, os.WriteFile(filepath.Join(dir, "new.txt"), []byte(strings.Repeat("x", 10)), 0o600))
	b.gitIn(dir, "add", ".")
	b.gitIn(dir, "commit", "-q", "-m", "Add a file")
	b.gitIn(dir, "push", "-q", "origin", "feature/a")
	seen := b.take()
	var names []string
	for _, one := range seen {
		names = append(names, one.event)
	}
	if diff := cmp.Diff([]string{"push", "create", "check_suite", "pull_request"}, names); diff != "" {
		t.Fatal(diff)
	}
	head := b.gitIn(dir, "rev-parse", "HEAD")
	push := seen[0].payload
	commits := push["commits"].([]any)
	if push["after"] != head || push["created"] != true || len(commits) != 1 {
		t.Errorf("push: after %v, created %v, %d commits", push["after"], push["created"], len(commits))
	}
	if diff := cmp.Diff([]any{"new.txt"}, commits[0].(map[string]any)["added"]); diff != "" {
		t.Error(diff)
	}
	pr, err := b.PR("acme/shop", 1)
	check(t, err)
	if pr.HeadSHA != head || pr.Title != "Add a file" || pr.Author != "octo-dev" {
		t.Errorf("pull request: %+v", pr)
	}

	// More than git's postBuffer, so that the push comes in chunks; amended, so that it is forced.
	big := make([]byte, 3<<20)
	for i := range big {
		big[i] = byte(i*i>>3) ^ byte(i>>7)
	}
	check(t, os.WriteFile(filepath.Join(dir, "big.bin"), big, 0o600))
	b.gitIn(dir, "add", ".")
	b.gitIn(dir, "commit", "-q", "--amend", "-m", "Amended")
	b.gitIn(dir, "-c", "core.compression=0", "push", "-q", "--force", "origin", "feature/a")
	seen = b.take()
	if len(seen) != 3 || seen[0].payload["forced"] != true || seen[2].payload["action"] != "synchronize" || seen[2].payload["before"] != head {
		t.Errorf("forced push: %d events, forced %v", len(seen), seen[0].payload["forced"])
	}

	b.gitIn(dir, "push", "-q", "origin", "--delete", "feature/a")
	if diff := cmp.Diff([]string{"push", "delete", "pull_request.closed"}, b.events()); diff != "" {
		t.Error(diff)
	}
}

func TestPushNeedsARole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	check(t, b.SetRole("acme/shop", "octo-reader", "read"))
	dir := filepath.Join(t.TempDir(), "shop")
	check(t, b.Clone(t.Context(), "acme/shop", "octo-reader", dir))
	b.gitIn(dir, "checkout", "-q", "-b", "x")
	for _, url := range []string{b.PushURL("acme/shop", "octo-reader"), b.URL() + "/acme/shop.git", strings.Replace(b.PushURL("acme/shop", "octo-dev"), "octo-dev:", "octo-dev:wrong", 1)} {
		if out, err := gitTry(dir, "push", "-q", url, "x"); err == nil {
			t.Errorf("push to %s was accepted: %s", url, out)
		}
	}
	b.gitIn(dir, "push", "-q", b.PushURL("acme/shop", "octo-dev"), "x")
}
