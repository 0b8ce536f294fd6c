package ir

import "github.com/flaresmith/flaresmith/codegen/spec"

// Types is a set of JSON types. The empty set stands for any type.
type Types uint8

// The JSON types. Integer stands for numbers without a fraction.
const (
	Null Types = 1 << iota
	Boolean
	Object
	Array
	String
	Number
	Integer
)

const allTypes = Null | Boolean | Object | Array | String | Number | Integer

// Wide adds what is contained: a number may be an integer.
func Wide(t Types) Types {
	if t.Has(Number) {
		t |= Integer
	}
	return t
}

// Has tells whether the set contains t.
func (s Types) Has(t Types) bool { return s&t != 0 }

// Schema is what a JSON Schema means. Beside Ref only Nullable and Meta are set, beside Never only Meta.
type Schema struct {
	Ref      *Component
	Never    bool // nothing is valid
	Nullable bool // null is valid, whatever else is said
	Types    Types
	Enum     []*spec.Node // without null, which Nullable stands for; nil when there is none

	Format               string
	Pattern              Pattern
	MinLength, MaxLength string // literals of numbers, "" when there is none; so are all limits

	Minimum, Maximum                   string
	ExclusiveMinimum, ExclusiveMaximum string
	MultipleOf                         string

	Items              *Schema
	Prefix             []*Schema
	MinItems, MaxItems string
	Unique             bool
	Contains           *Schema

	MinContains, MaxContains string

	Properties                   []Property
	Additional                   *Schema // nil when nothing is said
	Patterns                     []PatternProperty
	Names                        *Schema
	MinProperties, MaxProperties string

	All, Any, One []*Schema
	Not           *Schema
	Conditions    []Condition
	Unevaluated   *Unevaluated
	Discriminator string // property that tells the branches of One or Any apart, and every branch requires

	Meta Meta
	Node *spec.Node
}

// Property is a member of an object.
type Property struct {
	Name     string
	Required bool
	Schema   *Schema
}

// PatternProperty constrains the members whose names match a pattern.
type PatternProperty struct {
	Pattern Pattern
	Schema  *Schema
}

// Meta is what a schema says about itself that no value is checked against.
type Meta struct {
	Title, Description  string
	Default, Example    *spec.Node
	Deprecated          bool
	ReadOnly, WriteOnly bool
}

// Component is a schema with a name of its own.
type Component struct {
	Name      string // in the document
	Ident     string // in code
	Schema    *Schema
	Cycle     int // 0, or the number of the cycle that it is part of
	Operation bool
	pointer   string
}

// Closed tells whether an object accepts no members but its properties.
func (s *Schema) Closed() bool {
	return s.Additional != nil && s.Additional.Never && len(s.Patterns) == 0
}

// Trivial tells whether the schema accepts every value.
func (s *Schema) Trivial() bool {
	return s.Ref == nil && !s.Never && s.Types == 0 && s.Enum == nil && !s.combined() && !s.ruled() && !s.Nullable
}

func (s *Schema) combined() bool { return len(s.All)+len(s.Any)+len(s.One) > 0 }

// ruled tells whether the schema says something that its type does not show.
func (s *Schema) ruled() bool { return s.Not != nil || len(s.Conditions) > 0 || s.Unevaluated != nil }

// Deref follows references to the schema that says something.
func (s *Schema) Deref() *Schema {
	for range maxRefs {
		if s.Ref == nil || s.Ref.Schema == nil {
			break
		}
		s = s.Ref.Schema
	}
	return s
}

// TakesNull tells whether null is valid because it is said so, at the schema or at one that it refers to.
func (s *Schema) TakesNull() bool {
	for range maxRefs {
		if s.Nullable || s.Ref == nil || s.Ref.Schema == nil {
			break
		}
		s = s.Ref.Schema
	}
	return s.Nullable
}

const maxRefs = 100

// Accepts tells which types the values of a schema may have, as far as its own keywords say it.
func (s *Schema) Accepts() Types {
	target := s.Deref()
	types := Wide(target.Types)
	switch {
	case target.Never:
		types = 0
	case target.Enum != nil:
		types = 0
		for _, value := range target.Enum {
			if value.Kind == spec.Number {
				types |= Number | Integer
			} else {
				types |= typesOf(value)
			}
		}
	case types == 0:
		types = allTypes
	}
	if s.TakesNull() {
		types |= Null
	}
	return types
}

// Children calls yield for every schema directly below.
func (s *Schema) Children(yield func(*Schema) bool) {
	if s.combined() || len(s.Prefix) > 0 {
		for _, list := range [...][]*Schema{s.All, s.Any, s.One, s.Prefix} {
			for _, child := range list {
				if !yield(child) {
					return
				}
			}
		}
	}
	for i := range s.Properties {
		if !yield(s.Properties[i].Schema) {
			return
		}
	}
	for i := range s.Patterns {
		if !yield(s.Patterns[i].Schema) {
			return
		}
	}
	for _, child := range [...]*Schema{s.Items, s.Contains, s.Additional, s.Names, s.Not} {
		if child != nil && !yield(child) {
			return
		}
	}
	for _, c := range s.Conditions {
		for _, child := range [...]*Schema{c.If, c.Then, c.Else} {
			if child != nil && !yield(child) {
				return
			}
		}
	}
	if s.Unevaluated != nil {
		yield(s.Unevaluated.Rest)
	}
}
