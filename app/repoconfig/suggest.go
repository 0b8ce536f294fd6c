package repoconfig

import (
	"fmt"
	"strings"
)

// suggest is the hint for a word that is none of known: the nearest one, or all of them.
func suggest(word string, known []string) string {
	best, least := "", 3
	for _, candidate := range known {
		if d := distance(strings.ToLower(shorten(word)), candidate); d < least {
			best, least = candidate, d
		}
	}
	if best != "" && least < len(best) {
		return fmt.Sprintf("Did you mean %q?", best)
	}
	return "Known are: " + strings.Join(known, ", ") + "."
}

// distance is the number of one-byte edits that lead from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
