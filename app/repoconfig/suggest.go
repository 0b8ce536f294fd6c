package repoconfig

import (
	"fmt"
	"strings"

	"github.com/flaresmith/flaresmith/app/spelling"
)

// suggest is the hint for a word that is none of known: the nearest one, or all of them.
func suggest(word string, known []string) string {
	if meant, ok := spelling.Nearest(shorten(word), known); ok {
		return fmt.Sprintf("Did you mean %q?", meant)
	}
	return "Known are: " + strings.Join(known, ", ") + "."
}
