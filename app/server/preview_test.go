package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

func TestPreviewLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	name := w.environment(pr).Name
	for _, kind := range preview.Kinds() {
		if diff := cmp.Diff([]string{name}, w.cloud.names(kind)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}

	// A second pass over an unchanged world writes nothing, anywhere.
	writes := w.cloud.count()
	w.github.ResetRequests()
	if err := w.server.store.WantProject(t.Context(), w.environment(pr).ProjectID); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.cloud.count(); got != writes {
		t.Errorf("the second pass wrote to a provider: %v", w.cloud.writes[writes:])
	}
	if got := w.github.Writes(); len(got) > 0 {
		t.Errorf("the second pass wrote to GitHub: %+v", got)
	}

	second := w.push("feature/a", "two")
	w.wantCheck(second, "success")
	w.until("the new commit serves", func() bool { return w.cloud.sha(name) == second })

	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.until("everything is gone", func() bool { return w.cloud.total() == 0 })
	w.settle()
	if got := w.environment(pr); got.State != preview.StateArchived {
		t.Errorf("state %q, want archived", got.State)
	}
	comments, err := w.github.Comments(testRepo, pr)
	if err != nil {
		t.Fatal(err)
	}
	if len(comments) != 1 {
		t.Errorf("%d comments, want one that is edited in place", len(comments))
	}
	deployments, err := w.github.Deployments(testRepo)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range deployments {
		if d.State() != "inactive" {
			t.Errorf("deployment %d is %s", d.ID, d.State())
		}
	}

	if err := w.github.Reopen(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.until("a reopened pull request gets its preview again", func() bool { return w.cloud.sha(name) == second })
	w.settle()
	w.valid()
}

func TestCloseBeatsLateDeploy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleFiles(), nil)
	started, release := make(chan struct{}), make(chan struct{})
	w.cloud.fail(func(ctx context.Context, op string, r preview.Resource) error {
		if op == "apply" && r.Kind == preview.KindWorker {
			close(started)
			<-release
		}
		return nil
	})
	pr, _ := w.open("feature/late")
	<-started
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.until("the close is wanted", func() bool { return w.environment(pr).Wanted > 1 })
	close(release)
	w.settle()
	if got := w.cloud.total(); got != 0 {
		t.Errorf("%d resources are left after the close: %v", got, w.cloud.writes)
	}
	w.valid()
}

func TestNothingWithoutConfiguration(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	delete(files, ".github/flaresmith.yml")
	w := newWorld(t, files, nil)
	w.proposal()
	w.github.ResetRequests()
	pr, _ := w.open("feature/a")
	w.settle()
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.github.Writes(); len(got) > 0 {
		t.Errorf("wrote to a repository that has no configuration: %+v", got)
	}
	if got := w.cloud.count(); got > 0 {
		t.Errorf("%d provider writes", got)
	}
	w.valid()
}

func TestNotEligible(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	tests := []struct {
		name      string
		config    string
		variables map[string]string
		want      string // in the check's title or summary
		fork      bool
	}{
		{"unlisted installation", "", map[string]string{"FLARESMITH_ALLOWED_ORGS": "acme-other", "FLARESMITH_PARENTS": "main=shop"}, "operator", false},
		{"turned off", "preview: {enabled: false}", nil, "preview.enabled", false},
		{"base branch", `preview: {base_branches: ["release/*"]}`, nil, "base branch", false},
		{"fork", "", nil, "fork", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := sampleFiles()
			files[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte(tt.config)}
			w := newWorld(t, files, tt.variables)
			var pr int
			var sha string
			if tt.fork {
				w.github.AddUser("octo-stranger")
				fork, err := w.github.Fork(testRepo, "octo-stranger")
				if err != nil {
					t.Fatal(err)
				}
				if sha, err = w.github.CommitAs("octo-stranger", fork, "idea", map[string]string{"src/index.js": "export default 1"}, "idea"); err != nil {
					t.Fatal(err)
				}
				if pr, err = w.github.OpenPR(testRepo, "Idea", "octo-stranger:idea", "", "octo-stranger"); err != nil {
					t.Fatal(err)
				}
			} else {
				pr, sha = w.open("feature/a")
			}
			if tt.fork {
				if _, err := w.github.Comment(testRepo, pr, "octo-dev", "/flaresmith status"); err != nil {
					t.Fatal(err)
				}
			}
			check := w.wantCheck(sha, "skipped")
			if !strings.Contains(strings.ToLower(check.Title+check.Summary), tt.want) {
				t.Errorf("the check does not say why: %s\n%s", check.Title, check.Summary)
			}
			w.settle()
			for _, c := range comments(t, w, pr) {
				if c.User == w.github.BotLogin() {
					t.Errorf("a comment, where a check is all: %s", c.Body)
				}
			}
			if got := w.cloud.count(); got > 0 {
				t.Errorf("%d provider writes", got)
			}
			w.valid()
		})
	}
}

