package ir

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// schema reads one schema. outer is the types that the schema around it allows for the same value.
func (b *builder) schema(n *spec.Node, outer Types) *Schema {
	s := b.newSchema(n)
	switch {
	case b.pause():
		return s
	case n.Is(spec.Bool):
		s.Never = !n.True()
		return s
	case !n.Is(spec.Object):
		b.doc.Problem(n, "here should be a schema, not %s", n.Kind)
		return s
	}
	ref := b.referenceOf(n)
	if ref != nil && (b.old || len(n.Children) == 1) {
		b.reference(ref, s)
		b.meta(n, s)
		b.ignored(n, s)
		return s
	}
	b.meta(n, s)
	b.keywords(n)
	if ref != nil {
		outer |= b.typesBehind(n)
	}
	outer = cmp.Or(outer, b.typesWithin(n))
	b.types(n, s, outer)
	b.enum(n, s)
	said := sayings(n)
	if said&ofScalars != 0 {
		b.scalars(n, s)
	}
	if said&ofLists != 0 {
		b.list(n, s)
	}
	if said&ofObjects != 0 {
		b.object(n, s)
	}
	if outer = cmp.Or(s.Types, outer); said&ofOthers != 0 {
		b.branches(n, s, outer)
		b.conditions(n, s, outer)
	}
	if ref != nil {
		target := b.newSchema(ref)
		b.reference(ref, target)
		b.beside(s, target)
	}
	return s
}

// newSchema takes one out of a number that there is memory for at once.
func (b *builder) newSchema(n *spec.Node) *Schema {
	const atOnce = 32
	if len(b.schemasLeft) == 0 {
		b.schemasLeft = make([]Schema, atOnce)
	}
	s := &b.schemasLeft[0]
	b.schemasLeft = b.schemasLeft[1:]
	s.Node = n
	return s
}

// ignored is what stands beside a $ref in OpenAPI 3.0 and old drafts, which say that it does not count. People mean
// nullable all the same.
func (b *builder) ignored(n *spec.Node, s *Schema) {
	for i := range n.Children {
		switch child := &n.Children[i]; {
		case child.Key == "nullable" && child.True() && !b.tuples:
			s.Nullable = true
			b.note(child, "OpenAPI 3.0 ignores nullable beside $ref: it is read as it is meant, so that null is valid")
		case child.Key == "enum" || child.Key == "allOf" || child.Key == "anyOf" || child.Key == "oneOf" || isAbout(child.Key):
			b.note(child, "%s beside $ref does not count in OpenAPI 3.0, nor in JSON Schema up to draft 7: it is not checked", child.Key)
		}
	}
}

