package drift

import (
	"bytes"
	"strings"
)

// maxEdits bounds the search for the shortest edit: beyond it, lines are only counted.
const maxEdits = 1000

// lines counts the lines that an edit from a to b adds and removes, as git does for most edits.
func lines(a, b []byte) (added, removed int) {
	if len(a) == 0 || len(b) == 0 {
		return count(b), count(a)
	}
	x, y := split(string(a)), split(string(b))
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	if len(x) == 0 || len(y) == 0 {
		return len(y), len(x)
	}
	edits := shortest(x, y)
	if edits < 0 {
		return counted(x, y)
	}
	// added + removed = edits, added - removed = len(y) - len(x)
	added = (edits + len(y) - len(x)) / 2
	return added, edits - added
}

func count(content []byte) int {
	lines := bytes.Count(content, []byte("\n"))
	if len(content) > 0 && content[len(content)-1] != '\n' {
		lines++
	}
	return lines
}

func split(s string) []string {
	return strings.Split(strings.TrimSuffix(s, "\n"), "\n")
}

// shortest is the length of Myers' shortest edit script, or -1 if it is longer than maxEdits.
func shortest(x, y []string) int {
	most := min(len(x)+len(y), maxEdits)
	reach := make([]int, 2*most+3)
	for d := range most + 1 {
		for k := -d; k <= d; k += 2 {
			at := most + 1 + k
			var i int
			if k == -d || k != d && reach[at-1] < reach[at+1] {
				i = reach[at+1]
			} else {
				i = reach[at-1] + 1
			}
			for i < len(x) && i-k < len(y) && i-k >= 0 && x[i] == y[i-k] {
				i++
			}
			reach[at] = i
			if i >= len(x) && i-k >= len(y) {
				return d
			}
		}
	}
	return -1
}

// counted takes lines for kept that both sides have, wherever they stand.
func counted(x, y []string) (added, removed int) {
	have := make(map[string]int, len(x))
	for _, line := range x {
		have[line]++
	}
	kept := 0
	for _, line := range y {
		if have[line] > 0 {
			have[line]--
			kept++
		}
	}
	return len(y) - kept, len(x) - kept
}
