package secretscan

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	want := []string{
		"github-pat a \"quoted\"\tname ü.env:1 removes removes Ann",
		"github-pat merged.env:1 merge merge Ann",
		"github-pat new.env:1 removes removes Ann",
		"github-pat old.env:1 base base Ann",
		"github-pat removed.env:2 adds adds Ann",
		"github-pat side.env:1 side side Ann",
		"github-pat x.blob:1 removes last Ann",
	}
	r, names := history(t)
	if diff := cmp.Diff(want, r.scan(Request{Mode: History}, names)); diff != "" {
		t.Error("loose objects", diff)
	}
	r.git("gc", "--quiet", "--aggressive", "--prune=now")
	if diff := cmp.Diff(want, r.scan(Request{Mode: History}, names)); diff != "" {
		t.Error("a pack", diff)
	}
	borrower := newRepository(t)
	borrower.git("clone", "--quiet", "--bare", "--shared", r.dir, filepath.Join(borrower.dir, "bare"))
	borrower.dir = filepath.Join(borrower.dir, "bare")
	if diff := cmp.Diff(want, borrower.scan(Request{Mode: History}, names)); diff != "" {
		t.Error("objects of another repository", diff)
	}
	empty := newRepository(t)
	if list := empty.scan(Request{Mode: History}, nil); len(list) > 0 {
		t.Errorf("an empty repository: %v", list)
	}
}

// TestDeltas compares the scan of a pack, which looks only at what deltas bring, with the scan of every
// object as a whole. The history is made so that secrets come, go and move by every kind of change.
func TestDeltas(t *testing.T) {
	t.Parallel()
	seeds, commits := uint64(4), 40
	if testing.Short() {
		seeds, commits = 1, 12 // as many goroutines as of a long history
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			grow(r, seed, commits)
			r.git("-c", "pack.window=50", "repack", "-adfq", "--depth=50")
			p, err := readPast(t.Context(), Request{Dir: r.dir, Note: func(string) {}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			tasks := p.tasks(defaultMatcher())
			deltas, whole := map[oid][]Finding{}, map[oid][]Finding{}
			rest, err := p.scanPacks(t.Context(), Request{Dir: r.dir}, tasks, func(id oid, found []Finding) { deltas[id] = found })
			if err != nil || len(rest) > 0 {
				t.Fatalf("%d objects were not read, %v", len(rest), err)
			}
			all := texts{paths: map[oid][]string{}}
			for _, task := range tasks {
				all.ids, all.paths[task.id] = append(all.ids, task.id), task.paths
			}
			err = scanBlobs(t.Context(), Request{Dir: r.dir, Note: func(string) {}}, idSize, &all, func(id oid, found []Finding) { whole[id] = found })
			if err != nil {
				t.Fatal(err)
			}
			total := 0
			for _, task := range tasks {
				total += len(whole[task.id])
				sortFindings(whole[task.id])
				sortFindings(deltas[task.id])
				if diff := cmp.Diff(places(whole[task.id]), places(deltas[task.id])); diff != "" {
					t.Errorf("object %x: %s", task.id[:4], diff)
				}
			}
			if total < commits*5/4 {
				t.Errorf("only %d findings: the test says little", total)
			}
		})
	}
}

func places(found []Finding) []string {
	var list []string
	for _, f := range found {
		list = append(list, fmt.Sprintf("%s %s %d:%d %s", f.Rule, f.Path, f.Line, f.Column, f.Fingerprint))
	}
	return list
}

// grow makes a history of files that change a little at a time.
func grow(r *repository, seed uint64, commits int) {
	r.t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	lines := func() string {
		kinds := []func() string{
			func() string { return "TOKEN=" + githubToken(random.Uint64N(40)) },
			func() string { return "password: " + randomText(random.Uint64N(40), alnum, 30) },
			func() string { uri, _ := databaseURI(random.Uint64N(40)); return `url = "` + uri + `"` },
			func() string {
				return "-----BEGIN RSA PRIVATE" + " KEY-----\n" + randomText(random.Uint64(), alnum, 900) + "\n-----END RSA PRIVATE" + " KEY-----"
			},
			func() string { return "airtable and facebook and sourcegraph" },
			func() string { return randomText(random.Uint64N(40), hexAlnum, 40) },
		}
		if n := random.IntN(40); n < len(kinds) {
			return kinds[n]()
		}
		return "const " + randomText(random.Uint64(), lower, 3+random.IntN(60)) + " = \"" + randomText(random.Uint64(), lower+" ", random.IntN(80)) + "\";"
	}
	files := map[string][]string{}
	names := []string{"a.yml", "b.php", "c.txt", "d.tf"}
	for _, name := range names {
		for range 200 {
			files[name] = append(files[name], lines())
		}
	}
	var stream strings.Builder // for git fast-import
	for i := range commits {
		fmt.Fprintf(&stream, "commit refs/heads/main\ncommitter Ann <ann@acme.dev> %d +0000\ndata 0\n", 1_700_000_000+i)
		for _, name := range names {
			files[name] = changed(random, files[name], lines)
			text := strings.Join(files[name], "\n")
			fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
		}
	}
	r.feed(stream.String(), "fast-import", "--quiet")
}