func isAbout(keyword string) bool {
	for _, k := range keywordTypes {
		if k.keyword == keyword {
			return true
		}
	}
	return false
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

// keywords reports keywords of the wrong kind that would be taken for not being there.
func (b *builder) keywords(n *spec.Node) {
	for i := range n.Children {
		child, want := &n.Children[i], spec.Missing
		switch child.Key {
		case "nullable", "uniqueItems", "readOnly", "writeOnly":
			want = spec.Bool
		case "pattern", "format":
			want = spec.String
		case "patternProperties", "discriminator":
			want = spec.Object
		}
		if want == spec.Missing || child.Kind == want {
			continue
		}
		if child.Key == "discriminator" && child.Is(spec.String) { // as Swagger 2.0 has it
			b.note(child, "discriminator should be an object with a propertyName: it is not used")
			continue
		}
		b.doc.Problem(child, "%s should be %s, not %s", child.Key, want, child.Kind)
	}
}

// referenceOf is the keyword of a schema that refers to another. What is dynamic leads to the one schema that has the anchor: another
// one would have to be in the document, too.
func (b *builder) referenceOf(n *spec.Node) *spec.Node {
	for _, keyword := range []string{"$ref", "$dynamicRef", "$recursiveRef"} {
		if found := n.Get(keyword); found != nil {
			return found
		}
	}
	return nil
}

func (b *builder) reference(ref *spec.Node, s *Schema) {
	if !ref.Is(spec.String) {
		b.doc.Problem(ref, "%s should be a text, not %s", ref.Key, ref.Kind)
		return
	}
	s.Ref = b.refer(ref)
}

func (b *builder) meta(n *spec.Node, s *Schema) {
	m := &s.Meta
	var examples *spec.Node
	for i := range n.Children {
		switch child := &n.Children[i]; child.Key {
		case "title":
			m.Title = child.String()
		case "description":
			m.Description = child.String()
		case "default":
			m.Default = child
		case "example":
			m.Example = child
		case "examples":
			examples = child
		case "deprecated":
			m.Deprecated = child.True()
		case "readOnly":
			m.ReadOnly = child.True()
		case "writeOnly":
			m.WriteOnly = child.True()
		}
	}
	if m.Example == nil && examples.Is(spec.Array) && len(examples.Children) > 0 {
		m.Example = &examples.Children[0]
	}
}

// enum reads enum and const. Values of other types than the schema's are never valid.
func (b *builder) enum(n *spec.Node, s *Schema) {
	var values []spec.Node
	if list := n.Get("enum"); list != nil {
		if !list.Is(spec.Array) {
			b.doc.Problem(list, "enum should be a list, not %s", list.Kind)
			return
		}
		if len(list.Children) == 0 { // what somebody's tool left: no value would ever do
			b.note(list, "the enum is empty, and no value could be valid: it is not read")
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
	var pattern *regexp.Regexp
	if source := n.Get("pattern").String(); source != "" {
		pattern, _ = regexp.Compile(source) // what Go can't read is not checked
	}
	s.Enum = slices.DeleteFunc(s.Enum, func(value *spec.Node) bool { return !b.pause() && !allowed(n, pattern, value) })
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

// allowed tells whether a value of an enum keeps the limits that stand beside it, and the pattern, if there is one.
func allowed(n *spec.Node, pattern *regexp.Regexp, value *spec.Node) bool {
	switch value.Kind {
	case spec.String:
		length := float64(utf8.RuneCountInString(value.Text))
		if pattern != nil && !pattern.MatchString(value.Text) {
			return false
		}
		return within(n, "minLength", length, 1, false) && within(n, "maxLength", length, -1, false)
	case spec.Number:
		number, err := strconv.ParseFloat(value.Text, 64)
		return err != nil || within(n, "minimum", number, 1, n.Get("exclusiveMinimum").True()) && within(n, "maximum", number, -1, n.Get("exclusiveMaximum").True()) &&
			within(n, "exclusiveMinimum", number, 1, true) && within(n, "exclusiveMaximum", number, -1, true)
	}
	return true
}

// within compares with a limit, if there is one: sign is 1 of a lower one, and -1 of an upper one.
func within(n *spec.Node, keyword string, number, sign float64, exclusive bool) bool {
	found := n.Get(keyword)
	if !found.Is(spec.Number) {
		return true
	}
	limit, err := strconv.ParseFloat(found.Text, 64)
	return err != nil || number*sign > limit*sign || !exclusive && number == limit
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
	if _, whole := wholeNumber(n.Text); !whole {
		return Number
	}
	return Number | Integer
}

// wholeNumber writes a number without a fraction without it: to JSON Schema, 1.0 and 1e0 are integers as 1 is.
func wholeNumber(text string) (string, bool) {
	if !strings.ContainsAny(text, ".eE") {
		return text, true
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || number != math.Trunc(number) || math.Abs(number) > 1<<53 {
		return text, false
	}
	return strconv.FormatFloat(number, 'f', 0, 64), true
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
	text, whole := wholeNumber(b.limit(n, keyword))
	if !whole || strings.HasPrefix(text, "-") {
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
	s.MinContains, s.MaxContains = b.count(n, "minContains"), b.count(n, "maxContains")
	s.MinItems, s.MaxItems, s.Unique = b.count(n, "minItems"), b.count(n, "maxItems"), n.Get("uniqueItems").True()
	b.unevaluatedItems(n, s)
}

// unevaluatedItems is what items is, where nothing but prefixItems describes items.
func (b *builder) unevaluatedItems(n *spec.Node, s *Schema) {
	rest := n.Get("unevaluatedItems")
	if rest == nil || s.Items != nil {
		return
	}
	for _, keyword := range []string{"allOf", "anyOf", "oneOf", "if", "contains", "$ref"} {
		if n.Get(keyword) != nil {
			b.note(rest, "unevaluatedItems beside %s is not checked by the generated schemas", keyword)
			return
		}
	}
	s.Items = b.schema(rest, 0)
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
	if rest := n.Get("unevaluatedProperties"); rest != nil {
		if u := (Unevaluated{Rest: b.schema(rest, 0)}); !u.Rest.Trivial() {
			s.Unevaluated, b.unevaluated = &u, true
		}
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

func (b *builder) branches(n *spec.Node, s *Schema, outer Types) {
	if found := n.Get("allOf"); found != nil {
		s.All = b.schemas(found, outer)
	}
	if found := n.Get("anyOf"); found != nil {
		s.Any = b.schemas(found, outer)
	}
	if found := n.Get("oneOf"); found != nil {
		s.One = b.schemas(found, outer)
	}
	if not := n.Get("not"); not != nil {
		s.Not = b.schema(not, outer)
	}
	s.Discriminator = n.Get("discriminator").Get("propertyName").String()
	b.discriminated = b.discriminated || s.Discriminator != ""
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
