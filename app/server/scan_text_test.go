package server

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// What people write below a pull request is scanned whenever it changes. Who does not belong to the repository is
// told of, and can't hold up a merge.
func TestScanOfComments(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newScanWorld(t, nil)
	head := s.commit("feature/talk", map[string]string{"a.txt": "nothing\n"}, "talk")
	number := s.openPR("Talk", "feature/talk")
	s.wantScan(head, "success")
	comment := func(user, body string) int64 {
		t.Helper()
		id, err := s.github.Comment(testRepo, number, user, body)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	ours := comment("octo-dev", "try it with\n"+s.secret())
	run := s.wantScan(head, "failure")
	if len(run.Annotations) > 1 || !strings.Contains(run.Summary, "line 2 of comment ") || !strings.Contains(run.Title, "1 certain") {
		t.Errorf("%s: %+v\n%s", run.Title, run.Annotations, run.Summary)
	}
	if err := s.github.EditComment(testRepo, ours, "octo-dev", "try it with your own"); err != nil {
		t.Fatal(err)
	}
	s.wantScan(head, "success")
	theirs := comment("octo-stranger", "mine is "+s.secret())
	if run := s.wantScan(head, "neutral"); !strings.HasPrefix(run.Title, "Secrets found in comments of others") {
		t.Errorf("title %q", run.Title)
	}
	if err := s.github.DeleteComment(testRepo, theirs, "octo-lead"); err != nil {
		t.Fatal(err)
	}
	s.wantScan(head, "success")
	s.valid()
	s.wantNothingTold()
}

// What reviews and the comments in them say is scanned as comments are.
func TestScanOfReviews(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newScanWorld(t, nil)
	head := s.commit("feature/review", map[string]string{"a.txt": "nothing\nmore\n"}, "review")
	number := s.openPR("Review", "feature/review")
	s.wantScan(head, "success")
	review := func(user, body string, lines ...github.LineComment) (id int64, comments []int64) {
		t.Helper()
		id, comments, err := s.github.Review(testRepo, number, user, body, lines...)
		if err != nil {
			t.Fatal(err)
		}
		return id, comments
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	whole, _ := review("octo-dev", "try it with\n"+s.secret())
	if run := s.wantScan(head, "failure"); !strings.Contains(run.Summary, fmt.Sprintf("line 2 of review %d on pull request", whole)) {
		t.Errorf("%s\n%s", run.Title, run.Summary)
	}
	check(s.github.EditReview(testRepo, number, whole, "octo-dev", "try it with your own"))
	s.wantScan(head, "success")

	_, lines := review("octo-lead", "", github.LineComment{Path: "a.txt", Line: 2, Body: "nice"}, github.LineComment{Path: "a.txt", Line: 1, Body: "```suggestion\n" + s.secret() + "\n```"})
	if run := s.wantScan(head, "failure"); !strings.Contains(run.Summary, fmt.Sprintf("line 2 of review comment %d on pull request", lines[1])) {
		t.Errorf("%s\n%s", run.Title, run.Summary)
	}
	check(s.github.EditReviewComment(testRepo, number, lines[1], "octo-lead", "better"))
	s.wantScan(head, "success")

	_, theirs := review("octo-stranger", "", github.LineComment{Path: "a.txt", Line: 1, Body: "mine is " + s.secret()})
	if run := s.wantScan(head, "neutral"); !strings.HasPrefix(run.Title, "Secrets found in comments of others") {
		t.Errorf("title %q", run.Title)
	}
	check(s.github.DeleteReviewComment(testRepo, number, theirs[0], "octo-stranger"))
	s.wantScan(head, "success")
	s.valid()
	s.wantNothingTold()
}

// A tag can bring commits that no branch has.
func TestScanOfTags(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newScanWorld(t, nil)
	s.settle()
	dir := filepath.Join(t.TempDir(), "clone")
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=octo-dev", "-c", "user.email=octo-dev@users.noreply.github.com"}, args...)...)
		if args[0] != "clone" {
			cmd.Dir = dir
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v: %s", args[0], err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("clone", "--quiet", s.github.PushURL(testRepo, "octo-dev"), dir)
	release := git("rev-parse", "HEAD")
	git("tag", "v1")
	git("push", "--quiet", "origin", "v1")
	s.wantScan(release, "success")
	if err := os.WriteFile(filepath.Join(dir, "key.txt"), []byte(s.secret()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git("add", "--all")
	git("commit", "--quiet", "-m", "for the release only")
	git("tag", "v2")
	git("push", "--quiet", "origin", "v2")
	if run := s.wantScan(git("rev-parse", "HEAD"), "failure"); !annotated(run, "key.txt") {
		t.Errorf("annotations %+v", run.Annotations)
	}
	git("push", "--quiet", "--delete", "origin", "v2")

	git("checkout", "--quiet", release)
	git("tag", "--annotate", "-m", "nothing", "v3")
	git("push", "--quiet", "origin", "v3")
	s.wantScan(release, "success")
	git("tag", "--annotate", "-m", "the key is\n"+s.secret(), "inner")
	git("tag", "--annotate", "-m", "a tag of a tag", "v4", "inner")
	git("push", "--quiet", "origin", "v4")
	if run := s.wantScan(release, "failure"); !strings.Contains(run.Summary, fmt.Sprintf("line 2 of the message of tag %.7s", git("rev-parse", "inner"))) {
		t.Errorf("%s\n%s", run.Title, run.Summary)
	}
	git("tag", "--annotate", "-m", "of files", "v5", "HEAD^{tree}")
	git("push", "--quiet", "origin", "v5") // leads to no commit that could have a check
	git("push", "--quiet", "--delete", "origin", "v3", "v4", "v5")
	s.settle()
	s.valid()
	s.wantNothingTold()
}

// A re-run of what a push brought knows what that was, and makes green only what is.
func TestScanOfPushesAgain(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newScanWorld(t, nil)
	s.settle()
	s.github.SetFaults(fault.Nth(1, 1, fault.OnRoute("GET /repos/{owner}/{repo}/git/blobs/{file_sha}", fault.Fault{Status: http.StatusForbidden})))
	refused := s.commit("main", map[string]string{"a.txt": "a\n"}, "a")
	run := s.wantScan(refused, "failure")
	if !strings.HasPrefix(run.Title, "Not scanned") {
		t.Fatalf("title %q", run.Title)
	}
	s.github.SetFaults()
	if err := s.github.Rerequest(testRepo, run.ID, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	s.wantScan(refused, "success")
	bad := s.commit("main", map[string]string{"a.txt": "a " + s.secret() + "\n"}, "b")
	run = s.wantScan(bad, "failure")
	if err := s.github.RerequestSuite(testRepo, bad, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	s.wantScan(bad, "failure")
	s.valid()
	s.wantNothingTold()
}

// A merge queue's commit is scanned from where the queue began it.
func TestScanOfMergeGroups(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newScanWorld(t, nil)
	s.settle()
	for branch, want := range map[string]struct{ text, conclusion string }{
		"feature/queued": {"nothing\n", "success"},
		"feature/leaky":  {"key " + s.secret() + "\n", "failure"},
	} {
		file := strings.ReplaceAll(branch, "/", "-") + ".txt"
		s.commit(branch, map[string]string{file: want.text}, branch)
		number := s.openPR("Queued", branch)
		s.settle()
		sha, err := s.github.RequestMergeGroup(testRepo, number, "octo-lead")
		if err != nil {
			t.Fatal(err)
		}
		if run := s.wantScan(sha, want.conclusion); annotated(run, file) != (want.conclusion == "failure") {
			t.Errorf("%s: annotations %+v", branch, run.Annotations)
		}
	}
	s.valid()
	s.wantNothingTold()
}
