package target

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// jsonSchema writes schemas of the model as JSON Schema 2020-12 that refers to nothing outside. What
// occurs once stands where it is used; what is recursive, or occurs again, is in $defs.
type jsonSchema struct {
	writer
	first         []bool // of each open container: nothing was written into it yet
	defs          map[*ir.Component]bool
	compact       bool // all on one line
	plainPatterns bool // only those that mean the same without the flag u
}

func (s *jsonSchema) line() {
	if !s.compact {
		s.writer.line()
	}
}

func (s *jsonSchema) open(bracket string) {
	s.text(bracket)
	s.indent++
	s.first = append(s.first, true)
}

// item begins another member of the innermost container.
func (s *jsonSchema) item() *jsonSchema {
	last := len(s.first) - 1
	if !s.first[last] {
		s.text(",")
	}
	s.first[last] = false
	s.line()
	return s
}

func (s *jsonSchema) member(key string) *jsonSchema {
	s.item().quote(key)
	s.text(": ")
	return s
}

func (s *jsonSchema) shut(bracket string) {
	last := len(s.first) - 1
	s.indent--
	if !s.first[last] {
		s.line()
	}
	s.first = s.first[:last]
	s.text(bracket)
}

// root writes a schema with the definitions that it needs.
func (s *jsonSchema) root(schema *ir.Schema) {
	uses := map[*ir.Component]int{}
	count(schema, uses)
	s.defs = map[*ir.Component]bool{}
	var defs []*ir.Component
	for c, n := range uses {
		if c.Cycle != 0 || n > 1 {
			s.defs[c] = true
			defs = append(defs, c)
		}
	}
	slices.SortFunc(defs, func(a, b *ir.Component) int { return cmp.Compare(a.Ident, b.Ident) })
	s.open("{")
	s.keywords(schema)
	if len(defs) > 0 {
		s.member("$defs").open("{")
		for _, c := range defs {
			s.member(c.Ident)
			s.schema(c.Schema)
		}
		s.shut("}")
	}
	s.shut("}")
}

// count counts how often components are referred to, following each once.
func count(s *ir.Schema, uses map[*ir.Component]int) {
	if s.Ref != nil {
		if uses[s.Ref]++; uses[s.Ref] == 1 {
			count(s.Ref.Schema, uses)
		}
		return
	}
	for child := range s.Children {
		count(child, uses)
	}
}

func (s *jsonSchema) schema(schema *ir.Schema) {
	s.open("{")
	s.keywords(schema)
	s.shut("}")
}

// keywords writes a schema's keywords into the object that is open.
func (s *jsonSchema) keywords(schema *ir.Schema) {
	if schema.Ref != nil && !s.defs[schema.Ref] {
		inlined := *schema.Ref.Schema
		inlined.Nullable = inlined.Nullable || schema.Nullable
		inlined.Meta = schema.Meta.Over(inlined.Meta)
		s.keywords(&inlined)
		return
	}
	s.described(&schema.Meta)
	simple := schema.Ref == nil && !schema.Never && len(schema.All)+len(schema.Any)+len(schema.One)+len(schema.Conditions) == 0 && schema.Not == nil && schema.Unevaluated == nil
	if schema.Nullable && !simple {
		plain := *schema
		plain.Nullable, plain.Meta = false, ir.Meta{}
		s.member("anyOf").open("[")
		s.item().schema(&plain)
		s.item().text(`{ "type": "null" }`)
		s.shut("]")
		return
	}
	switch {
	case schema.Ref != nil:
		s.member("$ref").quote("#/$defs/" + schema.Ref.Ident)
		return
	case schema.Never:
		s.member("not").text("{}")
		return
	case schema.Enum != nil:
		s.enum(schema)
	default:
		s.types(schema)
	}
	s.scalar(schema)
	s.list(schema)
	s.object(schema)
	s.allOf(schema)
	s.branches("anyOf", schema.Any)
	s.branches("oneOf", schema.One)
	if schema.Not != nil {
		s.member("not").schema(schema.Not)
	}
	if schema.Unevaluated != nil {
		s.closing("unevaluatedProperties", schema.Unevaluated.Rest)
	}
}

// allOf writes conditions as further branches: a schema has one if at most.
func (s *jsonSchema) allOf(schema *ir.Schema) {
	if len(schema.All)+len(schema.Conditions) == 0 {
		return
	}
	s.member("allOf").open("[")
	for _, branch := range schema.All {
		s.item().schema(branch)
	}
	for _, c := range schema.Conditions {
		s.item().open("{")
		s.optional("if", c.If)
		s.optional("then", c.Then)
		s.optional("else", c.Else)
		s.shut("}")
	}
	s.shut("]")
}

func (s *jsonSchema) described(m *ir.Meta) {
	if m.Title != "" {
		s.member("title").quote(m.Title)
	}
	if m.Description != "" {
		s.member("description").quote(m.Description)
	}
	if m.Default != nil {
		s.member("default").value(m.Default)
	}
	if m.Deprecated {
		s.member("deprecated").text("true")
	}
}

