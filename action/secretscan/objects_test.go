package secretscan

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What lies unpacked is read without Git, also from a folder below; what is not what it says it is, is left to Git,
// which complains.
func TestLooseObjects(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, "--object-format="+format)
			r.write("sub/a.txt", "one\n")
			r.write("b.txt", "two\n")
			r.commit("one")
			ids := make([]oid, 2)
			for i, name := range []string{"sub/a.txt", "b.txt"} {
				ids[i], _ = parseOID([]byte(r.git("rev-parse", "HEAD:"+name)))
			}
			size := sizeOfIDs([]change{{now: ids[0]}})
			objects := objectsOf(filepath.Join(r.dir, "sub"), size)
			if text, ok := objects.loose(ids[0]); !ok || string(text) != "one\n" {
				t.Errorf("read %q, %t", text, ok)
			}
			r.git("worktree", "add", "--quiet", filepath.Join(r.dir, "linked"))
			if text, ok := objectsOf(filepath.Join(r.dir, "linked", "sub"), size).loose(ids[0]); !ok || string(text) != "one\n" {
				t.Errorf("from a linked working tree: read %q, %t", text, ok)
			}
			r.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "file://"+r.dir, "module")
			r.write("module/new.txt", "three\n")
			within, _ := parseOID([]byte(r.git("-C", "module", "hash-object", "-w", "new.txt")))
			if text, ok := objectsOf(filepath.Join(r.dir, "module"), size).loose(within); !ok || string(text) != "three\n" {
				t.Errorf("from a submodule: read %q, %t", text, ok)
			}
			at := func(id oid) string { return filepath.Join(objects.folder, id.text(size)[:2], id.text(size)[2:]) }
			other, err := os.ReadFile(at(ids[1]))
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range map[string][]byte{"another object": other, "a part": other[:8], "nothing": nil, "no object": []byte("x")} {
				if err := os.Remove(at(ids[0])); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(at(ids[0]), text, 0o600); err != nil {
					t.Fatal(err)
				}
				if text, ok := objects.loose(ids[0]); ok {
					t.Errorf("%s: read %q", name, text)
				}
			}
		})
	}
}

// TestOwnObjects looks into no repository but the one that Git takes: whose it is, Git has looked at.
func TestOwnObjects(t *testing.T) {
	outer, other := newRepository(t), newRepository(t)
	bare := filepath.Join(outer.dir, "bare")
	outer.git("init", "--quiet", "--bare", bare)
	for _, dir := range []string{bare, filepath.Join(bare, "refs")} {
		if got := objectsOf(dir, idSize).folder; got != filepath.Join(bare, "objects") {
			t.Errorf("in a bare repository within a working tree: %s", got)
		}
	}
	other.commit("one")
	linked := filepath.Join(other.dir, "linked")
	other.git("worktree", "add", "--quiet", linked)
	for _, name := range []string{other.git("-C", linked, "rev-parse", "--absolute-git-dir"), filepath.Join(other.dir, ".git")} {
		t.Setenv("GIT_DIR", name)
		if got, want := objectsOf(outer.dir, idSize).folder, filepath.Join(other.dir, ".git", "objects"); got != want {
			t.Errorf("with GIT_DIR=%s: %s", name, got)
		}
	}
}

// TestPickedObjects compares what is picked out of packs with what Git reads, for each object of packs of every kind;
// of a form that is not read here, or damaged, nothing is given.
func TestPickedObjects(t *testing.T) {
	oneGoroutine(t)
	t.Parallel()
	tests := []struct {
		name    string
		repack  []string // or how the repository is changed otherwise
		reindex string   // the option of index-pack
		damage  func(data []byte)
		none    bool
	}{
		{name: "usual", repack: []string{"repack", "-adfq"}},
		{name: "long chains", repack: []string{"-c", "pack.window=50", "repack", "-adfq", "--depth=200"}},
		{name: "bases by id", repack: []string{"-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq"}},
		{name: "two packs and an index of both", repack: []string{"repack", "-dq", "--write-midx"}},
		{name: "offsets of 64 bits", repack: []string{"repack", "-adfq"}, reindex: "--index-version=2,0x40"},
		{name: "the index of before 2007", repack: []string{"repack", "-adfq"}, reindex: "--index-version=1", none: true},
		{name: "damaged data", repack: []string{"repack", "-adfq"}, damage: func(data []byte) {
			for i := 12; i < len(data); i++ {
				data[i] ^= 0x55
			}
		}, none: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			grow(r, 5, 40) // fast-import writes a pack
			r.write("new.txt", "new\n")
			r.commit("new")
			r.git(test.repack...)
			packs, err := packsOf(t.Context(), r.dir)
			if err != nil || len(packs) == 0 {
				t.Fatalf("packs %v, %v", packs, err)
			}
			for _, name := range packs {
				if test.reindex != "" {
					r.git("index-pack", test.reindex, "-o", "new.idx", name+".pack")
					if err := os.Rename(filepath.Join(r.dir, "new.idx"), name+".idx"); err != nil {
						t.Fatal(err)
					}
				}
			}
			var list []oid
			for line := range strings.SplitSeq(r.git("cat-file", "--batch-all-objects", "--batch-check"), "\n") {
				if fields := strings.Fields(line); fields[1] == "blob" {
					id, _ := parseOID([]byte(fields[0]))
					list = append(list, id)
				}
			}
			if len(list) < 100 {
				t.Errorf("only %d objects: the test says little", len(list))
			}
			want := make([]string, len(list))
			if err := blobs(t.Context(), r.dir, idSize, list, func(i int, text []byte, err error) error {
				want[i] = string(text)
				return err
			}, func(i int, size int64, _ io.Reader) error { return fmt.Errorf("object %d has %d bytes", i, size) }); err != nil {
				t.Fatal(err)
			}
			for _, name := range packs {
				if test.damage != nil {
					rewrite(t, name+".pack", test.damage)
				}
			}
			objects := objectsOf(r.dir, idSize)
			for i, id := range list {
				got, none := "", true
				left, err := objects.each([]oid{id}, func(_ oid, text []byte) error {
					got, none = string(text), false
					return nil
				})
				if err != nil || none != test.none || len(left) == 1 != test.none || !none && got != want[i] {
					t.Fatalf("%x: got %d bytes of %d, left %d, %v", id[:4], len(got), len(want[i]), len(left), err)
				}
			}
		})
	}
}

func rewrite(t *testing.T, name string, change func([]byte)) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	change(text)
	if err := errors.Join(os.Chmod(name, 0o600), os.WriteFile(name, text, 0o600)); err != nil {
		t.Fatal(err)
	}
}
