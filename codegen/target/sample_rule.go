package target

import (
	"slices"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// ruled changes a sample to what the schema's conditions ask of it.
func (g *sampler) ruled(s *ir.Schema, value *spec.Node, depth int) *spec.Node {
	for _, c := range s.Conditions {
		asked := c.Else
		if g.satisfies(c.If, value) {
			asked = c.Then
		}
		if asked == nil || value == nil || g.satisfies(asked, value) {
			continue
		}
		more := g.value(asked, depth+1)
		if more != nil && more.Kind == spec.Object && value.Kind == spec.Object {
			more = g.shortened(s, asked, join(said(asked, more, value), value))
		}
		value = more
	}
	return value
}

// said leaves out the members of a sample of which the schema says no more than that they must be there, and that are.
func said(s *ir.Schema, sample, value *spec.Node) *spec.Node {
	left := &spec.Node{Kind: spec.Object, Children: slices.Clone(sample.Children)}
	for _, p := range s.Deref().Properties {
		left.Children = slices.DeleteFunc(left.Children, func(member spec.Node) bool {
			return member.Key == p.Name && p.Schema.Trivial() && value.Get(p.Name) != nil
		})
	}
	return left
}

// shortened leaves out an optional member that is in the way of what is asked, if there is such a one.
func (g *sampler) shortened(s, asked *ir.Schema, value *spec.Node) *spec.Node {
	for i := 0; i < len(s.Properties) && !g.satisfies(asked, value); i++ {
		p := &s.Properties[i]
		fewer := &spec.Node{Kind: spec.Object, Children: slices.DeleteFunc(slices.Clone(value.Children), func(member spec.Node) bool { return member.Key == p.Name })}
		if !p.Required && g.satisfies(asked, fewer) {
			return fewer
		}
	}
	return value
}

// satisfies tells whether a value is what the keywords ask that conditions are made of: types, enums and members. Others are taken
// to be kept.
func (g *sampler) satisfies(s *ir.Schema, value *spec.Node) bool {
	if g.left--; value == nil || g.left < maxSample-maxSampleWork {
		return false
	}
	if value.Kind == spec.Null && s.TakesNull() {
		return true
	}
	s = s.Deref()
	fit := func(branch *ir.Schema) bool { return g.satisfies(branch, value) }
	switch {
	case !s.Accepts().Has(kindType(value)),
		s.Enum != nil && !slices.ContainsFunc(s.Enum, func(one *spec.Node) bool { return ir.Equal(one, value) }),
		len(s.Any) > 0 && !slices.ContainsFunc(s.Any, fit), len(s.One) > 0 && !slices.ContainsFunc(s.One, fit),
		s.Not != nil && fit(s.Not):
		return false
	}
	for i := range s.Properties {
		p := &s.Properties[i]
		if member := value.Get(p.Name); member == nil && p.Required && value.Kind == spec.Object || member != nil && !g.satisfies(p.Schema, member) {
			return false
		}
	}
	return !slices.ContainsFunc(s.All, func(branch *ir.Schema) bool { return !fit(branch) })
}
