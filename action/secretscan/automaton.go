package secretscan

import (
	"slices"
	"strings"
)

// automaton finds all literals in one pass over a text, without regard to case: Aho-Corasick with a
// dense table, where bytes that no literal holds share a column.
type automaton struct {
	column  [256]uint8
	width   int        // columns
	next    []uint16   // state*width + column
	outputs [][]uint16 // of the last state, the one before, and so on: literals that end there
	last    int        // the last state
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
	a.link(trieOf(literals, &a.column))
	return a
}

// trie holds the states that literals lead through, the start first. It is all in three pieces of memory: the first
// scan of a process pays for it, and most processes scan little.
type trie struct {
	nodes []node
	also  []uint16 // of a literal, 1 + the next one that ends in the same state; 0 is none
}

// node is a state of a trie.
type node struct {
	child, sibling uint16 // the first child, and the next child of the same parent; 0 is none
	end            uint16 // 1 + the first literal that ends here
	column         uint8  // by which the parent leads here
}

func trieOf(literals []string, column *[256]uint8) trie {
	most := 1
	for _, literal := range literals {
		most += len(literal)
	}
	t := trie{make([]node, 1, most), make([]uint16, len(literals))}
	for i, literal := range slices.Backward(literals) { // so that those with the same end are in order
		at := uint16(0)
		for j := range len(literal) {
			at = t.child(at, column[literal[j]])
		}
		t.also[i], t.nodes[at].end = t.nodes[at].end, uint16(i+1) //nolint:gosec // hundreds
	}
	return t
}

// child is where a column leads, a new state if there was none.
func (t *trie) child(at uint16, column uint8) uint16 {
	for n := t.nodes[at].child; n != 0; n = t.nodes[n].sibling {
		if t.nodes[n].column == column {
			return n
		}
	}
	n := uint16(len(t.nodes)) //nolint:gosec // thousands
	t.nodes = append(t.nodes, node{sibling: t.nodes[at].child, column: column})
	t.nodes[at].child = n
	return n
}

// link completes the trie into an automaton, breadth first: the row of a state is that of the state to fall back
// to, which is nearer to the start, but for its own children. States with outputs are numbered from the last one down,
// the others from the start up: one comparison a byte tells them.
func (a *automaton) link(t trie) {
	type step struct{ node, state, fallback uint16 }
	a.next, a.last = make([]uint16, len(t.nodes)*a.width), len(t.nodes)-1
	row := func(state uint16) []uint16 { return a.next[int(state)*a.width:][:a.width] }
	queue := make([]step, 1, len(t.nodes)) // the start
	a.quiet = 1
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		to := row(at.state)
		if at.state != 0 {
			copy(to, row(at.fallback))
		}
		for n := t.nodes[at.node].child; n != 0; n = t.nodes[n].sibling {
			child := &t.nodes[n]
			fallback := to[child.column]
			outputs := t.endsOf(child)
			if back := a.last - int(fallback); back < len(a.outputs) {
				outputs = append(outputs, a.outputs[back]...)
			}
			state := a.quiet
			if len(outputs) > 0 {
				state = uint16(a.last - len(a.outputs)) //nolint:gosec // below 1<<16, as all states
				a.outputs = append(a.outputs, outputs)
			} else {
				a.quiet++
			}
			to[child.column] = state
			queue = append(queue, step{n, state, fallback})
		}
	}
}

// endsOf lists the literals that end in a state.
func (t *trie) endsOf(n *node) (literals []uint16) {
	for end := n.end; end != 0; end = t.also[end-1] {
		literals = append(literals, end-1)
	}
	return literals
}

// each calls found with the end of each literal in the text. State 0 stays the start: it has no output.
func (a *automaton) each(text []byte, found func(end int, literals []uint16)) {
	state, width, quiet := 0, a.width, int(a.quiet)
	next, column := a.next, &a.column
	for i, b := range text {
		state = int(next[state*width+int(column[b])])
		if state >= quiet {
			found(i+1, a.outputs[a.last-state])
		}
	}
}
