package drift

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func file(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }

func entry(content string) Entry { return Entry{Target: "t", SHA256: Hash([]byte(content))} }

func TestPlan(t *testing.T) {
	t.Parallel()
	sealedBefore := string(Seal(1, "x.yaml", []byte("old body\n")))
	tests := []struct {
		name      string
		disk      fstest.MapFS
		manifest  map[string]Entry
		files     []File
		dirty     map[string]bool
		changes   []Change
		conflicts []Conflict
		status    Status
	}{
		{
			name:   "same content is clean, whoever wrote it",
			disk:   fstest.MapFS{"a.ts": file("a\n")},
			files:  []File{{"a.ts", "t", []byte("a\n"), false}},
			status: Clean,
		},
		{
			name:    "a new file",
			files:   []File{{"a.ts", "t", []byte("a\nb\n"), false}},
			changes: []Change{{Path: "a.ts", ChangeType: Created, LinesAdded: 2}},
			status:  Drift,
		},
		{
			name:     "a file as it was generated is replaced",
			disk:     fstest.MapFS{"a.ts": file("a\nb\nc\n")},
			manifest: map[string]Entry{"a.ts": entry("a\nb\nc\n")},
			files:    []File{{"a.ts", "t", []byte("a\nx\ny\nc\n"), false}},
			changes:  []Change{{Path: "a.ts", ChangeType: Modified, LinesAdded: 2, LinesRemoved: 1}},
			status:   Drift,
		},
		{
			name:    "a file that is written once and is not there",
			files:   []File{{"a.ts", "t", []byte("a\n"), true}},
			changes: []Change{{Path: "a.ts", ChangeType: Created, LinesAdded: 1}},
			status:  Drift,
		},
		{
			name:     "a file that is written once may be anything",
			disk:     fstest.MapFS{"a.ts": file("mine\n"), "b.ts": file("mine, from the beginning\n")},
			manifest: map[string]Entry{"a.ts": {"t", Hash([]byte("a\n")), true}},
			files:    []File{{"a.ts", "t", []byte("other\n"), true}, {"b.ts", "t", []byte("b\n"), true}},
			status:   Clean,
		},
		{
			name:     "a file that was written once goes with its spec while nobody touched it",
			disk:     fstest.MapFS{"a.ts": file("mine\n"), "b.ts": file("b\n")},
			manifest: map[string]Entry{"a.ts": {"t", Hash([]byte("a\n")), true}, "b.ts": {"t", Hash([]byte("b\n")), true}},
			changes:  []Change{{Path: "b.ts", ChangeType: Deleted, LinesRemoved: 1}},
			status:   Drift,
		},
		{
			name:    "a sealed file is ours without a manifest",
			disk:    fstest.MapFS{"a.ts": file(sealedBefore)},
			files:   []File{{"a.ts", "t", []byte("new\n"), false}},
			changes: []Change{{Path: "a.ts", ChangeType: Modified, LinesAdded: 1, LinesRemoved: 3}},
			status:  Drift,
		},
		{
			name:      "a sealed file that was changed by hand is not",
			disk:      fstest.MapFS{"a.ts": file(sealedBefore + "// mine\n")},
			files:     []File{{"a.ts", "t", []byte("new\n"), false}},
			conflicts: []Conflict{{Path: "a.ts", Reason: ManualDivergence}},
			status:    Conflicts,
		},
		{
			name:      "hand-made files in the way, committed or not",
			disk:      fstest.MapFS{"a.ts": file("mine\n"), "b.ts": file("mine\n")},
			files:     []File{{"a.ts", "t", []byte("a\n"), false}, {"b.ts", "t", []byte("b\n"), false}, {"c.ts", "t", []byte("c\n"), false}},
			dirty:     map[string]bool{"b.ts": true},
			changes:   []Change{{Path: "c.ts", ChangeType: Created, LinesAdded: 1}},
			conflicts: []Conflict{{Path: "a.ts", Reason: ManualDivergence}, {Path: "b.ts", Reason: Uncommitted}},
			status:    Conflicts,
		},
		{
			name:      "orphans go, unless they were changed; those that are gone already are forgotten",
			disk:      fstest.MapFS{"a.ts": file("a\n"), "b.ts": file("b, changed\n")},
			manifest:  map[string]Entry{"a.ts": entry("a\n"), "b.ts": entry("b\n"), "c.ts": entry("c\n")},
			changes:   []Change{{Path: "a.ts", ChangeType: Deleted, LinesRemoved: 1}},
			conflicts: []Conflict{{Path: "b.ts", Reason: ManualDivergence}},
			status:    Conflicts,
		},
		{
			name:     "files of targets that were not asked for stay",
			disk:     fstest.MapFS{"a.json": file("a\n")},
			manifest: map[string]Entry{"a.json": {Target: "other", SHA256: Hash([]byte("a\n"))}},
			status:   Clean,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Plan(tt.disk, Manifest{Head: Head{Files: tt.manifest}}, []string{"t"}, tt.files, func([]string) (map[string]bool, error) { return tt.dirty, nil })
			if err != nil {
				t.Fatal(err)
			}
			options := []cmp.Option{cmpopts.IgnoreUnexported(Change{}), cmpopts.IgnoreFields(Conflict{}, "Resolution"), cmpopts.EquateEmpty()}
			if diff := cmp.Diff(tt.changes, got.ChangedFiles, options...); diff != "" {
				t.Errorf("changes:\n%s", diff)
			}
			if diff := cmp.Diff(tt.conflicts, got.Conflicts, options...); diff != "" {
				t.Errorf("conflicts:\n%s", diff)
			}
			if got.Summary.Status != tt.status || got.Summary.TotalFiles != len(tt.files) {
				t.Errorf("got %+v, want %s", got.Summary, tt.status)
			}
		})
	}
}

