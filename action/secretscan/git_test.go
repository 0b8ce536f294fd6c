package secretscan

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// repository is a real one, with commits of fixed times.
type repository struct {
	t    testing.TB
	dir  string
	time int

	later  []func()          // what a corpus does after all is planted
	merged map[string]string // what only its merge adds, by path
}

func newRepository(t testing.TB, options ...string) *repository {
	t.Helper()
	r := &repository{t: t, dir: t.TempDir()}
	r.git(append([]string{"init", "--quiet", "--initial-branch=main"}, options...)...)
	return r
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	return r.feed("", args...)
}

func (r *repository) feed(input string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Dir = r.dir
	date := fmt.Sprintf("2026-01-02T03:%02d:00Z", r.time)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull, "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date,
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@acme.dev", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@acme.dev")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repository) write(name, text string) {
	r.t.Helper()
	file := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *repository) commit(message string) string {
	r.t.Helper()
	r.time++
	r.git("add", "--all")
	r.git("commit", "--quiet", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

// scan gives "rule path:line" of each finding, and with commits " first last".
func (r *repository) scan(request Request, names map[string]string) []string {
	r.t.Helper()
	request.Dir = r.dir
	found, err := Scan(r.t.Context(), request)
	if err != nil {
		r.t.Fatal(err)
	}
	var list []string
	for _, f := range found {
		text := fmt.Sprintf("%s %s:%d", f.Rule, f.Path, f.Line)
		if f.First != nil {
			text += fmt.Sprintf(" %s %s %s", names[f.First.ID], names[f.Last.ID], f.First.Author)
		}
		list = append(list, text)
	}
	return list
}

func TestStaged(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, "--object-format="+format)
			r.write("a.env", "A="+githubToken(1)+"\n")
			r.git("add", "--all")
			if diff := cmp.Diff([]string{"github-pat a.env:1"}, r.scan(Request{Mode: Staged}, nil)); diff != "" {
				t.Error("before the first commit", diff)
			}
			r.commit("one")
			r.write("a.env", "x\nA="+githubToken(1)+"\nB="+githubToken(2)+"\n")
			r.write("moved.env", "A="+githubToken(1)+"\n")
			r.write("not-staged.env", "A="+githubToken(3)+"\n")
			r.git("add", "a.env", "moved.env")
			if diff := cmp.Diff([]string{"github-pat a.env:3"}, r.scan(Request{Mode: Staged}, nil)); diff != "" {
				t.Error(diff)
			}
			r.write("sub/dir/b.env", "A="+githubToken(4)+"\n")
			below := *r
			below.dir = filepath.Join(r.dir, "sub")
			if diff := cmp.Diff([]string{"github-pat sub/dir/b.env:1"}, below.scan(Request{Mode: Tree}, nil)); diff != "" {
				t.Error("a part of the tree", diff)
			}
			r.git("clean", "--quiet", "--force", "-d", "sub")
			if diff := cmp.Diff([]string{"github-pat a.env:2", "github-pat a.env:3", "github-pat moved.env:1", "github-pat not-staged.env:1"}, r.scan(Request{Mode: Tree}, nil)); diff != "" {
				t.Error("the tree", diff)
			}
		})
	}
}

// history makes a repository in which secrets are brought in every way that a log can hide.
func history(t *testing.T) (r *repository, names map[string]string) {
	t.Helper()
	r, names = newRepository(t), map[string]string{}
	commit := func(name string) { names[r.commit(name)] = name }
	r.write("old.env", "A="+githubToken(1)+"\n")
	r.write(".gitattributes", "*.blob -diff\n")
	commit("base")
	r.git("branch", "side")
	r.write("removed.env", "\nA="+githubToken(2)+"\n")
	commit("adds")
	r.git("rm", "--quiet", "removed.env")
	r.write("a \"quoted\"\tname ü.env", "A="+githubToken(3)+"\n")
	r.write("x.blob", "A="+githubToken(4)+"\n")
	r.git("mv", "old.env", "new.env")
	commit("removes")
	r.git("checkout", "--quiet", "side")
	r.write("side.env", "A="+githubToken(5)+"\n")
	commit("side")
	r.git("checkout", "--quiet", "main")
	r.time++
	r.git("merge", "--quiet", "--no-commit", "--no-ff", "side")
	r.write("merged.env", "A="+githubToken(6)+"\n")
	commit("merge")
	r.write("x.blob", "\nA="+githubToken(4)+"\n")
	commit("last")
	return r, names
}

