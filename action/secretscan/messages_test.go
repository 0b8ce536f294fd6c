package secretscan

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMessages has secrets in messages of commits: they are found where they were first, by everything that reads
// commits, and can be allowed as those in files.
func TestMessages(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t, "--object-format="+format)
			names := map[string]string{}
			commit := func(name, message string) string {
				id := r.commit(message)
				names[id] = name
				return id
			}
			r.write("a.txt", "x\n")
			base := commit("base", "base, "+githubToken(1))
			r.write("b.txt", "B="+githubToken(2)+"\n")
			first := commit("first", "first\n\nTried with "+githubToken(3))
			commit("again", "again, with "+githubToken(3)+"\n\n"+githubToken(4)+" flaresmith:allow github-pat a test's own")
			scan := func(request Request) []string {
				list := r.scan(request, names)
				slices.Sort(list) // commits have other ids in each format
				return list
			}
			want := []string{"github-pat :1 base base Ann", "github-pat :3 first again Ann", "github-pat b.txt:1 first first Ann"}
			if diff := cmp.Diff(want, scan(Request{Mode: History})); diff != "" {
				t.Error("history", diff)
			}
			if diff := cmp.Diff(want[1:], scan(Request{Mode: Range, Range: base + "..HEAD"})); diff != "" {
				t.Error("range", diff)
			}
			found, _ := r.both(filepath.Join(t.TempDir(), "cache"))
			var said Finding
			for _, f := range found {
				if f.First.ID == first && f.Path == "" {
					said = f
				}
			}
			if want := "the message of commit " + first[:10]; said.Text != want {
				t.Errorf("text %q, want %q", said.Text, want)
			}
			var text, sarif bytes.Buffer
			if err := (Report{Complete: true, Findings: []Finding{said}}).WriteText(&text); err != nil || !strings.HasPrefix(text.String(), said.Text+":3:12: github-pat (certain)") {
				t.Errorf("printed %q, %v", &text, err)
			}
			if err := (Report{Complete: true, Findings: []Finding{said}}).WriteSARIF(&sarif); err != nil || !strings.Contains(sarif.String(), `"uri": "commit-messages/`+first+`"`) {
				t.Errorf("SARIF %s, %v", &sarif, err)
			}

			baseline, err := os.Create(filepath.Join(t.TempDir(), "baseline.json"))
			if err != nil {
				t.Fatal(err)
			}
			if err := (Report{Complete: true, Findings: found}).WriteJSON(baseline); err != nil {
				t.Fatal(err)
			}
			if list := scan(Request{Mode: History, Baseline: baseline.Name()}); len(list) > 0 {
				t.Errorf("beyond the baseline: %v", list)
			}
			r.write(IgnoreFile, fmt.Sprintf("ignore:\n  - {rule: github-pat, fingerprint: %s, reason: a test, expires: 2099-01-01}\n", said.Fingerprint))
			if diff := cmp.Diff([]string{want[0], want[2]}, scan(Request{Mode: History})); diff != "" {
				t.Error("with an ignore file", diff)
			}
		})
	}
}

// TestCachedMessages has a secret in a message that a cached scan saw, and again in one that it did not.
func TestCachedMessages(t *testing.T) {
	t.Parallel()
	r, cache := newRepository(t), filepath.Join(t.TempDir(), "cache")
	first := r.commit("one " + githubToken(1))
	r.both(cache)
	last := r.commit("two " + githubToken(1))
	found, _ := r.both(cache)
	if len(found) != 1 || found[0].First.ID != first || found[0].Last.ID != last || found[0].Text != "the message of commit "+first[:10] {
		t.Errorf("found %+v", found)
	}
}

// TestLongMessages holds a message of any size to little memory, and to a word about what was not scanned.
func TestLongMessages(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.write("a.env", "A="+githubToken(1)+"\n")
	for i, size := range []int{maxToken - 200, maxToken + 70_000, 70_000} {
		r.time++
		text := strings.Repeat("usual words\n", size/12) + githubToken(uint64(i+2)) + "\n"
		r.git("add", "--all")
		r.feed(text, "commit", "--quiet", "--allow-empty", "--file=-")
	}
	var notes []string
	found, err := Scan(t.Context(), Request{Mode: History, Dir: r.dir, Note: func(text string) { notes = append(notes, text) }, Now: time.Now()})
	if err != nil || len(found) != 3 || found[0].Path != "a.env" || found[1].Text == "" || found[2].Text == "" {
		t.Errorf("found %+v, %v", found, err)
	}
	if len(notes) != 1 || !strings.HasSuffix(notes[0], " is larger than 1 MiB and was scanned up to there") {
		t.Errorf("notes %q", notes)
	}
}