// value writes a value of the document as JSON.
func (s *jsonSchema) value(n *spec.Node) {
	switch n.Kind {
	case spec.Object:
		s.open("{")
		for i := range n.Children {
			s.member(n.Children[i].Key).value(&n.Children[i])
		}
		s.shut("}")
	case spec.Array:
		s.open("[")
		for i := range n.Children {
			s.item().value(&n.Children[i])
		}
		s.shut("]")
	default:
		s.json(n)
	}
}

func (s *jsonSchema) enum(schema *ir.Schema) {
	s.member("enum").open("[")
	for _, value := range schema.Enum {
		s.item().value(value)
	}
	if schema.Nullable {
		s.item().text("null")
	}
	s.shut("]")
}

func (s *jsonSchema) types(schema *ir.Schema) {
	types := schema.Types
	if types == 0 {
		return
	}
	if schema.Nullable {
		types |= ir.Null
	}
	names := make([]string, 0, 7)
	for _, t := range [...]struct {
		is   ir.Types
		name string
	}{{ir.Boolean, "boolean"}, {ir.Object, "object"}, {ir.Array, "array"}, {ir.String, "string"}, {ir.Number, "number"}, {ir.Integer, "integer"}, {ir.Null, "null"}} {
		if types.Has(t.is) {
			names = append(names, t.name)
		}
	}
	s.member("type")
	if len(names) == 1 {
		s.quote(names[0])
		return
	}
	s.text("[")
	for i, name := range names {
		s.comma(i)
		s.quote(name)
	}
	s.text("]")
}

func (s *jsonSchema) number(keyword, value string) {
	if value != "" {
		s.member(keyword).text(value)
	}
}

func (s *jsonSchema) scalar(schema *ir.Schema) {
	if schema.Format != "" {
		s.member("format").quote(schema.Format)
	}
	if schema.Pattern.Source != "" && schema.Pattern.Unicode && (!s.plainPatterns || !needsUnicode(schema.Pattern.Source)) {
		s.member("pattern").quote(schema.Pattern.Source)
	}
	s.number("minLength", schema.MinLength)
	s.number("maxLength", schema.MaxLength)
	s.number("minimum", schema.Minimum)
	s.number("maximum", schema.Maximum)
	s.number("exclusiveMinimum", schema.ExclusiveMinimum)
	s.number("exclusiveMaximum", schema.ExclusiveMaximum)
	s.number("multipleOf", schema.MultipleOf)
}

// needsUnicode tells whether a pattern means something else without the flag u.
func needsUnicode(pattern string) bool {
	return strings.Contains(pattern, `\p{`) || strings.Contains(pattern, `\P{`) || strings.Contains(pattern, `\u{`)
}

func (s *jsonSchema) list(schema *ir.Schema) {
	s.branches("prefixItems", schema.Prefix)
	s.optional("items", schema.Items)
	s.optional("contains", schema.Contains)
	s.number("minContains", schema.MinContains)
	s.number("maxContains", schema.MaxContains)
	s.number("minItems", schema.MinItems)
	s.number("maxItems", schema.MaxItems)
	if schema.Unique {
		s.member("uniqueItems").text("true")
	}
}

func (s *jsonSchema) object(schema *ir.Schema) {
	var required []string
	if len(schema.Properties) > 0 {
		s.member("properties").open("{")
		for i := range schema.Properties {
			p := &schema.Properties[i]
			if u := schema.Unevaluated; u == nil || !p.Schema.Trivial() || slices.Contains(u.Known.Names, p.Name) { // what is only required is not described
				s.member(p.Name).schema(p.Schema)
			}
			if p.Required {
				required = append(required, p.Name)
			}
		}
		s.shut("}")
	}
	if len(required) > 0 {
		s.member("required").open("[")
		for _, name := range required {
			s.item().quote(name)
		}
		s.shut("]")
	}
	if len(schema.Patterns) > 0 {
		s.member("patternProperties").open("{")
		for i := range schema.Patterns {
			p := &schema.Patterns[i]
			source := p.Pattern.Source
			if !p.Pattern.Unicode || s.plainPatterns && needsUnicode(source) {
				source = "" // JSON Schema can't say it; any name will do
			}
			s.member(source).schema(p.Schema)
		}
		s.shut("}")
	}
	if schema.Additional != nil {
		s.closing("additionalProperties", schema.Additional)
	}
	s.optional("propertyNames", schema.Names)
	s.number("minProperties", schema.MinProperties)
	s.number("maxProperties", schema.MaxProperties)
}

// closing writes what other members must fit.
func (s *jsonSchema) closing(keyword string, rest *ir.Schema) {
	if rest.Never {
		s.member(keyword).text("false")
		return
	}
	s.member(keyword).schema(rest)
}

func (s *jsonSchema) optional(keyword string, schema *ir.Schema) {
	if schema != nil {
		s.member(keyword).schema(schema)
	}
}

func (s *jsonSchema) branches(keyword string, list []*ir.Schema) {
	if len(list) == 0 {
		return
	}
	s.member(keyword).open("[")
	for _, branch := range list {
		s.item().schema(branch)
	}
	s.shut("]")
}
