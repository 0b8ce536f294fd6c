package demo

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// A download has a bar once it takes longer than a second, and none before.
func TestProgress(t *testing.T) {
	t.Parallel()
	var drawn bytes.Buffer
	s := newShow(Options{Out: &bytes.Buffer{}, Err: &drawn})
	s.progress("workerd", 1<<20, 40<<20)
	if drawn.Len() > 0 {
		t.Errorf("drawn at once: %q", drawn.String())
	}
	s.bars["workerd"].since = time.Now().Add(-2 * time.Second)
	s.progress("workerd", 10<<20, 40<<20)
	s.progress("workerd", 40<<20, 40<<20)
	if got := drawn.String(); !strings.Contains(got, "fetching workerd") || !strings.Contains(got, "100%") {
		t.Errorf("drawn: %q", got)
	}
}