func TestRange(t *testing.T) {
	t.Parallel()
	r, names := history(t)
	base := r.git("rev-list", "--max-parents=0", "HEAD")
	want := []string{
		"github-pat a \"quoted\"\tname ü.env:1 removes removes Ann",
		"github-pat merged.env:1 merge merge Ann",
		"github-pat removed.env:2 adds adds Ann",
		"github-pat side.env:1 side side Ann",
		"github-pat x.blob:1 removes last Ann",
	}
	if diff := cmp.Diff(want, r.scan(Request{Mode: Range, Range: base + "..HEAD"}, names)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"github-pat merged.env:1 merge merge Ann", "github-pat side.env:1 side side Ann"},
		r.scan(Request{Mode: Range, Range: "HEAD~2..HEAD~1"}, names)); diff != "" {
		t.Error("one merge", diff)
	}
	if list := r.scan(Request{Mode: Range, Range: "HEAD..HEAD"}, names); len(list) > 0 {
		t.Errorf("an empty range: %v", list)
	}
}

// TestRangeOfCopies has a secret in several lines of a file: as in a history, it is where it was first.
func TestRangeOfCopies(t *testing.T) {
	t.Parallel()
	r, names := newRepository(t), map[string]string{}
	base := r.commit("base")
	line := "A=" + githubToken(1) + "\n"
	r.write("a.env", "x\n"+line+line)
	names[r.commit("first")] = "first"
	r.write("a.env", line+line+line)
	names[r.commit("second")] = "second"
	want := []string{"github-pat a.env:2 first second Ann"}
	if diff := cmp.Diff(want, r.scan(Request{Mode: Range, Range: base + "..HEAD"}, names)); diff != "" {
		t.Error("range", diff)
	}
	if diff := cmp.Diff(want, r.scan(Request{Mode: History}, names)); diff != "" {
		t.Error("history", diff)
	}
}

// TestNotScanned holds ranges that can't be resolved to being errors, never an empty result.
func TestNotScanned(t *testing.T) {
	t.Parallel()
	r, _ := history(t)
	clone := t.TempDir()
	r.git("clone", "--quiet", "--depth=2", "file://"+r.dir, clone)
	tests := []struct{ name, dir, commits string }{
		{"no range", r.dir, ""},
		{"half a range", r.dir, "HEAD.."},
		{"three dots", r.dir, "HEAD~1...HEAD"},
		{"an unknown commit", r.dir, "1111111111111111111111111111111111111111..HEAD"},
		{"two ranges", r.dir, "HEAD~2..HEAD~1..HEAD"},
		{"an option", r.dir, "--all..HEAD"},
		{"nothing but what to leave out", r.dir, "HEAD~1..^HEAD"},
		{"something left out of what to leave out", r.dir, "^HEAD~1..HEAD"},
		{"all parents", r.dir, "HEAD~1..HEAD^@"},
		{"no commit", r.dir, "HEAD^{tree}..HEAD"},
		{"a shallow clone that lacks the start", clone, r.git("rev-list", "--max-parents=0", "HEAD") + "..HEAD"},
		{"no repository", t.TempDir(), "HEAD~1..HEAD"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if found, err := Scan(t.Context(), Request{Mode: Range, Dir: test.dir, Range: test.commits}); !errors.Is(err, ErrNotScanned) {
				t.Errorf("found %d, %v", len(found), err)
			}
		})
	}
	// A root that is in the range but has its parents cut off.
	shallow := &repository{t: t, dir: clone}
	empty := shallow.git("hash-object", "-t", "tree", os.DevNull)
	orphan := shallow.git("commit-tree", empty, "-m", "no history in common")
	if found, err := Scan(t.Context(), Request{Mode: Range, Dir: clone, Range: orphan + "..HEAD"}); !errors.Is(err, ErrNotScanned) {
		t.Errorf("a cut history: found %d, %v", len(found), err)
	}
}

