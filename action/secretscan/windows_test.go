package secretscan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A path in SARIF is a reference relative to the repository, whatever it looks like.
func TestURI(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"a/b.env":            "a/b.env",
		"C:/keys/b.env":      "C%3A/keys/b.env",
		"C:b.env":            "C%3Ab.env",
		"a/C:/b.env":         "a/C:/b.env",
		`a\b.env`:            "a%5Cb.env",
		`\\server\share\b`:   "%5C%5Cserver%5Cshare%5Cb",
		"a b/ü#1?.env":       "a%20b/%C3%BC%231%3F.env",
		"aux.env":            "aux.env",
		"archive.zip!c:/x.y": "archive.zip%21c%3A/x.y",
	} {
		if got := uriOf(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// A repository of Windows' is one of everybody's: lines that end in CRLF, archives with backslashes, names that differ
// by case only, and names that are devices there have the places and fingerprints that they have elsewhere.
func TestWindowsForms(t *testing.T) {
	t.Parallel()
	key := privateKey()
	text := "A=" + githubToken(21) + "\npassword = \"" + randomText(22, alnum, 10) + "\"\n" + key
	crlf := strings.ReplaceAll(text, "\n", "\r\n")
	scan := func(path, text string) (list []Finding) {
		t.Helper()
		found, err := newSearcher(defaultMatcher()).file(path, []byte(text), []string{path})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	type place struct {
		Rule, Fingerprint string
		Line, Column      int
	}
	places := func(found []Finding) (list []place) {
		for _, f := range found {
			list = append(list, place{f.Rule, f.Fingerprint, f.Line, f.Column})
		}
		return list
	}
	unix, windows := places(scan("a.env", text)), places(scan("a.env", crlf))
	if diff := cmp.Diff(unix, windows); diff != "" || len(unix) < 2 {
		t.Errorf("%d findings; with CRLF:\n%s", len(unix), diff)
	}
	packed := scan("a.zip", zipped(t, `config\live.env`, "A="+githubToken(23)+"\n"))
	if len(packed) != 1 || packed[0].Path != "a.zip!config/live.env" {
		t.Errorf("in an archive with backslashes: %v", packed)
	}

	r := newRepository(t)
	for _, name := range []string{"A.env", "a.env", "aux.env", "sub/NUL.txt", "com1"} {
		r.write(name, "A="+githubToken(24)+"\r\n")
	}
	r.commit("names")
	both, err := Scan(t.Context(), Request{Mode: Tree, Dir: r.dir})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range both {
		paths = append(paths, f.Path)
	}
	if diff := cmp.Diff([]string{"A.env", "a.env", "aux.env", "com1", "sub/NUL.txt"}, paths); diff != "" {
		t.Error(diff)
	}
	var report strings.Builder
	if err := (Report{Complete: true, Findings: both}).WriteSARIF(&report); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal([]byte(report.String()), &log); err != nil || len(log.Runs[0].Results) != len(paths) {
		t.Errorf("SARIF: %v, %d results", err, len(log.Runs[0].Results))
	}
}

// What can't be a file where the scan runs is named, and is no reason to scan nothing else.
func TestNamesThatAreNoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.env"), []byte("A="+githubToken(25)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var notes []string
	note := func(text string) { notes = append(notes, text) }
	for _, f := range foldersOf([]string{"../b.env", "a.env", "a.env/under-a-file", "gone/c.env"}) {
		found, err := f.scan(newSearcher(defaultMatcher()), root, "", note)
		if err != nil || (len(found) == 1) != (f.path == "") {
			t.Errorf("%q: %v, %v", f.path, found, err)
		}
	}
	if diff := cmp.Diff([]string{"../b.env can't be a file on this system and was not scanned"}, notes); diff != "" {
		t.Error(diff)
	}
}

// Editors of Windows end lines in CRLF and begin files with a mark.
func TestIgnoreFileOfWindows(t *testing.T) {
	t.Parallel()
	text := "\ufeffignore:\r\n  - rule: github-pat\r\n    fingerprint: " + strings.Repeat("0a", 16) + "\r\n    reason: made up\r\n    expires: 2027-01-31\r\n"
	list, err := parseIgnores([]byte(text), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	if err != nil || len(list) != 1 || list[0].Rule != "github-pat" || list[0].expired {
		t.Errorf("%v, %v", list, err)
	}
	line := "A=x // flaresmith:allow github-pat made up\r"
	if !allowedInline([]byte(line), "github-pat") || allowedInline([]byte("A=x // flaresmith:allow github-pat\r"), "github-pat") {
		t.Error("a comment on a line that ends in CRLF")
	}
}
