package secretscan

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// vector is one of the examples by which gitleaks tests its own rules, made by its generator.
type vector struct {
	Rule, Path, Text string
	Found            bool
}

// TestVectors holds every rule that comes from gitleaks to gitleaks' own examples: what it finds is found,
// what it does not find is not. The file is compressed, in a form that the scanner does not read, because its examples look like what scanners look for.
func TestVectors(t *testing.T) {
	oneGoroutine(t)
	t.Parallel()
	searchers := map[string]*searcher{}
	for _, r := range ruleTable() {
		r.check = nil // examples have random checksums
		searchers[r.id] = newSearcher(newMatcher([]rule{r}, everywhere()))
	}
	counts := map[bool]int{}
	placeholders := 0
	eachVector(t, func(v vector) {
		s, ok := searchers[v.Rule]
		if !ok {
			return // public by design, and left out of the table
		}
		counts[v.Found]++
		if v.Path == "" {
			v.Path = "a.txt"
		}
		if s.allowsPath(v.Path) {
			return
		}
		found, err := s.file(v.Path, []byte(v.Text), []string{v.Path})
		if err != nil {
			t.Fatal(err)
		}
		if v.Found && len(found) == 0 && isPlaceholder([]byte(v.Text)) {
			placeholders++
			return
		}
		if (len(found) > 0) != v.Found {
			t.Errorf("%s: found %d, want some: %t, in %q of %s", v.Rule, len(found), v.Found, v.Text, v.Path)
		}
	})
	if placeholders > 1 { // one key of theirs says EXAMPLE all over, which is no secret here
		t.Errorf("%d examples look like placeholders", placeholders)
	}
	if counts[true] < 4000 || counts[false] < 100 {
		t.Errorf("only %d examples to find and %d not to find", counts[true], counts[false])
	}
}

func eachVector(t *testing.T, do func(vector)) {
	t.Helper()
	file, err := os.Open("testdata/vectors.jsonl.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := zstd.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	for decoder := json.NewDecoder(text); ; {
		var v vector
		if err := decoder.Decode(&v); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		do(v)
	}
}
