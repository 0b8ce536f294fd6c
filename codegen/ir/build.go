package ir

import (
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// Keywords that say something about values of one type. A schema without "type" that uses them is
// read as if it said that type, which is listed.
var keywordTypes = []struct { //nolint:gochecknoglobals // a constant table
	keyword string
	means   Types
}{
	{"properties", Object}, {"required", Object}, {"additionalProperties", Object}, {"patternProperties", Object},
	{"minProperties", Object}, {"maxProperties", Object}, {"propertyNames", Object},
	{"items", Array}, {"prefixItems", Array}, {"minItems", Array}, {"maxItems", Array}, {"uniqueItems", Array}, {"contains", Array},
	{"pattern", String}, {"minLength", String}, {"maxLength", String},
	{"minimum", Number}, {"maximum", Number}, {"exclusiveMinimum", Number}, {"exclusiveMaximum", Number}, {"multipleOf", Number},
}

var unsupported = []string{ //nolint:gochecknoglobals // a constant table
	"if", "dependentSchemas", "dependentRequired", "dependencies", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "minContains", "maxContains"}

// schema reads one schema. outer is the types that the schema around it allows for the same value.
func (b *builder) schema(n *spec.Node, outer Types) *Schema {
	s := &Schema{Node: n}
	switch {
	case n.Is(spec.Bool):
		s.Never = !n.True()
		return s
	case !n.Is(spec.Object):
		b.doc.Problem(n, "here should be a schema, not %s", n.Kind)
		return s
	}
	ref := n.Get("$ref")
	if ref != nil && (b.old || len(n.Children) == 1) {
		b.reference(ref, s)
		b.meta(n, s)
		return s
	}
	b.meta(n, s)
	b.types(n, s, outer)
	b.enum(n, s)
	b.scalars(n, s)
	b.list(n, s)
	b.object(n, s)
	b.branches(n, s)
	for _, keyword := range unsupported {
		if found := n.Get(keyword); found != nil {
			b.note(found, "%s is not checked by the generated schemas", keyword)
		}
	}
	if ref != nil {
		target := &Schema{Node: ref}
		b.reference(ref, target)
		b.beside(s, target)
	}
	return s
}

// beside joins what stands beside a $ref, as 3.1 allows, to its target.
func (b *builder) beside(s, target *Schema) {
	only := *s
	only.Meta, only.Node = Meta{}, nil
	if only.Nullable = false; only.Trivial() && target.Ref != nil && !s.Nullable {
		*s = Schema{Ref: target.Ref, Meta: s.Meta, Node: s.Node}
		return
	}
	s.All = append([]*Schema{target}, s.All...)
}

func (b *builder) reference(ref *spec.Node, s *Schema) {
	if !ref.Is(spec.String) {
		b.doc.Problem(ref, "$ref should be a text, not %s", ref.Kind)
		return
	}
	s.Ref = b.refer(ref)
}

func (b *builder) meta(n *spec.Node, s *Schema) {
	s.Meta = Meta{
		Title: n.Get("title").String(), Description: n.Get("description").String(),
		Default: n.Get("default"), Example: n.Get("example"),
		Deprecated: n.Get("deprecated").True(), ReadOnly: n.Get("readOnly").True(), WriteOnly: n.Get("writeOnly").True(),
	}
	if examples := n.Get("examples"); s.Meta.Example == nil && examples.Is(spec.Array) && len(examples.Children) > 0 {
		s.Meta.Example = &examples.Children[0]
	}
}

// types reads type and nullable.
func (b *builder) types(n *spec.Node, s *Schema, outer Types) {
	switch t := n.Get("type"); {
	case t == nil:
		s.Types = b.infer(n, outer)
	case t.Is(spec.String):
		s.Types = b.typeOf(t)
	case t.Is(spec.Array):
		if b.old && !b.tuples {
			b.doc.Problem(t, "a list of types is OpenAPI 3.1; this document says it is 3.0")
		}
		for i := range t.Children {
			s.Types |= b.typeOf(&t.Children[i])
		}
	default:
		b.doc.Problem(t, "type should be a text, not %s", t.Kind)
	}
	if s.Types.Has(Number) {
		s.Types &^= Integer
	}
	if s.Types.Has(Null) && s.Types != Null && n.Get("enum") == nil && n.Get("allOf") == nil && n.Get("anyOf") == nil && n.Get("oneOf") == nil && n.Get("$ref") == nil {
		s.Types, s.Nullable = s.Types&^Null, true
	}
	if nullable := n.Get("nullable"); nullable.True() {
		s.Nullable = true
		if !b.old || b.tuples {
			b.note(nullable, "nullable is OpenAPI 3.0; it is read as type null")
		}
	}
}

func (b *builder) typeOf(n *spec.Node) Types {
	switch n.String() {
	case "null":
		return Null
	case "boolean":
		return Boolean
	case "object":
		return Object
	case "array":
		return Array
	case "string":
		return String
	case "number":
		return Number
	case "integer":
		return Integer
	}
	b.doc.Problem(n, "%q is no type of JSON Schema", n.Text)
	return 0
}

// infer tells the type of a schema that does not say it.
func (b *builder) infer(n *spec.Node, outer Types) Types {
	if n.Get("enum") != nil || n.Get("const") != nil {
		return 0
	}
	for _, k := range keywordTypes {
		found := n.Get(k.keyword)
		if found == nil {
			continue
		}
		if outer.Has(k.means) || k.means == Number && outer.Has(Integer) {
			return outer
		}
		b.note(found, "the schema has no type; read as %s, because of %s", typeName(k.means), k.keyword)
		return k.means
	}
	return 0
}

func typeName(t Types) string {
	return map[Types]string{Object: "an object", Array: "an array", String: "a string", Number: "a number"}[t]
}

// enum reads enum and const. Values of other types than the schema's are never valid.
func (b *builder) enum(n *spec.Node, s *Schema) {
	var values []spec.Node
	if list := n.Get("enum"); list != nil {
		if !list.Is(spec.Array) {
			b.doc.Problem(list, "enum should be a list, not %s", list.Kind)
			return
		}
		values = list.Children
	} else if value := n.Get("const"); value != nil {
		values = []spec.Node{*value}
	} else {
		return
	}
	s.Enum = []*spec.Node{}
	seen := make(map[string]bool, len(values))
	for i := range values {
		value := &values[i]
		switch {
		case s.Types != 0 && !s.Types.Has(typesOf(value)):
		case value.Kind == spec.Null:
			s.Nullable = true
		case len(value.Children) == 0 && seen[value.Kind.String()+value.Text]: // it is there already
		default:
			seen[value.Kind.String()+value.Text] = true
			s.Enum = append(s.Enum, value)
		}
	}
	s.Types &^= Null
	if len(s.Enum) == 0 {
		*s = Schema{Node: s.Node, Meta: s.Meta, Nullable: s.Nullable, Never: !s.Nullable, Types: Null}
		if s.Never {
			s.Types = 0
			b.note(n, "no value of this enum has the schema's type: nothing is valid")
		} else {
			s.Nullable = false
		}
	}
}

// typesOf lists the types that a value has: 3 is a number and an integer.
func typesOf(n *spec.Node) Types {
	switch n.Kind {
	case spec.Null:
		return Null
	case spec.Bool:
		return Boolean
	case spec.String:
		return String
	case spec.Array:
		return Array
	case spec.Object:
		return Object
	}
	if strings.ContainsAny(n.Text, ".eE") {
		return Number
	}
	return Number | Integer
}

// Equal compares two values as JSON does: the order of members does not count.
func Equal(a, b *spec.Node) bool {
	if a.Kind != b.Kind || len(a.Children) != len(b.Children) || a.Text != b.Text {
		return false
	}
	for i := range a.Children {
		other := &b.Children[i]
		if a.Kind == spec.Object {
			if other = b.Get(a.Children[i].Key); other == nil {
				return false
			}
		}
		if !Equal(&a.Children[i], other) {
			return false
		}
	}
	return true
}

func (b *builder) scalars(n *spec.Node, s *Schema) {
	if s.Enum != nil {
		return // its values say it all
	}
	s.Format = n.Get("format").String()
	s.MinLength, s.MaxLength = b.count(n, "minLength"), b.count(n, "maxLength")
	if pattern := n.Get("pattern"); pattern.Is(spec.String) {
		s.Pattern = b.pattern(pattern, pattern.Text)
	}
	s.Minimum, s.Maximum, s.MultipleOf = b.limit(n, "minimum"), b.limit(n, "maximum"), b.limit(n, "multipleOf")
	s.ExclusiveMinimum = b.exclusive(n, "exclusiveMinimum", &s.Minimum)
	s.ExclusiveMaximum = b.exclusive(n, "exclusiveMaximum", &s.Maximum)
}

// exclusive reads a limit that 3.0 writes as a boolean beside the inclusive one.
func (b *builder) exclusive(n *spec.Node, keyword string, inclusive *string) string {
	found := n.Get(keyword)
	if !found.Is(spec.Bool) {
		return b.limit(n, keyword)
	}
	if !found.True() {
		return ""
	}
	limit := *inclusive
	*inclusive = ""
	return limit
}

func (b *builder) limit(n *spec.Node, keyword string) string {
	found := n.Get(keyword)
	if found == nil {
		return ""
	}
	if !found.Is(spec.Number) {
		b.doc.Problem(found, "%s should be a number, not %s", keyword, found.Kind)
		return ""
	}
	return found.Text
}

func (b *builder) count(n *spec.Node, keyword string) string {
	text := b.limit(n, keyword)
	if strings.ContainsAny(text, "-.eE") {
		b.doc.Problem(n.Get(keyword), "%s should be a whole number, 0 or more", keyword)
		return ""
	}
	return text
}

func (b *builder) list(n *spec.Node, s *Schema) {
	items := n.Get("items")
	if b.tuples && items.Is(spec.Array) {
		s.Prefix = b.schemas(items, 0)
		items = n.Get("additionalItems")
	}
	if items != nil {
		s.Items = b.schema(items, 0)
	}
	if prefix := n.Get("prefixItems"); prefix != nil {
		s.Prefix = b.schemas(prefix, 0)
	}
	if contains := n.Get("contains"); contains != nil {
		s.Contains = b.schema(contains, 0)
	}
	s.MinItems, s.MaxItems, s.Unique = b.count(n, "minItems"), b.count(n, "maxItems"), n.Get("uniqueItems").True()
}

func (b *builder) object(n *spec.Node, s *Schema) {
	if properties := n.Get("properties"); properties != nil {
		if !properties.Is(spec.Object) {
			b.doc.Problem(properties, "properties should be an object, not %s", properties.Kind)
			properties = &spec.Node{}
		}
		s.Properties = make([]Property, len(properties.Children))
		for i := range properties.Children {
			child := &properties.Children[i]
			s.Properties[i] = Property{Name: child.Key, Schema: b.schema(child, 0)}
		}
	}
	if additional := n.Get("additionalProperties"); additional != nil {
		if s.Additional = b.schema(additional, 0); s.Additional.Trivial() && s.Additional.Meta == (Meta{}) {
			s.Additional = nil
		}
	}
	b.required(n, s)
	if patterns := n.Get("patternProperties"); patterns.Is(spec.Object) {
		for i := range patterns.Children {
			child := &patterns.Children[i]
			s.Patterns = append(s.Patterns, PatternProperty{Pattern: b.pattern(child, child.Key), Schema: b.schema(child, 0)})
		}
	}
	if names := n.Get("propertyNames"); names != nil {
		s.Names = b.schema(names, String)
	}
	s.MinProperties, s.MaxProperties = b.count(n, "minProperties"), b.count(n, "maxProperties")
}

// required marks properties. A required name without a property of its own may have any value.
func (b *builder) required(n *spec.Node, s *Schema) {
	list := n.Get("required")
	if list == nil || list.Is(spec.Bool) { // a boolean is JSON Schema draft 3, seen in the wild and without meaning
		return
	}
	if !list.Is(spec.Array) {
		b.doc.Problem(list, "required should be a list of names, not %s", list.Kind)
		return
	}
	index := make(map[string]int, len(s.Properties))
	for i := range s.Properties {
		index[s.Properties[i].Name] = i
	}
	for i := range list.Children {
		name := &list.Children[i]
		if !name.Is(spec.String) {
			b.doc.Problem(name, "required should list names, not %s", name.Kind)
			continue
		}
		at, ok := index[name.Text]
		if !ok {
			at = len(s.Properties)
			index[name.Text] = at
			s.Properties = append(s.Properties, Property{Name: name.Text, Schema: s.elsewhere(name)})
		}
		s.Properties[at].Required = true
	}
}

// elsewhere is the schema of a required member that has no property of its own.
func (s *Schema) elsewhere(name *spec.Node) *Schema {
	if s.Additional != nil {
		return s.Additional
	}
	return &Schema{Node: name}
}

func (b *builder) branches(n *spec.Node, s *Schema) {
	if found := n.Get("allOf"); found != nil {
		s.All = b.schemas(found, s.Types)
	}
	if found := n.Get("anyOf"); found != nil {
		s.Any = b.schemas(found, s.Types)
	}
	if found := n.Get("oneOf"); found != nil {
		s.One = b.schemas(found, s.Types)
	}
	if not := n.Get("not"); not != nil {
		s.Not = b.schema(not, s.Types)
	}
	s.Discriminator = n.Get("discriminator").Get("propertyName").String()
}

func (b *builder) schemas(n *spec.Node, outer Types) []*Schema {
	if !n.Is(spec.Array) || len(n.Children) == 0 {
		b.doc.Problem(n, "%s should be a list of schemas", n.Key)
		return nil
	}
	all := make([]*Schema, len(n.Children))
	for i := range n.Children {
		all[i] = b.schema(&n.Children[i], outer)
	}
	return all
}

// pattern takes a regular expression over if JavaScript can read it.
func (b *builder) pattern(n *spec.Node, source string) Pattern {
	p, why := ParsePattern(source)
	if why != "" {
		b.note(n, "the pattern is not checked by the generated schemas: %s", why)
	}
	return p
}
