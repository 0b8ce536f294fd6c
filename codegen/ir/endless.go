package ir

// endless reports schemas that refer to themselves for the very same value (A is B, B is A; or
// allOf, anyOf, oneOf, not): no value could ever be checked against them.
func (b *builder) endless() {
	state := make(map[*Component]progress, len(b.found))
	var component func(*Component)
	var same func(*Schema)
	same = func(s *Schema) {
		if s.Ref != nil {
			if state[s.Ref] == running {
				b.doc.Problem(s.Node, "the schema %q refers to itself for the same value", s.Ref.Name)
				return
			}
			component(s.Ref)
		}
		for _, list := range [][]*Schema{s.All, s.Any, s.One} {
			for _, branch := range list {
				same(branch)
			}
		}
		if s.Not != nil {
			same(s.Not)
		}
		for _, c := range s.Conditions {
			for _, branch := range []*Schema{c.If, c.Then, c.Else} {
				if branch != nil {
					same(branch)
				}
			}
		}
	}
	component = func(c *Component) {
		if state[c] == untouched && c.Schema != nil {
			state[c] = running
			same(c.Schema)
			state[c] = done
		}
	}
	for _, c := range b.found {
		component(c)
	}
}

// maxRepeated is how deep branches may nest of which a target writes each twice: 1,024 times are enough.
const maxRepeated = 10

// repeated reports branches within branches that refuse unknown members, where they nest too deep. Such a branch is
// written once for its type and once to be checked by itself, and so is all that stands in it: every level doubles
// what is written. A reference is short, whatever it refers to.
func (b *builder) repeated() {
	for _, c := range b.found {
		b.bounded(c.Schema)
	}
	for _, s := range b.loose {
		b.bounded(s)
	}
}

func (b *builder) bounded(s *Schema) {
	if depth, _ := repeats(s); depth > maxRepeated {
		b.doc.Problem(s.Node, "allOf, anyOf and oneOf nest deeper than %d levels around additionalProperties or unevaluatedProperties: false: make some of them components, and refer to these", maxRepeated)
	}
}

// repeats counts the levels, and tells whether the schema may refuse members.
func repeats(s *Schema) (depth int, closed bool) {
	if s.Ref != nil {
		return 0, true // nothing is written but a name
	}
	branches := len(s.All) + len(s.Any) + len(s.One)
	twice := 0
	if s.Unevaluated != nil { // its branches are written once more to tell whether an object fits
		twice = 1
	}
	for child := range s.Children {
		below, refuses := repeats(child)
		depth = max(depth, below)
		if branches > 0 && refuses { // branches come before the other children
			closed = true
			if child.Ref == nil {
				twice = 1
			}
		}
		branches--
	}
	return depth + twice, closed || s.Closed() || s.Unevaluated != nil
}
