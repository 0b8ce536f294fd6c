package secretscan

import (
	"archive/tar"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func tarred(t *testing.T, name, text string, format tar.Format) string {
	t.Helper()
	var b strings.Builder
	archive := tar.NewWriter(&b)
	for _, file := range [][2]string{{"first.txt", "nothing\n"}, {name, text}} {
		if err := archive.WriteHeader(&tar.Header{Name: file[0], Mode: 0o600, Size: int64(len(file[1])), Format: format}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestNestedArchives packs a file in every way in every other one, three deep, and a fourth.
func TestNestedArchives(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	secret := "TOKEN=" + githubToken(1) + "\n"
	ways := []struct {
		name, path string // of what is in it
		pack       func(name, text string) string
	}{
		{"zip", "", func(name, text string) string { return zipped(t, name, text) }},
		{"gz", "gzip", func(_, text string) string { return gzipped(t, text) }},
		{"tar", "", func(name, text string) string { return tarred(t, name, text, tar.FormatPAX) }},
		{"tar.gz", "gzip!", func(name, text string) string { return gzipped(t, tarred(t, name, text, tar.FormatUSTAR)) }},
	}
	var try func(text, path, name string, levels int)
	try = func(text, path, name string, levels int) {
		for _, way := range ways {
			inner := "a.env"
			if levels > 0 {
				inner = "in." + name
			}
			outer, at := way.pack(inner, text), way.path
			if way.path != "gzip" {
				at += inner
			}
			at = inside(at, path)
			var notes, paths []string
			s := newSearcher(defaultMatcher())
			s.note = func(text string) { notes = append(notes, text) }
			found, err := s.file("x", []byte(outer), []string{"x"})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				paths = append(paths, f.Path)
			}
			switch {
			case levels < maxLevels:
				if diff := cmp.Diff([]string{"x!" + at}, paths); diff != "" || len(notes) > 0 {
					t.Errorf("%s, notes %q", diff, notes)
				}
				try(outer, at, way.name, levels+1)
			case len(notes) != 1 && len(paths) == 0:
				t.Errorf("%s is neither read nor told of", at)
			}
		}
	}
	try(secret, "", "", 0)
	try(utf16Text(secret), "", "", 2)
}

// TestTars reads all that is in an archive, whatever its form and wherever it ends.
func TestTars(t *testing.T) {
	t.Parallel()
	secret := "TOKEN=" + githubToken(1) + "\n"
	ustar := tarred(t, "a.env", secret, tar.FormatUSTAR)
	const broken = "1 files that can't be unpacked"
	for _, test := range []struct {
		name, text, path, note string
	}{
		{"GNU", tarred(t, strings.Repeat("d/", 200)+"a.env", secret, tar.FormatGNU), "x!" + strings.Repeat("d/", 200) + "a.env", ""},
		{"with a name that is too long", tarred(t, strings.Repeat("d/", 600)+"a.env", secret, tar.FormatPAX), "x!#2", ""},
		{"cut in its last file", tarred(t, "a.env", secret+strings.Repeat("nothing\n", 100), tar.FormatUSTAR)[:4*tarBlock], "x!a.env", broken},
		{"cut behind its files", ustar[:4*tarBlock], "x!a.env", ""},
		{"with something behind it", ustar + secret, "x!a.env x", broken},
		{"a name that is a secret", tarred(t, githubToken(2), "nothing\n", tar.FormatUSTAR), "x", ""},
		{"in 7-Zip's form", "7z\xbc\xaf\x27\x1c\x00\x04", "", broken},
		{"in bzip2's form", "BZh61AY&SY\x00\x04", "", broken},
		{"in xz's form, in a zip", zipped(t, "a.tar.xz", "\xfd7zXZ\x00\x00"), "", broken},
	} {
		var notes, paths []string
		s := newSearcher(defaultMatcher())
		s.note = func(text string) { notes = append(notes, text) }
		found, err := s.file("x", []byte(test.text), []string{"x"})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			paths = append(paths, f.Path)
		}
		if got := strings.Join(paths, " "); got != test.path || (len(notes) > 0) != (test.note != "") || len(notes) > 0 && !strings.Contains(notes[0], test.note) {
			t.Errorf("%s: found in %q, want %q; notes %q", test.name, got, test.path, notes)
		}
	}
}
