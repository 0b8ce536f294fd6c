// Package spelling finds what somebody meant who wrote a word wrongly. It must not know what the words are of.
package spelling

import "strings"

// farthest is how many edits away a word may be that is still taken for the other.
const farthest = 2

// Nearest is the known word that is at most two edits from word, or none: "", false. Case does not count.
func Nearest(word string, known []string) (string, bool) {
	best, least := "", farthest+1
	for _, candidate := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	return best, best != ""
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
