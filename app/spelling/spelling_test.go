package spelling_test

import (
	"testing"

	"github.com/flaresmith/flaresmith/app/spelling"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"ttl", "enabled", "FLARESMITH_URL", "x"}
	for word, want := range map[string]string{
		"ttll": "ttl", "tl": "ttl", "enabeld": "enabled", "ENABLED": "enabled", "flaresmith_ulr": "FLARESMITH_URL",
		"": "", "y": "", "disabled": "", "FLARESMITH_LISTEN": "", "ttl": "ttl",
	} {
		if got, ok := spelling.Nearest(word, known); got != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
