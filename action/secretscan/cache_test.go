package secretscan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// both scans a history with a cache and without one, and expects the same of both.
func (r *repository) both(cache string) (found []Finding, notes []string) {
	r.t.Helper()
	ask := Request{Mode: History, Dir: r.dir, Note: func(text string) { notes = append(notes, text) }}
	want, err := Scan(r.t.Context(), ask)
	if err != nil {
		r.t.Fatal(err)
	}
	notes = nil
	ask.Cache = cache
	found, err = Scan(r.t.Context(), ask)
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(want, found, cmpopts.IgnoreUnexported(Finding{}), cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(time.Second)); diff != "" {
		r.t.Errorf("with a cache the findings differ:\n%s", diff)
	}
	return found, notes
}

func TestHistoryCache(t *testing.T) {
	t.Parallel()
	r, cache := newRepository(t), filepath.Join(t.TempDir(), "cache")
	r.both(cache) // nothing yet
	r.write("a.env", "A="+githubToken(1)+"\n")
	r.commit("one")
	r.both(cache)
	before := r.marked(cache) // from here on the findings tell whether the cache was used
	r.write("b.env", "B="+githubToken(2)+"\nA="+githubToken(1)+"\n")
	r.write("a.env", "# moved down\nA="+githubToken(1)+"\n")
	r.commit("two")
	found, err := Scan(t.Context(), Request{Mode: History, Dir: r.dir, Cache: cache})
	if err != nil || len(found) != 3 {
		t.Fatalf("%d findings, %v", len(found), err)
	}
	used := 0
	for _, f := range found {
		if strings.Contains(f.Description, "from the cache") {
			used++
		}
	}
	if used != 1 {
		t.Errorf("%d findings are from the cache, want 1", used)
	}
	if err := os.WriteFile(filepath.Join(cache, cacheFile), before, 0o600); err != nil { // as it was
		t.Fatal(err)
	}
	r.both(cache) // one new commit
	r.both(cache) // none

	text, err := os.ReadFile(filepath.Join(cache, cacheFile))
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(3) {
		if list := leaks(string(text), githubToken(seed)); len(list) > 0 {
			t.Errorf("the cache holds a value: %v", list)
		}
	}

	r.git("checkout", "--quiet", "--orphan", "other")
	r.git("branch", "--quiet", "--delete", "--force", "main") // what was seen is no part of the history any more
	r.git("rm", "--quiet", "--cached", "a.env", "b.env")
	for _, name := range []string{"a.env", "b.env"} {
		if err := os.Remove(filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.write("c.env", "C="+githubToken(3)+"\n")
	r.commit("another beginning")
	if found, _ := r.both(cache); len(found) != 1 {
		t.Errorf("%d findings of a rewritten history, want 1", len(found))
	}
	for _, bad := range []string{"", "{", `{"generation":1,"tips":["x"]}`} {
		if err := os.WriteFile(filepath.Join(cache, cacheFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		r.both(cache)
	}
}

// marked marks the cache's findings, and gives the cache as it was.
func (r *repository) marked(cache string) []byte {
	r.t.Helper()
	name := filepath.Join(cache, cacheFile)
	text, err := os.ReadFile(name)
	if err != nil {
		r.t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(text), `"description":"`, `"description":"from the cache: `)
	if err := os.WriteFile(name, []byte(changed), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return text
}

// TestHistoryCacheGrows adds to a history bit by bit, with branches and merges, and compares each time.
func TestHistoryCacheGrows(t *testing.T) {
	t.Parallel()
	r, cache := newRepository(t), t.TempDir()
	for step := range uint64(6) {
		if step == 2 {
			r.git("checkout", "--quiet", "-b", "side")
		}
		r.write("file.env", "X="+githubToken(step)+"\nY="+githubToken(step/2)+"\n")
		r.commit("a step")
		if step == 3 {
			r.git("checkout", "--quiet", "main")
			r.write("other.env", "Z="+githubToken(9)+"\n")
			r.commit("beside")
			r.time++
			r.git("merge", "--quiet", "--no-edit", "side")
		}
		r.both(cache)
	}
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "baseline.json")
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder := filepath.Join(dir, "tree")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(folder, "old.env"), "A="+githubToken(1)+"\n")
	old, err := Scan(t.Context(), Request{Mode: Tree, Dir: folder})
	if err != nil || len(old) != 1 {
		t.Fatalf("%d findings, %v", len(old), err)
	}
	var report strings.Builder
	if err := (Report{Findings: old}).WriteJSON(&report); err != nil {
		t.Fatal(err)
	}
	write(file, report.String())
	write(filepath.Join(folder, "moved.env"), "# elsewhere\nB="+githubToken(1)+"\nC="+githubToken(2)+"\n")
	var notes []string
	found, err := Scan(t.Context(), Request{Mode: Tree, Dir: folder, Baseline: file, Note: func(text string) { notes = append(notes, text) }})
	if err != nil || len(found) != 1 || found[0].Path != "moved.env" || found[0].Line != 3 {
		t.Errorf("%+v, %v", found, err)
	}
	if diff := cmp.Diff([]string{"2 findings of the baseline are left out"}, notes); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "[]", "{}", "key=" + githubToken(4)} {
		write(file, bad)
		_, err := Scan(t.Context(), Request{Mode: Tree, Dir: folder, Baseline: file})
		if err == nil || len(leaks(err.Error(), githubToken(4))) > 0 {
			t.Errorf("a baseline of %q: %v", bad[:min(len(bad), 3)], err)
		}
	}
}

func TestShallowHistory(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	for _, name := range []string{"a", "b"} {
		r.write(name, "x\n")
		r.commit(name)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	r.git("clone", "--quiet", "--depth=1", "file://"+r.dir, clone)
	var notes []string
	if _, err := Scan(t.Context(), Request{Mode: History, Dir: clone, Note: func(text string) { notes = append(notes, text) }}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"the clone is shallow: what is older was not scanned"}, notes); diff != "" {
		t.Error(diff)
	}
}