func TestReadManifest(t *testing.T) {
	t.Parallel()
	m := string(Manifest{
		Head:     Head{Generation: 5, Inputs: "i", Files: map[string]Entry{"a\n  \"promises\": ": {Target: "t", SHA256: "s", Once: true}, "b": {Target: "t"}}},
		Promises: Promises{TablePromise: {"as": "primary key (id)"}},
	}.Bytes())
	with := func(old, fresh string) string { return strings.Replace(m, old, fresh, 1) }
	tests := []struct{ name, content, want string }{
		{"as it is written", m, ""},
		{"without promises", `{"generation": 5, "inputs": "i", "files": {}}`, ""},
		{"on one line", strings.ReplaceAll(m, "\n", ""), ""},
		{"with other ends of lines", strings.ReplaceAll(m, "\n", "\r\n"), ""},
		{"in another order", "{\n  \"generation\": 5,\n  \"promises\": {},\n  \"files\": {\"a\": {}}\n}\n", ""},
		{"older promises", with(`{
      "as": "primary key (id)"
    }`, `["as"]`), ""},
		{"files behind the promises", strings.TrimSuffix(m, "\n}\n") + ",\"files\": {\"c\": {\"target\": \"t\", \"sha256\": \"s\"}}}", ""},
		{"more behind its end", m + ">>>>>>> theirs\n", "damaged"},
		{"an unknown key behind the promises", strings.TrimSuffix(m, "\n}\n") + ", \"x\": 1}", "damaged"},
		{"empty", "", "damaged"},
		{"not merged", "<<<<<<< HEAD", "damaged"},
		{"promises that are not merged", with("    \"table\"", "<<<<<<< HEAD\n    \"table\""), "damaged"},
		{"cut off", m[:len(m)-8], "damaged"},
		{"outside", with(`"b"`, `"../b"`), "outside its folder"},
		{"outside, without promises", `{"files": {"../x": {}}}`, "outside its folder"},
		{"unknown key", with("generation", "generator"), "damaged"},
		{"unknown key, without promises", `{"file": {}}`, "damaged"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			disk := fstest.MapFS{ManifestPath: file(tt.content)}
			whole, err := ReadManifest(disk)
			head, headErr := ReadHead(disk)
			if tt.want == "" {
				if diff := cmp.Diff(whole.Head, head); diff != "" || err != nil || headErr != nil {
					t.Errorf("%v, %v\n%s", err, headErr, diff)
				}
				return
			}
			for _, err := range []error{err, headErr} {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			}
		})
	}
}

// TestLines compares the counts with those of git.
func TestLines(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git on this machine")
	}
	var long, other strings.Builder
	for i := range 3 * maxEdits {
		long.WriteString("line " + strconv.Itoa(i) + "\n")
		if i%7 != 0 {
			other.WriteString("line " + strconv.Itoa(i) + "\n")
		}
	}
	for _, tt := range [][2]string{
		{"", "a\n"}, {"a\n", ""}, {"a\nb\nc\n", "a\nc\nd\n"}, {"a\nb\nc\nd\ne\n", "x\nb\ny\nd\nz\n"},
		{"a\nb\na\nb\n", "b\na\nb\na\n"}, {"{\n}\n{\n}\n", "{\n}\n"}, {long.String(), other.String()}, {long.String(), "none of it\n"},
	} {
		dir := t.TempDir()
		write(t, dir+"/a", tt[0])
		write(t, dir+"/b", tt[1])
		cmd := exec.CommandContext(t.Context(), "git", "diff", "--no-index", "--minimal", "--numstat", "a", "b")
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil && cmd.ProcessState.ExitCode() != 1 {
			t.Fatal(err)
		}
		want := strings.Fields(string(out))[:2]
		added, removed := lines([]byte(tt[0]), []byte(tt[1]))
		if diff := cmp.Diff(want, []string{strconv.Itoa(added), strconv.Itoa(removed)}); diff != "" {
			t.Errorf("%.30q to %.30q (-git +ours):\n%s", tt[0], tt[1], diff)
		}
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSealOfStrangeNames: what a source is called ends no line of the head, which would be code from there on.
func TestSealOfStrangeNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a\nexport const b = 1;\n.yaml", "a\rb.yaml", "a\u2028b.yaml", "a\u2029b.yaml"} {
		content := Seal(1, name, []byte("export {};\n"))
		if !sealed(content) || strings.ContainsAny(string(content[:len(content)-len("export {};\n")]), "\r\u2028\u2029") {
			t.Errorf("%q gave %q", name, content)
		}
	}
}
