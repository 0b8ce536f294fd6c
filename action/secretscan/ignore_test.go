package secretscan

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIgnore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.env", "A="+githubToken(1)+"\nB="+githubToken(2)+"\n")
	write("b.env", "C="+githubToken(3)+" # flaresmith:allow github-pat revoked, kept for the test\nD="+githubToken(4)+" # flaresmith:allow github-pat\nE="+
		githubToken(5)+" # flaresmith:allow npm-access-token another rule\n")
	print := func(seed uint64) string { return fingerprint("github-pat", []byte(githubToken(seed))) }
	entry := func(rule, print, expires string) string {
		return fmt.Sprintf("  - rule: %s\n    fingerprint: %s\n    reason: revoked\n    expires: %s\n", rule, print, expires)
	}
	write(IgnoreFile, "ignore:\n"+entry("github-pat", print(1), "2026-05-01")+entry("github-pat", print(2), "2026-04-30")+
		entry("github-pat", print(9), "2026-05-01")+entry("npm-access-token", print(5), "2026-05-01")+
		entry(randomText(82, hexAlnum, 32), randomText(83, hexAlnum, 32), "2026-05-01"))
	var notes []string
	found, err := Scan(t.Context(), Request{
		Mode: Tree, Dir: dir, Now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
		Note: func(text string) { notes = append(notes, text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, f := range found {
		list = append(list, fmt.Sprintf("%s:%d", f.Path, f.Line))
	}
	if diff := cmp.Diff([]string{"a.env:2", "b.env:2", "b.env:3"}, list); diff != "" {
		t.Error(diff)
	}
	want := []string{
		IgnoreFile + ":6: the entry for github-pat expired on 2026-04-30 and allows nothing any more",
		IgnoreFile + ":10: the entry for github-pat is not needed: nothing like it is in the files as they are",
		IgnoreFile + ":14: the entry for npm-access-token is not needed: nothing like it is in the files as they are",
		IgnoreFile + ":18: the entry for a rule that is not known is not needed: nothing like it is in the files as they are",
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Error(diff)
	}
}

func TestIgnoreFileIsStrict(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":            "",
		"ignore: []":  "",
		"ignored: []": "line 1: it is not a list",
		"ignore:\n  - rule: a\n    fingerprint: 0123456789abcdef0123456789abcdef\n    reason: ' '\n    expires: 2026-01-01\n":                     ":2: rule, fingerprint, reason and expires are all needed",
		"ignore:\n  - rule: a\n    fingerprint: 0123456789abcdef0123456789abcdef\n    reason: c\n":                                                "are all needed",
		"ignore:\n  - rule: a\n    fingerprint: 0123456789abcdef0123456789abcdef\n    reason: c\n    expires: never\n":                            "a date like",
		"ignore:\n  - rule: a\n    fingerprint: 0123456789abcdef0123456789abcdef\n    reason: c\n    expires: 2026-01-01\n    path: secrets/**\n": "line 6: it is not a list",
		"ignore:\n\n  -\n": ":3: the entry is empty",
		"ignore:\n  - rule: A B\n    fingerprint: 0123456789abcdef0123456789abcdef\n    reason: c\n    expires: 2026-01-01\n": "a rule's name",
		"ignore:\n  - rule: a\n    fingerprint: the secret\n    reason: c\n    expires: 2026-01-01\n":                         "the 32 digits",
		"[": IgnoreFile,
	} {
		_, err := parseIgnores([]byte(text), time.Now())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// What somebody put into the list by mistake is not repeated, whatever the reader of YAML says of it.
func TestIgnoreFileIsNotRepeated(t *testing.T) {
	t.Parallel()
	token := githubToken(81)
	for _, text := range []string{
		token + ": x", "ignore: " + token, "ignore:\n- " + token, "ignore:\n- {" + token + ": x}", "ignore: *" + token, "ignore: !!" + token + " x",
		"ignore:\n- " + token[4:14], "ignore: [" + token, "ignore:\n- {rule: " + token + "}", "ignore:\n- {rule: a, fingerprint: " + token + ", reason: b, expires: c}",
		"ignore:\n- {rule: a, fingerprint: 0123456789abcdef0123456789abcdef, reason: b, expires: " + token + "}", token + ": x\n" + token + ": y",
	} {
		_, err := parseIgnores([]byte(text), time.Now())
		if err == nil || !strings.Contains(err.Error(), IgnoreFile) {
			t.Errorf("%d characters: %v", len(text), err)
		} else if list := leaks(err.Error(), token); len(list) > 0 {
			t.Errorf("the error holds a value: %v", err)
		}
	}
}

func FuzzIgnores(f *testing.F) {
	f.Add([]byte("ignore:\n  - rule: a\n"))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = parseIgnores(text, time.Time{}) })
}

// FuzzText throws bytes at everything that reads them: unpacking, decoding, the rules.
func FuzzText(f *testing.F) {
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte("%41%42 \\u0041\\u0042 VE9LRU49Z2hwX2FiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6"))
	f.Add([]byte("\xff\xfeT\x00O\x00"))
	s := newSearcher(defaultMatcher())
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := s.file("x", text, []string{"a.yml", "b.php"})
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range found {
			if finding.Line < 1 || finding.Column < 1 || finding.EndLine < finding.Line {
				t.Errorf("a finding at %d:%d to %d:%d", finding.Line, finding.Column, finding.EndLine, finding.EndColumn)
			}
		}
	})
}

func TestAllowedInline(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"x // flaresmith:allow jwt public":                                   {"jwt"},
		"x // flaresmith:allow jwt":                                          nil,
		"x // flaresmith:allow jwt\tpublic, flaresmith:allow github-pat old": {"jwt", "github-pat"},
		"x // flaresmith:allow jwt flaresmith:allow github-pat both old":     {"github-pat"},
		"x // flaresmith:allow  github-pat old flaresmith:allow ":            {"github-pat"},
	} {
		var got []string
		for _, rule := range []string{"jwt", "github-pat"} {
			if allowedInline([]byte(line), rule) {
				got = append(got, rule)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(line, diff)
		}
	}
}
