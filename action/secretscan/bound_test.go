package secretscan

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// many is a file of so many secrets, each another one.
func many(seed, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "TOKEN=%s\n", githubToken(uint64(seed*1_000_000+i)))
	}
	return b.String()
}

// TestTooManyInAFile has more secrets in a file than are kept of one. In each mode the others are counted, no report is that
// of a complete scan, and what the ignore file names is not said to be unneeded.
func TestTooManyInAFile(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	base := r.commit("one")
	const kept, others = 20, 30
	text := many(1, kept+others)
	r.write("a.txt", text)
	r.write(IgnoreFile, "ignore:\n- rule: github-pat\n  fingerprint: "+strings.Repeat("0", 32)+"\n  reason: among those that are cut\n  expires: 2027-01-31\n")
	r.git("add", ".")
	cache := t.TempDir()
	try := func(name string, request Request) {
		t.Helper()
		var notes []string
		request.Dir, request.Now = r.dir, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		request.Note = func(text string) { notes = append(notes, text) }
		request.more = &more{inText: maxMatches, inFile: kept, inScan: maxKept}
		found, err := Scan(t.Context(), request)
		counted, alone := Cut(err)
		if diff := cmp.Diff(map[Tier]int{Certain: others}, counted); diff != "" || !alone || len(found) != kept || errors.Is(err, ErrNotScanned) {
			t.Errorf("%s: found %d, alone %t, %v: %s", name, len(found), alone, err, diff)
		}
		if len(notes) > 0 {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
	try("staged", Request{Mode: Staged})
	try("tree", Request{Mode: Tree})
	try("a stream", Request{Mode: Stdin, Input: strings.NewReader(text)})
	try("a long stream", Request{Mode: Stdin, Input: strings.NewReader(text + strings.Repeat("\n", maxWindow))})
	r.commit("many")
	try("a range", Request{Mode: Range, Range: base + "..HEAD"})
	try("a history", Request{Mode: History, Cache: cache})
	try("a history, of which no cache has a part", Request{Mode: History, Cache: cache})
	r.git("gc", "--quiet")
	try("a packed history", Request{Mode: History, Cache: cache})
}

// TestSurestAreKept has what is sure behind a lot that is not.
func TestSurestAreKept(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 50 {
		fmt.Fprintf(&b, "key='%s'\n", randomText(uint64(i), alnum, 30))
	}
	b.WriteString("TOKEN=" + githubToken(1) + "\n")
	found, err := Scan(t.Context(), Request{Mode: Stdin, Input: strings.NewReader(b.String()), more: &more{inText: 20, inFile: 10, inScan: 10}})
	counted, _ := Cut(err)
	if len(found) != 10 || found[0].Rule != "github-pat" || counted[Certain] > 0 || counted[Generic] < 30 {
		t.Errorf("found %d, more %v, %v", len(found), counted, err)
	}
	if made := NewReport(found[1:], err); made.Reaches(Likely) || !made.Reaches(Generic) || made.Complete {
		t.Errorf("reaches %t and %t, complete %t", made.Reaches(Likely), made.Reaches(Generic), made.Complete)
	}
}

// TestTooManyDecoded has more secrets in the encoded parts of a text than are held of it, as few in each part.
func TestTooManyDecoded(t *testing.T) {
	t.Parallel()
	const held, parts, each = 20, 5, 10
	var once strings.Builder
	for i := range parts {
		tokens := strings.ReplaceAll(many(i, each), "TOKEN=", "") // which other rules match, too
		once.WriteString(base64.StdEncoding.EncodeToString([]byte(tokens)) + "\n" + strings.Repeat("\n", margin))
	}
	for name, text := range map[string]string{"once": once.String(), "twice": base64.StdEncoding.EncodeToString([]byte(once.String()))} {
		found, err := Scan(t.Context(), Request{Mode: Stdin, Input: strings.NewReader(text), more: &more{inText: held, inFile: maxFound, inScan: maxKept}})
		counted, alone := Cut(err)
		if diff := cmp.Diff(map[Tier]int{Certain: parts*each - held}, counted); diff != "" || !alone || len(found) != held {
			t.Errorf("%s: found %d, %v: %s", name, len(found), err, diff)
		}
	}
}

// TestTooManyInAScan has more secrets in many files than are kept of a scan, each file in two versions.
func TestTooManyInAScan(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	const kept, files = 20, 8
	for _, version := range []string{"", "second\n"} {
		for i := range files {
			r.write(fmt.Sprintf("%d.txt", i), version+many(i, 5))
		}
		r.commit("many")
	}
	for _, mode := range []Mode{Tree, History} {
		found, err := Scan(t.Context(), Request{Mode: mode, Dir: r.dir, more: &more{inText: 100, inFile: 100, inScan: kept}})
		counted, _ := Cut(err)
		if len(found) != kept || counted[Certain] < 5*files-kept {
			t.Errorf("%s: found %d, more %v, %v", mode, len(found), counted, err)
		}
		for i, f := range found {
			if want := fmt.Sprintf("%d.txt", i/5); mode == Tree && f.Path != want {
				t.Errorf("finding %d is in %s, want %s", i, f.Path, want)
			}
		}
	}
}

// TestReportsAreCut looks at what reports say of a list that is cut, as long as it can be.
func TestReportsAreCut(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: ten thousand findings of one text are one goroutine's work")
	}
	all := make([]Finding, maxKept+100)
	by := &Commit{ID: strings.Repeat("a", 40), Author: "Ann Example", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for i := range all {
		all[i] = Finding{Rule: "github-pat", Description: "Somebody who has it can do what its owner can.", Tier: Certain, Path: "some/folder/of/a/repository/a.txt",
			Line: i + 1, Column: 1, EndLine: i + 1, EndColumn: 40, Fingerprint: fmt.Sprintf("%032d", i), First: by, Last: by}
	}
	m := newMore()
	found := m.keep(all, m.inScan)
	made := NewReport(found, m.error())
	var text, object, sarif bytes.Buffer
	if err := errors.Join(made.WriteText(&text), made.WriteJSON(&object), made.WriteSARIF(&sarif)); err != nil {
		t.Fatal(err)
	}
	if want := "\n50000 certain, 0 likely, 0 generic; the list is cut, and not in it are 100 certain, 0 likely, 0 generic more\n"; !strings.HasSuffix(text.String(), want) {
		t.Errorf("printed …%q", text.String()[text.Len()-200:])
	}
	var read Report
	if err := json.Unmarshal(object.Bytes(), &read); err != nil || read.Complete || read.More[Certain] != 100 {
		t.Errorf("JSON: complete %t, more %v, %v", read.Complete, read.More, err)
	}
	var log sarifLog
	if err := json.Unmarshal(sarif.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	want := []sarifInvocation{{Notifications: []sarifNotification{
		{"error", sarifText{"The list of findings is cut: 100 certain, 0 likely, 0 generic more are not in it."}},
		{"warning", sarifText{"GitHub takes 25000 results of a run: 25000 findings more, the least sure, are in the report's JSON only."}},
	}}}
	if diff := cmp.Diff(want, log.Runs[0].Invocations); diff != "" || len(log.Runs[0].Results) != maxResults {
		t.Errorf("SARIF with %d results: %s", len(log.Runs[0].Results), diff)
	}
	text.Reset()
	if err := NewReport(found[:1], errors.Join(m.error(), ErrNotScanned)).WriteText(&text); err != nil || !strings.Contains(text.String(), "\nnot everything was scanned; found until then: 1 certain") {
		t.Errorf("printed %q, %v", &text, err)
	}
	baseline := filepath.Join(t.TempDir(), "baseline.json") // as many as are kept are not too many for it
	if err := os.WriteFile(baseline, object.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if known, err := readBaseline(baseline); err != nil || len(known) != maxKept {
		t.Errorf("a baseline of %d MiB: %d are known, %v", object.Len()>>20, len(known), err)
	}
}

// TestContentsAreBounded has more secrets than are kept in a text that a caller has, and in all of them.
func TestContentsAreBounded(t *testing.T) {
	t.Parallel()
	c, err := NewContents(Trust{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.kept = maxKept - 3
	for _, want := range []struct {
		found int
		left  []string
	}{{2, nil}, {1, []string{"a.txt holds more secrets than are listed: 1 certain, 0 likely, 0 generic more"}}} {
		found, left, err := c.Scan("a.txt", "a.txt", []byte(many(1, 2)))
		more, _ := Cut(err)
		if diff := cmp.Diff(want.left, left); diff != "" || len(found) != want.found || more[Certain] != len(want.left) {
			t.Errorf("found %d, %v: %s", len(found), err, diff)
		}
	}
}

// Several scans make one report: each may be cut, and nothing else may be wrong.
func TestCutOfSeveralScans(t *testing.T) {
	t.Parallel()
	one, two := &CutError{map[Tier]int{Likely: 2}}, &CutError{map[Tier]int{Likely: 1, Generic: 5}}
	for _, tt := range []struct {
		name  string
		err   error
		more  map[Tier]int
		alone bool
	}{
		{"none", nil, nil, false},
		{"one, and a text", errors.Join(one, nil), map[Tier]int{Likely: 2}, true},
		{"two", errors.Join(errors.Join(nil, one), two), map[Tier]int{Likely: 3, Generic: 5}, true},
		{"with another fault", errors.Join(one, ErrNotScanned), map[Tier]int{Likely: 2}, false},
		{"within another fault", fmt.Errorf("a text: %w", one), map[Tier]int{Likely: 2}, false},
	} {
		more, alone := Cut(tt.err)
		if diff := cmp.Diff(tt.more, more); diff != "" || alone != tt.alone {
			t.Errorf("%s: alone %t (-want +got):\n%s", tt.name, alone, diff)
		}
	}
}

// TestManyMatchesInManyFiles has a text with many secrets in many files, of which the first ones' findings are kept. What is
// shown and asked of each path would take minutes, were it done for all of them.
func TestManyMatchesInManyFiles(t *testing.T) {
	t.Parallel()
	const secrets, files = 300, 400
	text := many(7, secrets)
	var paths []string
	for i := range files {
		paths = append(paths, fmt.Sprintf("%s/%d.txt", strings.Repeat("folder/", 30), i))
	}
	s := newSearcher(defaultMatcher())
	s.more = newMore()
	shown := map[string]int{}
	found, err := s.file("many", []byte(text), paths)
	for _, f := range found {
		shown[f.Path]++
	}
	first, last := shown[paths[0]], shown[paths[maxFound/secrets]]
	if left := int(s.more.certain.Load()); err != nil || len(found) != maxFound || first != secrets || last != maxFound%secrets || left != secrets*files-maxFound {
		t.Errorf("%d found, %d and %d in the first and the last file that has some, %d left, %v", len(found), first, last, left, err)
	}
	list := s.matches([]byte(text), everything([]byte(text)), paths)
	if a, b := list[0].places, list[secrets-1].places; len(list) != secrets || len(a) != files || &a[0] != &b[0] {
		t.Errorf("%d matches with lists of %d files of their own", len(list), len(a))
	}
}