// changed is a text with one small change.
func changed(random *rand.Rand, list []string, lines func() string) []string {
	list = slices.Clone(list)
	switch at := random.IntN(len(list)); random.IntN(6) {
	case 0:
		return slices.Insert(list, at, lines())
	case 1:
		return slices.Delete(list, at, at+1)
	case 2: // within a line, perhaps within a secret
		if cut := random.IntN(len(list[at]) + 1); cut > 0 {
			list[at] = list[at][:cut-1] + randomText(random.Uint64(), alnum, 1) + list[at][cut:]
		}
	case 3: // two lines become one
		list[at] += list[random.IntN(len(list))]
	case 4:
		list[at] = lines()
	default:
		return slices.Concat(list[at:], list[:at])
	}
	return list
}

func FuzzDelta(f *testing.F) {
	f.Add([]byte("hello"), []byte{5, 5, 0x90, 5})
	f.Add([]byte("hello"), []byte{5, 8, 0x91, 1, 3, 2, 'x', 'y', 0x90, 3})
	f.Add([]byte(""), []byte{0x80, 0x80, 0x80, 0x80, 0x80, 1, 0})
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		text, fresh, err := applyDelta(base, delta, nil)
		if err != nil {
			return
		}
		// What is not fresh is a copy: it must be somewhere in the base.
		at := 0
		for _, s := range append(fresh, span{len(text), len(text)}) {
			if s.from < at || s.to > len(text) {
				t.Fatalf("fresh %v of %d bytes", s, len(text))
			}
			if !bytes.Contains(base, text[at:s.from]) {
				t.Fatalf("bytes %d to %d are not of the base and not fresh", at, s.from)
			}
			at = s.to
		}
	})
}

func FuzzPack(f *testing.F) {
	dir := f.TempDir()
	f.Add([]byte("\xfftOc\x00\x00\x00\x02"), []byte("PACK"))
	r := newRepository(f)
	for i := range 3 {
		r.write("a.env", strings.Repeat("a line\n", 20+i)+"A="+githubToken(uint64(i)))
		r.commit("more")
	}
	r.git("gc", "--quiet")
	names, err := packsOf(f.Context(), r.dir)
	if err != nil || len(names) != 1 {
		f.Fatalf("packs %v, %v", names, err)
	}
	index, indexErr := os.ReadFile(names[0] + ".idx")
	data, dataErr := os.ReadFile(names[0] + ".pack")
	if err := errors.Join(indexErr, dataErr); err != nil {
		f.Fatal(err)
	}
	f.Add(index, data)
	f.Fuzz(func(t *testing.T, index, data []byte) {
		name := filepath.Join(dir, "pack-x")
		if os.WriteFile(name+".idx", index, 0o600) != nil || os.WriteFile(name+".pack", data, 0o600) != nil {
			t.Skip("no disk")
		}
		if len(index) >= ids+idSize {
			packs := pickersOf(dir)
			packs.text(oid(append(bytes.Clone(index[ids:ids+idSize]), make([]byte, 32-idSize)...)))
			packs.close()
		}
		p, err := openIndex(name)
		if err == nil {
			err = p.open(name)
		}
		if err != nil {
			return
		}
		defer p.close()
		tasks := map[int32]*task{}
		for i := range p.entries {
			if p.need(count32(i)) {
				tasks[count32(i)] = &task{paths: []string{"a.env"}}
			}
		}
		w := walker{unpacker: unpacker{pack: p}, searcher: newSearcher(defaultMatcher()), tasks: tasks, done: func(*task, []Finding, error) {}}
		for _, root := range p.roots() {
			w.walk(root)
		}
	})
}
