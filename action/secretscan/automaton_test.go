package secretscan

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAutomaton compares the automaton with a search for each literal at each place, in texts made of pieces of them.
func TestAutomaton(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	literals := []string{"a", "ab", "aab", "abcab", "bca", "cab", "key", "_key", "api_key", "pikey", "-----begin", "eg", "ab"}
	a := newAutomaton(literals)
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var text strings.Builder
		for range 30 {
			literal := literals[random.IntN(len(literals))]
			from := random.IntN(len(literal))
			text.WriteString(literal[from : from+random.IntN(len(literal)-from)+1])
			text.WriteString([]string{"", "", "", "ä", "\x00", "X", "B", "Key"}[random.IntN(8)])
		}
		folded := strings.ToLower(text.String())
		var want, got []string
		for end := range len(folded) + 1 {
			for i, literal := range literals {
				if strings.HasSuffix(folded[:end], literal) {
					want = append(want, fmt.Sprint(end, " ", i))
				}
			}
		}
		a.each([]byte(text.String()), func(end int, found []uint16) {
			for _, id := range slices.Sorted(slices.Values(found)) {
				got = append(got, fmt.Sprint(end, " ", id))
			}
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("in %q: %s", text.String(), diff)
		}
	}
}
