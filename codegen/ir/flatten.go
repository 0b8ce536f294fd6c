package ir

import (
	"slices"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// flattenAll turns allOf of plain objects into one object, which is what people mean by it and what
// gives the better code. Where that would change the meaning, or a cycle runs through allOf, All stays.
func (b *builder) flattenAll() {
	f := &flattener{state: map[*Component]progress{}, left: maxMerged}
	for _, c := range b.found {
		f.component(c)
	}
	for _, s := range b.loose {
		f.schema(s)
	}
}

type progress uint8

const (
	untouched progress = iota
	running
	done
)

// maxMerged bounds the properties of all objects that were allOf, of which each has those of all that it leads to: GitHub's description has a few
// thousand of them. Beyond it, All stays, which means the same.
const maxMerged = 1_000_000

type flattener struct {
	state map[*Component]progress
	left  int // of maxMerged
}

func (f *flattener) component(c *Component) {
	if f.state[c] == untouched {
		f.state[c] = running
		f.schema(c.Schema)
		f.state[c] = done
	}
}

func (f *flattener) schema(s *Schema) {
	for child := range s.Children {
		f.schema(child)
	}
	defer s.closes()
	s.All = slices.DeleteFunc(s.All, func(branch *Schema) bool {
		switch {
		case branch.Trivial(): // as what only describes the reference beside it
			s.Meta = s.Meta.Over(branch.Meta)
		case branch.onlyConditions():
			s.Conditions = append(s.Conditions, branch.Conditions...)
		default:
			return false
		}
		return true
	})
	if len(s.All) == 0 {
		return
	}
	if len(s.All) == 1 && s.onlyAll() {
		only := *s.All[0]
		only.Nullable = only.Nullable || s.Nullable
		only.Meta = s.Meta.Over(only.Meta)
		only.Node = s.Node
		*s = only
		return
	}
	f.merge(s)
}

// onlyAll tells whether the schema says nothing but its allOf.
func (s *Schema) onlyAll() bool {
	rest := *s
	rest.All, rest.Nullable = nil, false
	return rest.Trivial()
}

// Over fills what m does not say from other.
func (m Meta) Over(other Meta) Meta {
	if m.Title == "" {
		m.Title = other.Title
	}
	if m.Description == "" {
		m.Description = other.Description
	}
	if m.Default == nil {
		m.Default = other.Default
	}
	if m.Example == nil {
		m.Example = other.Example
	}
	m.Deprecated = m.Deprecated || other.Deprecated
	m.ReadOnly = m.ReadOnly || other.ReadOnly
	m.WriteOnly = m.WriteOnly || other.WriteOnly
	return m
}

// merge joins branches that are plain objects.
func (f *flattener) merge(s *Schema) {
	own := *s
	own.All, own.Nullable, own.Conditions, own.Unevaluated = nil, false, nil, nil
	if !own.Trivial() && !own.plainObject() {
		return
	}
	var branches []*Schema
	for _, branch := range s.All {
		if branch.Ref != nil {
			f.component(branch.Ref)
			if f.state[branch.Ref] != done {
				return
			}
		}
		target := branch.Deref()
		switch {
		case target.Trivial():
		case !target.plainObject():
			return
		default:
			branches = append(branches, target)
		}
	}
	if len(branches) == 0 {
		return
	}
	nullable := s.Nullable || own.Trivial() && !slices.ContainsFunc(s.All, func(branch *Schema) bool { return !branch.Accepts().Has(Null) })
	if !own.Trivial() {
		branches = append(branches, &own)
	}
	for _, branch := range branches {
		f.left -= len(branch.Properties)
	}
	if f.left < 0 {
		return
	}
	merged := Schema{Types: Object, Nullable: nullable, Conditions: s.Conditions, Unevaluated: s.Unevaluated, Meta: s.Meta, Node: s.Node}
	index := map[string]int{}
	for _, branch := range branches {
		for _, p := range branch.Properties {
			f.property(&merged, index, p)
		}
	}
	*s = merged
}

// onlyConditions tells whether a schema says nothing but its conditions.
func (s *Schema) onlyConditions() bool {
	rest := *s
	rest.Conditions = nil
	return len(s.Conditions) > 0 && rest.Trivial()
}

// plainObject tells whether an object says nothing but which properties it has.
func (s *Schema) plainObject() bool {
	return s.Types == Object && s.Enum == nil && !s.combined() && !s.ruled() && s.Additional == nil &&
		len(s.Patterns) == 0 && s.Names == nil && s.MinProperties == "" && s.MaxProperties == ""
}

func (f *flattener) property(s *Schema, index map[string]int, p Property) {
	at, ok := index[p.Name]
	if !ok {
		index[p.Name] = len(s.Properties)
		s.Properties = append(s.Properties, p)
		return
	}
	other := &s.Properties[at]
	other.Required = other.Required || p.Required
	switch {
	case p.Schema.Trivial():
	case other.Schema.Trivial(), Equal(other.Schema.Node, p.Schema.Node), implied(other.Schema, p.Schema):
		other.Schema = p.Schema
	case implied(p.Schema, other.Schema):
	default:
		both := &Schema{All: []*Schema{other.Schema, p.Schema}, Node: p.Schema.Node, Meta: p.Schema.Meta}
		f.merge(both)
		other.Schema = both
	}
}

// implied tells whether every value of other is a text, and s asks for no more.
func implied(s, other *Schema) bool {
	null := other.TakesNull()
	other = other.Deref()
	plain := Schema{Types: String, Meta: s.Meta, Node: s.Node}
	return s.Types == String && s.same(&plain) && !null && len(other.Enum) > 0 &&
		!slices.ContainsFunc(other.Enum, func(value *spec.Node) bool { return value.Kind != spec.String })
}

// same tells whether two schemas without anything below them say the same.
func (s *Schema) same(other *Schema) bool {
	return s.Ref == nil && s.Enum == nil && s.Nullable == other.Nullable && s.Format == other.Format && s.Pattern == other.Pattern &&
		s.MinLength == other.MinLength && s.MaxLength == other.MaxLength && !s.combined() && !s.ruled()
}
