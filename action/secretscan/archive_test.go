package secretscan

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestArchives finds what is in archives, and in archives within them, or tells that it was not looked at.
func TestArchives(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	secret := "TOKEN=" + githubToken(1) + "\n"
	nested := func(levels int) string {
		text := zipped(t, "a.env", secret)
		for range levels - 1 {
			text = zipped(t, "in.zip", text)
		}
		return text
	}
	entries := func(write func(*zip.Writer) error) string {
		t.Helper()
		var b strings.Builder
		archive := zip.NewWriter(&b)
		if err := write(archive); err != nil {
			t.Fatal(err)
		}
		if err := archive.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	add := func(archive *zip.Writer, header zip.FileHeader, text string) error {
		w, err := archive.CreateRaw(&header)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		return err
	}
	const bounds, broken = "at most 2000 files", "1 files that can't be unpacked"
	tests := []struct {
		name, text string
		path       string // of the one finding
		note       string // a part of the note
	}{
		{"an archive", nested(1), "x!a.env", ""},
		{"in an archive", nested(2), "x!in.zip!a.env", ""},
		{"in another one", nested(3), "x!in.zip!in.zip!a.env", ""},
		{"deeper than is looked", nested(4), "", bounds},
		{"compressed in an archive", zipped(t, "a.gz", gzipped(t, secret)), "x!a.gz!gzip", ""},
		{"a compressed archive", gzipped(t, zipped(t, "a.env", secret)), "x!gzip!a.env", ""},
		{"compressed twice", gzipped(t, gzipped(t, secret)), "x!gzip!gzip", ""},
		{"UTF-16 in an archive in an archive", zipped(t, "in.zip", zipped(t, "a.env", utf16Text(secret))), "x!in.zip!a.env", ""},
		{"a file that only begins like one, in an archive", zipped(t, "a.env", "PK\x03\x04"+secret), "x!a.env", ""},
		{"many folders first", entries(func(archive *zip.Writer) error {
			for i := range maxEntries + 1 {
				if _, err := archive.Create(fmt.Sprintf("%d/", i)); err != nil {
					return err
				}
			}
			w, err := archive.Create("a.env")
			if err == nil {
				_, err = w.Write([]byte(secret))
			}
			return err
		}), "x!a.env", ""},
		{"many files in two archives", entries(func(archive *zip.Writer) error {
			inner := entries(func(archive *zip.Writer) error {
				for i := range maxEntries - 1 {
					w, err := archive.Create(fmt.Sprintf("%d.txt", i))
					if err == nil {
						_, err = w.Write([]byte("x"))
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
			for _, name := range []string{"in.zip", "a.env"} {
				w, err := archive.Create(name)
				if err == nil {
					_, err = w.Write([]byte(map[bool]string{true: inner, false: secret}[name == "in.zip"]))
				}
				if err != nil {
					return err
				}
			}
			return nil
		}), "", bounds},
		{"with a password", entries(func(archive *zip.Writer) error {
			return add(archive, zip.FileHeader{Name: "a.env", Flags: 1, Method: zip.Deflate, UncompressedSize64: 50, CompressedSize64: 10}, "0123456789")
		}), "", broken},
		{"packed in an unknown way", entries(func(archive *zip.Writer) error {
			return add(archive, zip.FileHeader{Name: "a.env", Method: 99, UncompressedSize64: 50, CompressedSize64: 10}, "0123456789")
		}), "", broken},
		{"damaged at its end", gzipped(t, secret)[:len(gzipped(t, secret))-4], "x!gzip", broken},
		{"with zeros behind it, as on a tape", gzipped(t, secret) + strings.Repeat("\x00", 500), "x!gzip", ""},
		{"with a few zeros behind it", gzipped(t, secret) + "\x00\x00\x00", "x!gzip", ""},
		{"of no bytes, with zeros behind it", gzipped(t, "") + "\x00\x00\x00", "", ""},
		{"in two parts, with zeros behind them", gzipped(t, "x\n") + gzipped(t, secret) + strings.Repeat("\x00", 20), "x!gzip", ""},
		{"in two parts, the second of no bytes", gzipped(t, secret) + gzipped(t, ""), "x!gzip", ""},
		{"with zeros between its parts", gzipped(t, "x\n") + "\x00\x00" + gzipped(t, secret), "x!gzip", ""},
		{"with something else behind it", gzipped(t, secret) + "x", "x!gzip", broken},
		{"damaged at the end of its second part", gzipped(t, secret) + gzipped(t, "x")[:10], "x!gzip", broken},
		{"more files in its list than are held", "PK\x03\x04" + strings.Repeat("PK\x01\x02", maxListed+1) + secret, "x", bounds},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
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
			if diff := cmp.Diff(strings.Fields(test.path), paths); diff != "" && len(paths)+len(test.path) > 0 {
				t.Error(diff)
			}
			if len(notes) > 1 || (len(notes) == 0) != (test.note == "") || len(notes) == 1 && !strings.Contains(notes[0], test.note) {
				t.Errorf("notes %q", notes)
			}
		})
	}
}

// Names in archives may be of any length, and are repeated with each finding.
func TestLongNamesInArchives(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	long, secret := strings.Repeat("n", 60_000), "TOKEN="+githubToken(1)+"\n"
	for name, text := range map[string]string{
		"x!#1":                zipped(t, long, secret),
		"x!#1!#1":             zipped(t, long+".zip", zipped(t, long, secret)),
		"x!a.zip!#1":          zipped(t, "a.zip", zipped(t, long, secret)),
		"x!#1!a.env":          zipped(t, long, zipped(t, "a.env", secret)),
		"x!gzip!#1":           gzipped(t, zipped(t, long, secret)),
		"x!" + long[:maxName]: zipped(t, long[:maxName], secret),
	} {
		found, err := newSearcher(defaultMatcher()).file("x", []byte(text), []string{"x"})
		if err != nil || len(found) != 1 || found[0].Path != name {
			t.Errorf("%.100s: %v, %.300v", name, err, found)
		}
	}
}

// What an archive holds beyond the bounds is told of, wherever it is.
func TestArchivesAreCut(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	var b strings.Builder
	archive := zip.NewWriter(&b)
	for i := range maxEntries + 1 {
		if _, err := archive.Create(fmt.Sprintf("%d.txt", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRepository(t)
	r.write("a.zip", b.String())
	r.commit("an archive")
	for _, packed := range []bool{false, true} {
		if packed {
			r.git("gc", "--quiet")
		}
		for _, mode := range []Mode{Tree, History, Stdin} {
			var notes []string
			_, err := Scan(t.Context(), Request{Mode: mode, Dir: r.dir, Input: strings.NewReader(b.String()), Note: func(text string) { notes = append(notes, text) }})
			if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "is an archive of which not everything was scanned: at most 2000 files") {
				t.Errorf("%s, packed %t: notes %q, %v", mode, packed, notes, err)
			}
		}
	}
}

func zipped(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	w, err := archive.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestNotesNameFiles has an archive of a form that is not read: in modes that read objects the note names a file, too.
func TestNotesNameFiles(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.commit("one")
	r.write("in/a.xz", "\xfd7zXZ\x00 and so on")
	r.commit("two")
	for _, request := range []Request{{Mode: Range, Range: "HEAD~1..HEAD"}, {Mode: History}, {Mode: Tree}} {
		var notes []string
		request.Dir, request.Note = r.dir, func(text string) { notes = append(notes, text) }
		if _, err := Scan(t.Context(), request); err != nil || len(notes) != 1 || !strings.Contains(notes[0], "in/a.xz") {
			t.Errorf("%s: %q, %v", request.Mode, notes, err)
		}
	}
}
