package server

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/scan"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// plantedToken is a token in GitHub's form with a right checksum, made when the test runs.
func plantedToken() string {
	const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	random := make([]byte, 30)
	for i := range random {
		random[i] = base62[rand.IntN(len(base62))]
	}
	sum := crc32.ChecksumIEEE(random)
	var check [6]byte
	for i := len(check) - 1; i >= 0; i-- {
		check[i] = base62[sum%62]
		sum /= 62
	}
	return "ghp" + "_" + string(random) + string(check[:])
}

// scanWorld is a world whose repository says that the server scans, and the values that are planted in it.
type scanWorld struct {
	*world
	planted []string
}

func newScanWorld(t *testing.T, files map[string]string) *scanWorld {
	t.Helper()
	all := sampleFiles()
	all[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte("secrets: app\n")}
	s := &scanWorld{}
	for path, text := range files {
		all[path] = &fstest.MapFile{Data: []byte(text)}
	}
	s.world = newWorld(t, all, nil)
	return s
}

// secret is a new value that must be told nowhere.
func (s *scanWorld) secret() string {
	value := plantedToken()
	s.planted = append(s.planted, value)
	return value
}

func (s *scanWorld) commit(branch string, files map[string]string, message string) string {
	s.t.Helper()
	sha, err := s.github.CommitAs("octo-dev", testRepo, branch, files, message)
	if err != nil {
		s.t.Fatal(err)
	}
	return sha
}

func (s *scanWorld) openPR(title, head string) int {
	s.t.Helper()
	number, err := s.github.OpenPR(testRepo, title, head, "", "octo-dev")
	if err != nil {
		s.t.Fatal(err)
	}
	return number
}

// scans are the check runs of scans on a commit.
func (s *scanWorld) scans(sha string) []github.CheckRun {
	s.t.Helper()
	runs, err := s.github.CheckRuns(testRepo, sha)
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(runs, func(r github.CheckRun) bool { return r.Name != scan.CheckName })
}

// wantScan waits until everything is done, and wants one check run of that conclusion on the commit.
func (s *scanWorld) wantScan(sha, conclusion string) github.CheckRun {
	s.t.Helper()
	s.settle()
	runs := s.scans(sha)
	if len(runs) != 1 {
		s.t.Fatalf("%d scans of %.7s, want one: %+v", len(runs), sha, runs)
	}
	if runs[0].Conclusion != conclusion {
		s.t.Errorf("the scan of %.7s says %s: %s\n%s", sha, runs[0].Conclusion, runs[0].Title, runs[0].Summary)
	}
	return runs[0]
}

// wantNothingTold looks for planted values, and pieces of eight characters of them, in everything that was written.
func (s *scanWorld) wantNothingTold() {
	s.t.Helper()
	places := map[string]string{"the log": s.log.String(), "the metrics": s.scraped()}
	for _, r := range s.github.Writes() {
		places["write "+r.Route] += r.Body + "\n"
	}
	for _, table := range query(s.t, s.config["DATABASE_URL"], `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`) {
		if table != "public.deliveries" { // what GitHub sent, as it is on GitHub
			places["table "+table] = strings.Join(query(s.t, s.config["DATABASE_URL"], `SELECT to_jsonb(x)::text FROM `+table+` x`), "\n")
		}
	}
	if len(s.planted) == 0 || places["the log"] == "" || places["table public.river_job"] == "" {
		s.t.Error("nothing to look for, or nowhere to look")
	}
	for where, text := range places {
		for _, value := range s.planted {
			for from := 4; from+8 <= len(value); from++ {
				if strings.Contains(text, value[from:from+8]) {
					s.t.Errorf("%s holds a planted value", where)
					break
				}
			}
		}
	}
}

func annotated(run github.CheckRun, path string) bool {
	return slices.ContainsFunc(run.Annotations, func(a github.Annotation) bool { return a.Path == path })
}

