package secretscan

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tag makes an annotated tag and gives its object's id.
func (r *repository) tag(name, of, message string) string {
	r.t.Helper()
	r.time++
	r.git("tag", "--annotate", "--message", message, name, of)
	return r.git("rev-parse", "refs/tags/"+name)
}

// TestTags has secrets in messages of annotated tags: they are found in a history, whatever its cache knows, and in a
// range that ends with one.
func TestTags(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			r, cache := newRepository(t, "--object-format="+format), filepath.Join(t.TempDir(), "cache")
			r.write("a.txt", "x\n")
			base := r.commit("one")
			head := r.commit("two")
			r.both(cache)
			first := r.tag("v1", "HEAD", "One\n\nTried with "+githubToken(1))
			again := r.tag("v2", base, "Two, "+githubToken(1))
			outer := r.tag("outer", "v1", "Signed off: "+githubToken(2))
			r.tag("clean", "HEAD", "nothing here")
			r.git("update-ref", "refs/elsewhere", first) // as a fetch of tags to a place of their own
			told := func(found []Finding) (list []string) {
				for _, f := range found {
					list = append(list, strings.TrimSpace(fmt.Sprintf("%s %d %.10s %.10s %s", f.Text, f.Line, f.First.ID, f.Last.ID, f.First.Author)))
				}
				return list
			}
			v1, v2 := fmt.Sprintf("the message of tag v1 (%.10s) 3 %.10s %.10s Ann", first, first, again), fmt.Sprintf("the message of tag outer (%.10s) 1 %.10s %.10s Ann", outer, outer, outer)
			found, notes := r.both(cache)
			if diff := cmp.Diff([]string{v2, v1}, told(found)); diff != "" || len(notes) > 0 {
				t.Errorf("history: notes %q\n%s", notes, diff)
			}
			if n := found[1].First.Date.Unix(); n != 1767322980 {
				t.Errorf("v1 is of %d", n)
			}
			for _, ending := range []string{"outer", outer} {
				for _, from := range []string{base, head} {
					list, err := Scan(t.Context(), Request{Mode: Range, Dir: r.dir, Range: from + ".." + ending})
					if diff := cmp.Diff([]string{v2, strings.Replace(v1, again[:10], first[:10], 1)}, told(list)); diff != "" || err != nil {
						t.Errorf("%s..%s: %v\n%s", from, ending, err, diff)
					}
				}
			}
			for _, ending := range []string{head, "main", "HEAD"} {
				if list := r.scan(Request{Mode: Range, Range: base + ".." + ending}, nil); len(list) > 0 {
					t.Errorf("%s: %v", ending, list)
				}
			}
			var sarif bytes.Buffer
			if err := (Report{Complete: true, Findings: found}).WriteSARIF(&sarif); err != nil || !strings.Contains(sarif.String(), `"uri": "tag-messages/`+first+`"`) {
				t.Errorf("SARIF %s, %v", &sarif, err)
			}
		})
	}
}

// TestStrangeTags has tags whose names hold what they must not, tags of files, and more tags of tags than are followed.
func TestStrangeTags(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.write("a.txt", "x\n")
	r.commit("one")
	token := githubToken(1)
	r.tag("v1-"+token[4:14], "HEAD", "with "+token)
	object := fmt.Sprintf("object %s\ntype commit\ntag \x1b[2J%s\n\n%s\n", r.git("rev-parse", "HEAD"), strings.Repeat("x", 5000), githubToken(2)) // no tagger, as long ago
	r.git("update-ref", "refs/tags/strange", r.feed(object, "hash-object", "-w", "-t", "tag", "--literally", "--stdin"))
	r.git("tag", "light", "HEAD:a.txt")
	r.tag("heavy", "HEAD:a.txt", "a file")
	var notes []string
	found, err := Scan(t.Context(), Request{Mode: History, Dir: r.dir, Note: func(text string) { notes = append(notes, text) }})
	if err != nil || len(found) != 2 {
		t.Fatalf("found %+v, %v", found, err)
	}
	if text := printed(t, found); len(leaks(text, token)) > 0 || strings.Contains(text, "\x1b") || strings.Contains(text, strings.Repeat("x", 200)) {
		t.Errorf("printed %.3000q", text)
	}
	if len(notes) != 2 || !strings.Contains(notes[0], "refs/tags/light is of a blob") || !strings.Contains(notes[1], "is of a blob and not of a commit") {
		t.Errorf("notes %q", notes)
	}

	of := "HEAD"
	for i := range maxTagged + 1 {
		of = r.tag(fmt.Sprintf("deep%d", i), of, "deeper")
	}
	if found, err = Scan(t.Context(), Request{Mode: Range, Dir: r.dir, Range: "HEAD..deep16"}); !errors.Is(err, ErrNotScanned) {
		t.Errorf("deep: found %d, %v", len(found), err)
	}
}

