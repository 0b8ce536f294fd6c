package secretscan

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Of what lies in a working tree and is another repository's, a note tells; a bare repository has no tree, and
// nothing is not the same as nothing found.
func TestTreeOfRepositories(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	if found, err := Scan(t.Context(), Request{Mode: Tree, Dir: r.dir}); len(found) > 0 || err != nil {
		t.Errorf("an empty repository: %v, %v", found, err)
	}
	r.write("a.env", "A="+githubToken(71)+"\n")
	r.commit("one")
	r.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", r.dir, "parts/one")
	r.git("init", "--quiet", "parts/nested")
	r.write("parts/nested/b.env", "B="+githubToken(72)+"\n")
	var notes []string
	found, err := Scan(t.Context(), Request{Mode: Tree, Dir: r.dir, Note: func(text string) { notes = append(notes, text) }})
	if err != nil || len(found) != 1 || found[0].Path != "a.env" {
		t.Errorf("found %v, %v", found, err)
	}
	slices.Sort(notes)
	want := []string{"parts/nested is a repository of its own and was not scanned", "parts/one is a repository of its own and was not scanned"}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Error(diff)
	}
	bare := filepath.Join(t.TempDir(), "bare.git")
	r.git("clone", "--quiet", "--bare", r.dir, bare)
	for _, mode := range []Mode{Tree, Staged} {
		if found, err := Scan(t.Context(), Request{Mode: mode, Dir: bare}); !errors.Is(err, ErrNotScanned) {
			t.Errorf("%s of a bare repository: found %v, %v", mode, found, err)
		}
	}
}

// Names of files and of authors may hold secrets, too.
func TestNamesAreShownWithoutSecrets(t *testing.T) {
	t.Parallel()
	token := githubToken(73)
	s := newSearcher(defaultMatcher())
	err := s.unread("a/"+token+"/b", &fs.PathError{Op: "open", Path: token + "/b", Err: fs.ErrPermission})
	if !errors.Is(err, ErrNotScanned) || !errors.Is(err, fs.ErrPermission) || len(leaks(err.Error(), token)) > 0 {
		t.Errorf("a file that can't be read: %v", err)
	}
	r := newRepository(t)
	base := r.commit("none")
	r.write("a.env", "A="+githubToken(74)+"\n")
	r.git("add", ".")
	r.git("commit", "--quiet", "-m", "one", "--author", "Bob "+token+" <bob@acme.dev>")
	for _, request := range []Request{{Mode: History, Dir: r.dir}, {Mode: Range, Dir: r.dir, Range: base + "..HEAD"}} {
		found, err := Scan(t.Context(), request)
		if err != nil || len(found) != 1 {
			t.Fatalf("found %v, %v", found, err)
		}
		if text := printed(t, found); len(leaks(text, token)) > 0 || !strings.Contains(text, "by Bob ") {
			t.Errorf("an author's name is printed with what it holds:\n%s", text)
		}
	}
}

// TestTreeOfLinks scans where symbolic links lead as Git has it: as a text, in a repository and in a folder that is none.
func TestTreeOfLinks(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	uri, _ := databaseURI(1)
	if err := os.Symlink(uri, filepath.Join(r.dir, "link")); err != nil {
		t.Skip(err)
	}
	for _, what := range []string{"a repository", "a folder"} {
		if diff := cmp.Diff([]string{"database-uri link:1"}, r.scan(Request{Mode: Tree}, nil)); diff != "" {
			t.Error(what, diff)
		}
		if err := os.RemoveAll(filepath.Join(r.dir, ".git")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSparseTree has a checkout that leaves out files of the commit, of which a note tells. One that was deleted is none.
func TestSparseTree(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	for _, name := range []string{"in/a.txt", "out/b.txt", "out/c.txt", "out/d.png", "e.txt"} {
		r.write(name, "text\n")
	}
	r.commit("one")
	r.git("sparse-checkout", "set", "--cone", "--sparse-index", "in")
	if err := os.Remove(filepath.Join(r.dir, "e.txt")); err != nil {
		t.Fatal(err)
	}
	var notes []string
	_, err := Scan(t.Context(), Request{Mode: Tree, Dir: r.dir, Note: func(text string) { notes = append(notes, text) }})
	if diff := cmp.Diff([]string{"the checkout is sparse: 2 files of the commit are not in it and were not scanned"}, notes); diff != "" || err != nil {
		t.Error(err, diff)
	}
}
