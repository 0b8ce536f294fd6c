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

	Properties                   []Property
	Additional                   *Schema // nil when nothing is said
	Patterns                     []PatternProperty
	Names                        *Schema
	MinProperties, MaxProperties string

	All, Any, One []*Schema
	Not           *Schema
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
	return s.Ref == nil && !s.Never && s.Types == 0 && s.Enum == nil && !s.combined() && s.Not == nil && !s.Nullable
}

func (s *Schema) combined() bool { return len(s.All)+len(s.Any)+len(s.One) > 0 }

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

const maxRefs = 100

// Children calls yield for every schema directly below.
func (s *Schema) Children(yield func(*Schema)) {
	for _, list := range [][]*Schema{s.All, s.Any, s.One, s.Prefix} {
		for _, child := range list {
			yield(child)
		}
	}
	for i := range s.Properties {
		yield(s.Properties[i].Schema)
	}
	for i := range s.Patterns {
		yield(s.Patterns[i].Schema)
	}
	for _, child := range []*Schema{s.Items, s.Contains, s.Additional, s.Names, s.Not} {
		if child != nil {
			yield(child)
		}
	}
}