// TestUnreadBefore takes away what was there before changes: that is read only to tell a new secret from a moved one.
func TestUnreadBefore(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.write("a.env", "A="+githubToken(1)+"\n")
	r.commit("one")
	old := r.git("rev-parse", "HEAD:a.env")
	if err := os.Remove(filepath.Join(r.dir, ".git", "objects", old[:2], old[2:])); err != nil {
		t.Fatal(err)
	}
	r.write("a.env", "A=\n")
	r.commit("two")
	if list := r.scan(Request{Mode: Range, Range: "HEAD~1..HEAD"}, nil); len(list) > 0 {
		t.Errorf("found %v", list)
	}
	r.git("reset", "--quiet", "--soft", "HEAD~1")
	if list := r.scan(Request{Mode: Staged}, nil); len(list) > 0 {
		t.Errorf("found %v", list)
	}
	r.write("a.env", "A="+githubToken(2)+"\n")
	r.git("add", "a.env")
	if found, err := Scan(t.Context(), Request{Mode: Staged, Dir: r.dir}); len(found) != 1 || !errors.Is(err, ErrNotScanned) {
		t.Errorf("found %d, %v", len(found), err)
	}
}

// TestStagedElsewhere scans what is staged where Git keeps it differently: in a linked working tree, in a split index,
// with a sparse checkout, with version 4 of the index, and with a monitor of the file system that must not be run.
func TestStagedElsewhere(t *testing.T) {
	t.Parallel()
	for name, set := range map[string][][]string{
		"a linked working tree": {{"worktree", "add", "--quiet", "linked"}},
		"a split index":         {{"update-index", "--split-index"}},
		"a sparse checkout":     {{"sparse-checkout", "set", "--cone", "--sparse-index", "in"}},
		"an index of version 4": {{"update-index", "--index-version", "4"}},
		"a monitor":             {{"config", "core.fsmonitor", "touch ran; false"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			for _, file := range []string{"in/a.txt", "out/b.txt", "c.txt"} {
				r.write(file, "text\n")
			}
			r.commit("one")
			for _, args := range set {
				r.git(args...)
			}
			if _, err := os.Stat(filepath.Join(r.dir, "linked")); err == nil {
				r.dir = filepath.Join(r.dir, "linked")
			}
			r.write("in/a.txt", "A="+githubToken(1)+"\n")
			r.git("-c", "core.fsmonitor=false", "add", "in")
			if diff := cmp.Diff([]string{"github-pat in/a.txt:1"}, r.scan(Request{Mode: Staged}, nil)); diff != "" {
				t.Error(diff)
			}
			if _, err := os.Stat(filepath.Join(r.dir, "ran")); err == nil {
				t.Error("the monitor was run")
			}
		})
	}
}

// TestRelativeDiffs scans in a folder of a repository whose owner sees only a folder's part of changes: what is scanned
// is the same for everybody.
func TestRelativeDiffs(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.write("sub/a.txt", "nothing\n")
	base := r.commit("one")
	r.write("b.env", "B="+githubToken(81)+"\n")
	r.git("config", "diff.relative", "true")
	r.git("add", ".")
	scan := func(request Request) {
		t.Helper()
		request.Dir = filepath.Join(r.dir, "sub")
		if found, err := Scan(t.Context(), request); err != nil || len(found) != 1 || found[0].Path != "b.env" {
			t.Errorf("%s: found %v, %v", request.Mode, found, err)
		}
	}
	scan(Request{Mode: Staged})
	r.commit("two")
	scan(Request{Mode: Range, Range: base + "..HEAD"})
	scan(Request{Mode: History})
}

// TestNamesInErrors names commits that are not there, as a branch may be called that somebody gave a token's name.
func TestNamesInErrors(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.write("a.txt", "nothing\n")
	r.commit("one")
	token := githubToken(82)
	for _, commits := range []string{"HEAD.." + token, token + "..HEAD", "feature/" + token, "-" + token + ".."} {
		_, err := Scan(t.Context(), Request{Mode: Range, Dir: r.dir, Range: commits})
		if !errors.Is(err, ErrNotScanned) || len(leaks(err.Error(), token)) > 0 {
			t.Errorf("%s: %v", strings.ReplaceAll(commits, token, "…"), err)
		}
	}
}

