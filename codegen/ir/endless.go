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
