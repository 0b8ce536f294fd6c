package ir

import "github.com/flaresmith/flaresmith/codegen/spec"

// discriminators keeps a discriminator only where it may be relied on: every branch is an object
// that requires it with texts of its own. Otherwise the branches are tried.
func (b *builder) discriminators() {
	for _, c := range b.found {
		var walk func(*Schema)
		walk = func(s *Schema) {
			if s.Discriminator != "" && !s.told() {
				s.Discriminator = ""
			}
			for child := range s.Children {
				walk(child)
			}
		}
		walk(c.Schema)
	}
}

func (s *Schema) told() bool {
	branches := s.One
	if len(branches) == 0 {
		branches = s.Any
	}
	seen := map[string]bool{}
	for _, branch := range branches {
		object := branch.Deref()
		if branch.TakesNull() || object.Types != Object || object.combined() || object.Enum != nil || object.Never {
			return false
		}
		values := object.required(s.Discriminator)
		for _, value := range values {
			if value.Kind != spec.String || seen[value.Text] {
				return false
			}
			seen[value.Text] = true
		}
		if len(values) == 0 {
			return false
		}
	}
	return len(branches) > 0
}

// required returns the values of a required property, if it has a fixed set of them.
func (s *Schema) required(name string) []*spec.Node {
	for _, p := range s.Properties {
		if p.Name == name && p.Required {
			if !p.Schema.TakesNull() {
				return p.Schema.Deref().Enum
			}
		}
	}
	return nil
}
