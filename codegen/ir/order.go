package ir

import (
	"cmp"
	"slices"
)

// ordered sorts components by name, each behind those that it uses, and numbers the cycles. It is
// Tarjan's algorithm, which yields the strongly connected components in that very order.
func ordered(all []*Component) []*Component {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b *Component) int { return cmp.Compare(a.Ident, b.Ident) })
	t := &tarjan{index: make(map[*Component]int, len(all)), low: make(map[*Component]int, len(all)), onStack: map[*Component]bool{}}
	for _, c := range all {
		if t.index[c] == 0 {
			t.visit(c)
		}
	}
	return t.out
}

type tarjan struct {
	index, low map[*Component]int
	stack      []*Component
	onStack    map[*Component]bool
	cycles     int
	out        []*Component
}

func (t *tarjan) visit(c *Component) {
	t.index[c] = len(t.index) + 1
	t.low[c] = t.index[c]
	t.stack = append(t.stack, c)
	t.onStack[c] = true
	uses := Uses(c.Schema)
	for _, other := range uses {
		if t.index[other] == 0 {
			t.visit(other)
			t.low[c] = min(t.low[c], t.low[other])
		} else if t.onStack[other] {
			t.low[c] = min(t.low[c], t.index[other])
		}
	}
	if t.low[c] != t.index[c] {
		return
	}
	at := len(t.stack) - 1
	for t.stack[at] != c {
		at--
	}
	group := slices.Clone(t.stack[at:])
	t.stack = t.stack[:at]
	if len(group) > 1 || slices.Contains(uses, c) {
		t.cycles++
	}
	slices.SortFunc(group, func(a, b *Component) int { return cmp.Compare(a.Ident, b.Ident) })
	for _, member := range group {
		delete(t.onStack, member)
		if len(group) > 1 || slices.Contains(uses, c) {
			member.Cycle = t.cycles
		}
	}
	t.out = append(t.out, group...)
}

// Uses lists the components that a schema refers to, sorted by name.
func Uses(s *Schema) []*Component {
	var uses []*Component
	var walk func(*Schema)
	walk = func(s *Schema) {
		if s.Ref != nil {
			uses = append(uses, s.Ref)
			return
		}
		for child := range s.Children {
			walk(child)
		}
	}
	walk(s)
	slices.SortFunc(uses, func(a, b *Component) int { return cmp.Compare(a.Ident, b.Ident) })
	return slices.Compact(uses)
}