// TestLongTagNames has names that are longer than what is told of them: no part of a secret is left at the cut, not even of one that a
// person thought up.
func TestLongTagNames(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	head := r.commit("one")
	password := randomText(9, alnum, 16)
	for i, name := range []string{strings.Repeat("x", maxTagName-12) + password, strings.Repeat("x", 1<<16) + password} {
		object := fmt.Sprintf("object %s\ntype commit\ntag %s\n\npassword = \"%s\"\n", head, name, password)
		r.git("update-ref", fmt.Sprintf("refs/tags/v%d", i), r.feed(object, "hash-object", "-w", "-t", "tag", "--literally", "--stdin"))
		found, err := Scan(t.Context(), Request{Mode: Range, Dir: r.dir, Range: fmt.Sprintf("HEAD..v%d", i)})
		if err != nil || len(found) != 1 {
			t.Fatalf("found %+v, %v", found, err)
		}
		if text := printed(t, found); len(leaks(text, password)) > 0 || len(found[0].Text) > 200 {
			t.Errorf("printed %.3000q", text)
		}
	}
}

// TestStrangeDates has dates of commits and tags that Git takes and JSON does not: findings are reported without them.
func TestStrangeDates(t *testing.T) {
	t.Parallel()
	for _, date := range []string{"999999999999999 +0000", "1767322980 +2400", "1767322980 -9959", "-99999999999999 +0000", "9223372036854775807 +0000"} {
		t.Run(date, func(t *testing.T) {
			t.Parallel()
			r := newRepository(t)
			r.write("a.txt", "x\n")
			base := r.commit("one")
			r.write("a.txt", githubToken(1)+"\n")
			r.commit("two")
			object := fmt.Sprintf("tree %s\nparent %s\nauthor Ann <ann@acme.dev> %s\ncommitter Ann <ann@acme.dev> %s\n\nTried with %s\n", r.git("rev-parse", "HEAD^{tree}"), base, date, date, githubToken(2))
			commit := r.feed(object, "hash-object", "-w", "-t", "commit", "--literally", "--stdin")
			r.git("update-ref", "refs/heads/main", commit)
			object = fmt.Sprintf("object %s\ntype commit\ntag v1\ntagger Ann <ann@acme.dev> %s\n\n%s\n", commit, date, githubToken(3))
			tag := r.feed(object, "hash-object", "-w", "-t", "tag", "--literally", "--stdin")
			r.git("update-ref", "refs/tags/v1", tag)
			for _, request := range []Request{{Mode: Range, Range: base + "..v1"}, {Mode: History, Cache: filepath.Join(t.TempDir(), "cache")}} {
				request.Dir = r.dir
				var notes []string
				request.Note = func(text string) { notes = append(notes, text) }
				found, err := Scan(t.Context(), request)
				if err != nil || len(found) != 3 || len(notes) > 0 {
					t.Errorf("%s: found %+v, notes %q, %v", request.Mode, found, notes, err)
				}
				if text := printed(t, found); strings.Contains(text, "0001-01-01") {
					t.Errorf("%s: %s", request.Mode, text)
				}
			}
		})
	}
}