func TestRetargetRenameForcePush(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	files[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte(`preview: {base_branches: [main]}`)}
	w := newWorld(t, files, nil)
	w.push("release/1", "release")
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	name := w.environment(pr).Name

	if err := w.github.Retarget(testRepo, pr, "release/1", "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.until("a base that is not eligible has no preview", func() bool { return w.cloud.total() == 0 })
	if err := w.github.Retarget(testRepo, pr, "main", "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.until("an eligible base has one", func() bool { return w.cloud.sha(name) == sha })

	forced, err := w.github.ForceCommit(testRepo, "feature/a", "main",
		map[string]string{"src/index.js": "export default { fetch() { return new Response('forced'); } };\n"}, "forced")
	if err != nil {
		t.Fatal(err)
	}
	w.until("the forced commit serves", func() bool { return w.cloud.sha(name) == forced })
	w.settle()

	if err := w.github.Rename(testRepo, "acme/store", "octo-lead"); err != nil {
		t.Fatal(err)
	}
	renamed, err := w.github.CommitAs("octo-dev", "acme/store", "feature/a", map[string]string{"README.md": "renamed"}, "after the rename")
	if err != nil {
		t.Fatal(err)
	}
	w.until("the preview outlives the rename", func() bool { return w.cloud.sha(name) == renamed })
	w.settle()
	w.valid()
}

func TestNamesNeverCollide(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	if _, err := w.github.CreateRepo("acme", "other", sampleFiles(), github.RepoOptions{}); err != nil {
		t.Fatal(err)
	}
	a, _ := w.open("feat/a")
	b, _ := w.open("feat-a")
	// A second pull request from the same branch, to another base.
	w.push("next", "next")
	c, err := w.github.OpenPR(testRepo, "Again", "feat/a", "next", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	// The first pull request of another repository has the same number as ours.
	w.github.AddUser("octo-dev")
	if err := w.github.SetRole("acme/other", "octo-dev", "write"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.github.CommitAs("octo-dev", "acme/other", "feat/a", map[string]string{"README.md": "x"}, "x"); err != nil {
		t.Fatal(err)
	}
	d, err := w.github.OpenPR("acme/other", "Other", "feat/a", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	if d != a {
		t.Fatalf("the other repository's number is %d, not %d", d, a)
	}
	w.until("four previews exist", func() bool { return len(w.cloud.names(preview.KindWorker)) == 4 })
	if err := w.github.ClosePR("acme/other", d, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.until("one is closed", func() bool { return len(w.cloud.names(preview.KindWorker)) == 3 })
	w.settle()
	for _, pr := range []int{b, c} {
		if w.cloud.sha(w.environment(pr).Name) == "" {
			t.Errorf("pull request %d lost its preview to another", pr)
		}
	}
	w.valid()
}

func TestBrokenConfiguration(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	// A pull request that breaks the file gets it annotated; the good one stays in force.
	sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/config", map[string]string{".github/flaresmith.yml": "preview:\n  tll: 72h\n"}, "break it")
	if err != nil {
		t.Fatal(err)
	}
	pr, err := w.github.OpenPR(testRepo, "Break it", "feature/config", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	check := w.wantCheck(sha, "success")
	if !slices.ContainsFunc(check.Annotations, func(a github.Annotation) bool {
		return a.Path == ".github/flaresmith.yml" && a.StartLine == 2
	}) {
		t.Errorf("no annotation at line 2: %+v", check.Annotations)
	}
	// Merged, it is invalid on the default branch: previews go on under the last valid one.
	if _, err := w.github.MergePR(testRepo, pr, "octo-lead"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	_, second := w.open("feature/after")
	if check := w.wantCheck(second, "success"); !strings.Contains(check.Summary, ".github/flaresmith.yml:2:3") {
		t.Errorf("the check does not say that the default branch's file is broken:\n%s", check.Summary)
	}
	w.settle()
	w.valid()
}

func TestUserFaultAndOutage(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	name := w.environment(pr).Name

	// The user's fault: the check is red with the place, what served goes on serving.
	broken, err := w.github.CommitAs("octo-dev", testRepo, "feature/a", map[string]string{"src/index.js": "export default {\n  fetch( {\n"}, "broken")
	if err != nil {
		t.Fatal(err)
	}
	check := w.wantCheck(broken, "failure")
	if len(check.Annotations) == 0 || check.Annotations[0].Path != "src/index.js" {
		t.Errorf("annotations: %+v", check.Annotations)
	}
	if w.cloud.sha(name) != sha {
		t.Errorf("serving %s, want the last good commit %s", w.cloud.sha(name), sha)
	}

	// An outage: in progress while it lasts, green without anybody's help when it ends.
	down := func(ctx context.Context, op string, r preview.Resource) error {
		if r.Kind == preview.KindWorker {
			return preview.Transient(errors.New("connection refused by hunter2"))
		}
		return nil
	}
	w.cloud.fail(down)
	fixed := w.push("feature/a", "fixed")
	w.until("the pass has failed", func() bool { return w.environment(pr).Attempts > 0 })
	if check, ok := w.check(testRepo, fixed); !ok || check.Status != "in_progress" {
		t.Errorf("check %+v, want in_progress during an outage", check)
	}
	w.cloud.fail(func(context.Context, string, preview.Resource) error { return nil })
	w.wantCheck(fixed, "success")
	w.settle()
	for _, run := range mustRuns(t, w) {
		if strings.Contains(run.Title+run.Summary+run.Text, "hunter2") {
			t.Errorf("a provider's error text reached GitHub: %s", run.Summary)
		}
	}
	w.valid()
}

func mustRuns(t *testing.T, w *world) []github.CheckRun {
	t.Helper()
	runs, err := w.github.CheckRuns(testRepo, "")
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

func TestQueueAndExpiry(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	files[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte(`preview: {max_active: 1}`)}
	w := newWorld(t, files, nil)
	first, sha := w.open("feature/first")
	w.wantCheck(sha, "success")
	second, sha2 := w.open("feature/second")
	check := w.wantCheck(sha2, "queued")
	if !strings.Contains(check.Title+check.Summary, "1 in the queue") {
		t.Errorf("the check does not tell its place: %s\n%s", check.Title, check.Summary)
	}
	// The first one's time is up: it goes, and the second takes its place.
	if _, err := w.server.store.Pool().Exec(t.Context(),
		`UPDATE environments SET expires_at = now() - interval '1 second', next_pass_at = now() WHERE pr = $1`, first); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha2, "success")
	w.settle()
	if got := w.environment(first); got.State != preview.StateArchived || got.ExpiredSHA != sha {
		t.Errorf("first: state %q, expired at %q", got.State, got.ExpiredSHA)
	}
	if err := w.github.ClosePR(testRepo, second, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	revived := w.push("feature/first", "again")
	w.wantCheck(revived, "success")
	w.settle()
	w.valid()
}

func TestMergeGroup(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	pr, _ := w.open("feature/a")
	sha, err := w.github.RequestMergeGroup(testRepo, pr, "octo-lead")
	if err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "neutral") // counts as passed where the check is required
	w.settle()
	w.valid()
}

func TestCoreEnvironments(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	files[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte("environments:\n  dev: {branch: 'feature/*'}\n  prod: {branch: main}\n")}
	w := newWorld(t, files, nil)
	w.push("feature/one", "one")
	w.settle()
	second := w.push("feature/two", "two")
	w.settle()
	names := w.cloud.names(preview.KindWorker)
	if len(names) != 1 || !strings.HasPrefix(names[0], "dev-") {
		t.Fatalf("workers %v, want dev alone: prod waits for promotion", names)
	}
	dev := names[0]
	if w.cloud.sha(dev) != second {
		t.Errorf("dev runs %s, want the newest push", w.cloud.sha(dev))
	}
	deployments, err := w.github.Deployments(testRepo)
	if err != nil || len(deployments) == 0 {
		t.Fatalf("deployments %v, %v", deployments, err)
	}
	newest := deployments[len(deployments)-1]
	if status := newest.Statuses[len(newest.Statuses)-1]; newest.Environment != "dev" || newest.SHA != second || newest.Transient ||
		status.State != "success" || !strings.Contains(status.Description, "feature/two") {
		t.Errorf("the newest push to dev is not shown: %+v", newest)
	}
	if err := w.github.SetBranch(testRepo, "feature/two", "", "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if w.cloud.sha(dev) == "" {
		t.Error("deleting a branch removed a core environment")
	}
	w.valid()
}

// TestStorm replays a pull request's deliveries doubled, late and in any order: what is left
// follows from the truth at GitHub alone.
func TestStorm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleFiles(), nil)
	open, _ := w.open("feature/stays")
	closed, _ := w.open("feature/goes")
	var last string
	for i := range 5 {
		last = w.push("feature/stays", fmt.Sprint(i))
		w.push("feature/goes", fmt.Sprint(i))
	}
	for range 2 {
		for _, pr := range []int{open, closed} {
			if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
				t.Fatal(err)
			}
			if err := w.github.Reopen(testRepo, pr, "octo-dev"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.github.ClosePR(testRepo, closed, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	deliveries := w.github.Deliveries()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2 {
		random.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })
		for _, d := range deliveries {
			if status := w.deliver(d.Event, d.Payload); status/100 != 2 {
				t.Errorf("%s answered %d", d.Event, status)
			}
		}
	}
	w.settle()
	name := w.environment(open).Name
	if diff := cmp.Diff([]string{name}, w.cloud.names(preview.KindWorker)); diff != "" {
		t.Errorf("workers (-want +got):\n%s", diff)
	}
	if got := w.cloud.sha(name); got != last {
		t.Errorf("serves %s, want the head %s", got, last)
	}
	if n := len(comments(t, w, open)); n != 1 {
		t.Errorf("%d comments, want one", n)
	}
	w.valid()
}

func TestInstallationGone(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	_, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	if err := w.github.Uninstall("acme", "octo-lead"); err != nil {
		t.Fatal(err)
	}
	w.until("everything is torn down from the ledger", func() bool { return w.cloud.total() == 0 })
	w.settle()
}

func TestRestartInTheMiddle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleFiles(), nil)
	started := make(chan struct{}, 1)
	w.cloud.fail(func(ctx context.Context, op string, r preview.Resource) error {
		if op == "apply" && r.Kind == preview.KindWorker {
			select {
			case started <- struct{}{}:
			default:
			}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	pr, sha := w.open("feature/a")
	<-started
	w.stop()
	w.cloud.fail(func(context.Context, string, preview.Resource) error { return nil })
	w.start()
	w.wantCheck(sha, "success")
	w.settle()
	if w.cloud.sha(w.environment(pr).Name) != sha {
		t.Error("the preview did not converge after the restart")
	}
	w.valid()
}

// TestOutOfReachAndBack: what can't be written to is torn down, and comes back when it can.
func TestOutOfReachAndBack(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	tests := []struct {
		name       string
		away, back func(w *world) error
	}{
		{"archived repository",
			func(w *world) error { return w.github.Archive(testRepo, true, "octo-lead") },
			func(w *world) error { return w.github.Archive(testRepo, false, "octo-lead") }},
		{"suspended installation",
			func(w *world) error { return w.github.Suspend("acme", "octo-lead") },
			func(w *world) error { return w.github.Unsuspend("acme", "octo-lead") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sampleFiles(), nil)
			_, sha := w.open("feature/a")
			w.wantCheck(sha, "success")
			w.settle()
			if err := tt.away(w); err != nil {
				t.Fatal(err)
			}
			w.until("it is torn down", func() bool { return w.cloud.total() == 0 })
			w.settle()
			if err := tt.back(w); err != nil {
				t.Fatal(err)
			}
			w.until("it comes back", func() bool { return w.cloud.total() == len(preview.Kinds()) })
			w.settle()
		})
	}
}

// TestConfigurationArrivesLater: open pull requests get their previews when the file is merged.
func TestConfigurationArrivesLater(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	delete(files, ".github/flaresmith.yml")
	w := newWorld(t, files, nil)
	_, sha := w.open("feature/a")
	w.settle()
	if _, err := w.github.CommitAs("octo-lead", testRepo, "main", map[string]string{".github/flaresmith.yml": "preview: {}\n"}, "configure"); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	w.settle()
	w.valid()
}

// TestOrganisationDefault: a repository without a file of its own follows its organisation's.
func TestOrganisationDefault(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	delete(files, ".github/flaresmith.yml")
	w := newWorld(t, files, nil)
	if _, err := w.github.CreateRepo("acme", ".github", fstest.MapFS{
		"flaresmith.yml": &fstest.MapFile{Data: []byte("preview: {bots: false}\n")},
	}, github.RepoOptions{}); err != nil {
		t.Fatal(err)
	}
	_, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	w.valid()
}