// A pull request's secret is found wherever it was: in its head, in a commit that a later one took back, in its
// text, in a message, and in nothing but a merge. What was there before is not.
func TestScanOfPullRequests(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	old := plantedToken()
	s := newScanWorld(t, map[string]string{"config/old.env": "TOKEN=" + old + "\n"})
	s.planted = append(s.planted, old)

	clean := s.commit("feature/clean", map[string]string{"a.txt": "nothing\n", "config/old.env": "# a comment\nTOKEN=" + old + "\n"}, "clean")
	s.openPR("Clean", "feature/clean")
	s.wantScan(clean, "success")

	bad := s.commit("feature/bad", map[string]string{"src/env.js": "\nexport const t = '" + s.secret() + "';\n"}, "bad")
	s.openPR("Bad", "feature/bad")
	run := s.wantScan(bad, "failure")
	if len(run.Annotations) != 1 || run.Annotations[0].Path != "src/env.js" || run.Annotations[0].StartLine != 2 {
		t.Errorf("annotations %+v", run.Annotations)
	}
	back := s.commit("feature/bad", map[string]string{"src/env.js": "export const t = '';\n"}, "take it back")
	if run := s.wantScan(back, "failure"); !strings.Contains(run.Summary, bad[:7]) {
		t.Errorf("the summary does not name the commit that brought it:\n%s", run.Summary)
	}
	fixed, err := s.github.ForceCommit(testRepo, "feature/bad", "main", map[string]string{"src/env.js": "export const t = '';\n"}, "without")
	if err != nil {
		t.Fatal(err)
	}
	s.wantScan(fixed, "success")

	allowed := s.commit("feature/allowed", map[string]string{"t.txt": s.secret() + " # flaresmith:allow github-pat it is for a test\n"}, "allowed")
	s.openPR("Allowed", "feature/allowed")
	s.wantScan(allowed, "success")

	message := s.commit("feature/message", map[string]string{"m.txt": "m\n"}, "use "+s.secret())
	s.openPR("Message", "feature/message")
	s.wantScan(message, "failure")

	number := s.openPR("Text", s.branch("feature/text"))
	s.settle()
	title := plantedToken() // which the preview keeps, as GitHub shows it
	if err := s.github.EditTitle(testRepo, number, "Use "+title, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	pr, err := s.github.PR(testRepo, number)
	if err != nil {
		t.Fatal(err)
	}
	if run := s.wantScan(pr.HeadSHA, "failure"); strings.Contains(fmt.Sprintf("%+v", run), title[4:12]) {
		t.Error("the check holds the value")
	}

	// Two branches that meet, and a merge that holds what neither does.
	s.commit("feature/merge", map[string]string{"m/left.txt": "left\n"}, "left")
	merge := s.merge("feature/merge", "feature/clean", map[string]string{"m/left.txt": "left " + s.secret() + "\n"})
	s.openPR("Merge", "feature/merge")
	if run := s.wantScan(merge, "failure"); !annotated(run, "m/left.txt") || len(run.Annotations) != 1 {
		t.Errorf("annotations %+v", run.Annotations)
	}
	s.valid()
	s.wantNothingTold()
}

// branch is a new branch with a commit of its own.
func (s *scanWorld) branch(name string) string {
	s.t.Helper()
	s.commit(name, map[string]string{strings.ReplaceAll(name, "/", "-") + ".txt": name + "\n"}, name)
	return name
}

// merge merges a branch into another one with a real Git, and changes files in the merge itself.
func (s *scanWorld) merge(into, from string, files map[string]string) string {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "clone")
	git := func(args ...string) string {
		s.t.Helper()
		cmd := exec.CommandContext(s.t.Context(), "git", append([]string{"-c", "user.name=octo-dev", "-c", "user.email=octo-dev@users.noreply.github.com"}, args...)...)
		if args[0] != "clone" {
			cmd.Dir = dir
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			s.t.Fatalf("git %s: %v: %s", args[0], err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("clone", "--quiet", "--branch", into, s.github.PushURL(testRepo, "octo-dev"), dir)
	git("merge", "--quiet", "--no-ff", "--no-commit", "origin/"+from)
	for path, text := range files {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	git("add", "--all")
	git("commit", "--quiet", "-m", "merge")
	git("push", "--quiet", "origin", "HEAD:"+into)
	return git("rev-parse", "HEAD")
}

// Who has no write access does not decide what is allowed.
func TestScanOfForks(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newScanWorld(t, nil)
	fork, err := s.github.Fork(testRepo, "octo-stranger")
	if err != nil {
		t.Fatal(err)
	}
	head, err := s.github.CommitAs("octo-stranger", fork, "feature/fork", map[string]string{
		"t.txt":                  s.secret() + " # flaresmith:allow github-pat trust me\n",
		".github/flaresmith.yml": "secrets: off\n",
		".flaresmith-ignore.yml": "ignore: nonsense\n",
	}, "fork")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.github.OpenPR(testRepo, "Fork", "octo-stranger:feature/fork", "", "octo-stranger"); err != nil {
		t.Fatal(err)
	}
	if run := s.wantScan(head, "failure"); !annotated(run, "t.txt") {
		t.Errorf("annotations %+v", run.Annotations)
	}
	s.valid()
	s.wantNothingTold()
}

// What a push brought is scanned, and nothing where the default branch says that somebody else does it.
func TestScanOfPushes(t *testing.T) {
	t.Parallel()
	s := newScanWorld(t, nil)
	s.settle()
	s.wantScan(s.commit("main", map[string]string{"a.txt": "a\n"}, "a"), "success")
	s.wantScan(s.commit("main", map[string]string{"a.txt": "a " + s.secret() + "\n"}, "b"), "failure")
	s.wantScan(s.commit("main", map[string]string{"b.txt": "b\n"}, "c"), "success") // the check of the push before says it

	sha := s.commit("feature/new", map[string]string{"n.txt": s.secret() + "\n"}, "new")
	before := s.wantScan(sha, "failure")
	number := s.openPR("New", "feature/new")
	if after := s.wantScan(sha, "failure"); after.ID != before.ID {
		t.Errorf("the pull request has a check of its own")
	}
	if err := s.github.ClosePR(testRepo, number, "octo-dev"); err != nil {
		t.Fatal(err)
	}

	// The push of a second commit, delivered again when the pull request is closed, knows of its own range only.
	s.commit("feature/late", map[string]string{"l.txt": s.secret() + "\n"}, "first")
	s.openPR("Late", "feature/late")
	second := s.commit("feature/late", map[string]string{"l.txt": "\n"}, "second")
	s.wantScan(second, "failure")

	off := s.commit("main", map[string]string{".github/flaresmith.yml": "secrets: action\n"}, "not the app")
	s.settle()
	if runs := s.scans(off); len(runs) > 0 {
		t.Errorf("the server scanned where the action does: %+v", runs)
	}
	quiet := s.commit("feature/quiet", map[string]string{"q.txt": s.secret() + "\n"}, "quiet")
	s.openPR("Quiet", "feature/quiet")
	s.settle()
	if runs := s.scans(quiet); len(runs) > 0 {
		t.Errorf("the server scanned where the action does: %+v", runs)
	}
	s.commit("main", map[string]string{".github/flaresmith.yml": "secrets: app\n"}, "the app again")
	s.wantScan(quiet, "failure") // the change of the policy wakes it
	s.valid()
	s.wantNothingTold()
}

// GitHub's limits of lists are no reason to see less: beyond them trees are compared.
func TestScanOfManyFiles(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	s := newScanWorld(t, nil)
	files := map[string]string{}
	for i := range 3100 {
		files[fmt.Sprintf("many/%04d.txt", i)] = "the same\n"
	}
	files["many/zzz.txt"] = "different\n" + s.secret() + "\n"
	head := s.commit("feature/many", files, "many")
	s.openPR("Many", "feature/many")
	if run := s.wantScan(head, "failure"); !annotated(run, "many/zzz.txt") || len(run.Annotations) != 1 {
		t.Errorf("%s: annotations %+v", run.Title, run.Annotations)
	}
	before := len(s.github.Requests())
	next := s.commit("feature/many", map[string]string{"many/0000.txt": "another\n"}, "one more")
	s.wantScan(next, "failure")
	blobs := 0
	for _, r := range s.github.Requests()[before:] {
		if strings.Contains(r.Route, "/git/blobs/") {
			blobs++
		}
	}
	if blobs > 4 { // the new one and the one with the secret, for the push and for the pull request
		t.Errorf("%d contents were read again", blobs)
	}
	s.valid()
	s.wantNothingTold()
}

// GitHub that fails is asked again, and no check is green meanwhile; a check that it lost is written anew.
func TestScanOutlivesFaults(t *testing.T) {
	t.Parallel()
	s := newScanWorld(t, nil)
	s.settle()
	s.github.SetFaults(
		fault.Nth(1, 2, fault.OnRoute("GET /repos/{owner}/{repo}/git/blobs/{file_sha}", fault.Fault{Status: http.StatusBadGateway})),
		fault.Nth(1, 1, fault.OnRoute("POST /repos/{owner}/{repo}/check-runs", fault.Fault{Status: http.StatusInternalServerError})),
	)
	head := s.commit("feature/faults", map[string]string{"f.txt": s.secret() + "\n"}, "faults")
	s.openPR("Faults", "feature/faults")
	s.wantScan(head, "failure")
	s.wantNothingTold()
}