// TestRangeFiles lists what a scan of a range reads, which a partial clone may have to fetch: files before and after their
// changes, and none of those in which nothing is reported.
func TestRangeFiles(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, "--object-format="+format)
			r.write("a.txt", "one\n")
			r.write("gone.txt", "gone\n")
			base := r.commit("one")
			r.git("checkout", "--quiet", "-b", "side")
			r.write("side.txt", "side\n")
			r.commit("side\n\n:100644 100644 of no meaning")
			r.git("checkout", "--quiet", "main")
			r.write("sub/a.txt", "one\n") // the same once more
			r.write("a.txt", "two\n")
			r.write("package-lock.json", "{}\n")
			r.git("rm", "--quiet", "gone.txt")
			r.commit("two")
			r.git("merge", "--quiet", "--no-commit", "--no-ff", "side")
			r.write("merged.txt", "merged\n")
			r.commit("merge")
			r.git("config", "diff.relative", "true")
			r.git("config", "log.showSignature", "true")
			var want []string
			for _, name := range []string{base + ":a.txt", base + ":gone.txt", "HEAD:side.txt", "HEAD:a.txt", "HEAD:merged.txt"} {
				want = append(want, r.git("rev-parse", name))
			}
			printed := r.git(append([]string{"-C", "sub"}, RangeLog(base, "HEAD")...)...)
			got, err := RangeFiles(strings.NewReader(printed))
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

// TestReplaced changes a short password in its place, which has the other's fingerprint: it is new, and the line that is
// only moved is not.
func TestReplaced(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	line := func(password string) string {
		return "DATABASE_URL=postgres" + "://app:" + password + "@db.acme.dev/shop\n"
	}
	r.write("a.env", line(randomText(1, alnum, 12)))
	base := r.commit("one")
	r.write("a.env", "\n"+line(randomText(1, alnum, 12)))
	r.git("add", ".")
	if list := r.scan(Request{Mode: Staged}, nil); len(list) > 0 {
		t.Errorf("moved: %q", list)
	}
	r.write("a.env", line(randomText(2, alnum, 12)))
	r.git("add", ".")
	want := []string{"database-uri a.env:1"}
	if diff := cmp.Diff(want, r.scan(Request{Mode: Staged}, nil)); diff != "" {
		t.Error("staged", diff)
	}
	two := r.commit("two")
	if diff := cmp.Diff([]string{want[0] + " two two Ann"}, r.scan(Request{Mode: Range, Range: base + ".." + two}, map[string]string{two: "two"})); diff != "" {
		t.Error("range", diff)
	}
}

// TestPointers has a file that Git LFS keeps elsewhere: each mode says that it was not scanned. A message or a stream with the
// same text is no file.
func TestPointers(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	base := r.commit("one")
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + strings.Repeat("0a", 32) + "\nsize 12345\n"
	r.write("a.data", pointer)
	r.git("add", ".")
	cache := t.TempDir()
	try := func(request Request) {
		t.Helper()
		var notes []string
		request.Dir, request.Note = r.dir, func(text string) { notes = append(notes, text) }
		found, err := Scan(t.Context(), request)
		if diff := cmp.Diff([]string{"1 files are kept in Git LFS and were not scanned: their pointers were"}, notes); diff != "" || len(found) > 0 || err != nil {
			t.Errorf("%s: found %d, %v: %s", request.Mode, len(found), err, diff)
		}
	}
	try(Request{Mode: Staged})
	try(Request{Mode: Tree})
	r.commit(pointer)
	try(Request{Mode: Range, Range: base + "..HEAD"})
	try(Request{Mode: History, Cache: cache})
	try(Request{Mode: History, Cache: cache})
	found, err := Scan(t.Context(), Request{Mode: Stdin, Input: strings.NewReader(pointer), Note: func(text string) { t.Errorf("a stream: %s", text) }})
	if len(found) > 0 || err != nil {
		t.Errorf("a stream: found %d, %v", len(found), err)
	}
}
