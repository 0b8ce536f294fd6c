package migrator

import (
	"strings"
	"testing"
)

func TestTruncate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ALTER TABLE x;\n", 2000)
	got := TruncateDiff(long)
	if len(got) > maxDiff || !strings.HasSuffix(got, ";\n"+diffCut) {
		t.Errorf("truncated to %d bytes, ending in %q", len(got), got[len(got)-40:])
	}
	if short := "a\n"; TruncateDiff(short) != short {
		t.Error("short text is changed")
	}
}
