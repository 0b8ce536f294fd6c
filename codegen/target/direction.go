package target

import "github.com/flaresmith/flaresmith/codegen/ir"

// requestSchema is what a request's body has to be: members that are read-only need not be there, even
// where the schema requires them.
func requestSchema(s *ir.Schema, plain map[*ir.Schema]bool) *ir.Schema {
	return without(s, plain, func(m *ir.Meta) bool { return m.ReadOnly })
}

// responseSchema is the same for a response's body and members that are write-only.
func responseSchema(s *ir.Schema, plain map[*ir.Schema]bool) *ir.Schema {
	return without(s, plain, func(m *ir.Meta) bool { return m.WriteOnly })
}

// without makes members of an object optional. A schema without such members is returned as it is, by its name, and is
// plain from then on: very many operations may share a large one. plain may be nil.
func without(s *ir.Schema, plain map[*ir.Schema]bool, other func(*ir.Meta) bool) *ir.Schema {
	target := s.Deref()
	if plain[target] {
		return s
	}
	var changed *ir.Schema
	for i := range target.Properties {
		p := &target.Properties[i]
		if !p.Required || !other(&p.Schema.Meta) && !other(&p.Schema.Deref().Meta) {
			continue
		}
		if changed == nil {
			copied := *target
			copied.Nullable = s.TakesNull()
			copied.Properties = append([]ir.Property(nil), target.Properties...)
			changed = &copied
		}
		changed.Properties[i].Required = false
	}
	if changed != nil {
		return changed
	}
	if plain != nil {
		plain[target] = true
	}
	return s
}
