package secretscan

import "strings"

// automaton finds all literals in one pass over a text, without regard to case: Aho-Corasick with a
// dense table, where bytes that no literal holds share a column.
type automaton struct {
	column  [256]uint8
	width   int        // columns
	next    []uint16   // state*width + column
	outputs [][]uint16 // state -> literals that end here
	quiet   uint16     // states below have no outputs
	longest int        // length of the longest literal
}

func newAutomaton(literals []string) *automaton {
	a := &automaton{}
	last := uint8(0)
	for _, literal := range literals {
		a.longest = max(a.longest, len(literal))
		for i := range len(literal) {
			if b := literal[i]; a.column[b] == 0 {
				last++
				a.column[b] = last
				if upper := strings.ToUpper(string(rune(b))); len(upper) == 1 {
					a.column[upper[0]] = last
				}
			}
		}
	}
	a.width = int(last) + 1
	children, ends := a.trie(literals)
	a.link(children, ends)
	return a
}

// trie gives the children of each state by column (0: none), and the literals that end there.
func (a *automaton) trie(literals []string) (children [][]uint16, ends [][]uint16) {
	children, ends = [][]uint16{make([]uint16, a.width)}, [][]uint16{nil}
	last, id := uint16(0), uint16(0)
	for _, literal := range literals {
		state := uint16(0)
		for i := range len(literal) {
			c := a.column[literal[i]]
			if children[state][c] == 0 {
				last++
				children[state][c] = last
				children, ends = append(children, make([]uint16, a.width)), append(ends, nil)
			}
			state = children[state][c]
		}
		ends[state] = append(ends[state], id)
		id++
	}
	return children, ends
}

// link completes the trie into an automaton, breadth first, and numbers the states anew so that those
// with outputs come last: one comparison a byte tells them.
func (a *automaton) link(children, ends [][]uint16) {
	fail := make([]uint16, len(children))
	var queue []uint16
	for _, child := range children[0] {
		if child != 0 {
			queue = append(queue, child)
		}
	}
	for i := 0; i < len(queue); i++ {
		state := queue[i]
		ends[state] = append(ends[state], ends[fail[state]]...)
		for c := range a.width {
			child := children[state][c]
			if child == 0 {
				children[state][c] = children[fail[state]][c]
				continue
			}
			fail[child] = children[fail[state]][c]
			queue = append(queue, child)
		}
	}
	number := make([]uint16, len(children))
	var count uint16
	for _, loud := range []bool{false, true} {
		if loud {
			a.quiet = count
		}
		for state := range children {
			if (len(ends[state]) > 0) == loud {
				number[state] = count
				count++
			}
		}
	}
	a.next, a.outputs = make([]uint16, len(children)*a.width), make([][]uint16, len(children))
	for state, row := range children {
		a.outputs[number[state]] = ends[state]
		for c, to := range row {
			a.next[int(number[state])*a.width+c] = number[to]
		}
	}
}

// each calls found with the end of each literal in the text. State 0 stays the start: it has no output.
func (a *automaton) each(text []byte, found func(end int, literals []uint16)) {
	state, width, quiet := 0, a.width, int(a.quiet)
	next, column := a.next, &a.column
	for i, b := range text {
		state = int(next[state*width+int(column[b])])
		if state >= quiet {
			found(i+1, a.outputs[state])
		}
	}
}
