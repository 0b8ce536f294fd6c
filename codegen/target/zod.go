package target

import (
	"context"
	"slices"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// Zod writes the schemas of a model for Zod 4: a module that depends on nothing but zod.
func Zod(ctx context.Context, m *ir.Model) (content []byte, err error) {
	defer complete(&err)
	z := &zod{}
	z.ended = ctx.Err
	z.out = make([]byte, 0, 2048*len(m.Components))
	for _, c := range m.Components {
		z.component(c)
	}
	body := z.out
	z.out = make([]byte, 0, len(body)+64*len(m.Components)+1<<12)
	z.text("import * as z from \"zod\";\n")
	z.helpers()
	z.out = append(z.out, body...)
	z.aliases(m.Components)
	return z.out, nil
}

// zod writes expressions. While it writes a member of a cycle, references to the same cycle wait
// until they are used: in a getter, or in z.lazy.
type zod struct {
	writer
	prefix string // of the components' names: "" in their own module
	cycle  int
	getter bool
	needs  [helperCount]bool

	refuses map[*ir.Schema]bool // what closed found
}

func (z *zod) component(c *ir.Component) {
	z.cycle = c.Cycle
	z.text("\n")
	z.comment(c.Schema.Meta.Description)
	z.text("export const ", c.Ident)
	if c.Cycle != 0 {
		z.text(": z.ZodType<", c.Ident, ">")
	}
	z.text(" = ")
	z.expression(c.Schema)
	z.meta(c.Name, &c.Schema.Meta)
	z.text(";\nexport type ", c.Ident, " = ")
	if c.Cycle != 0 {
		z.typeOf(c.Schema)
	} else {
		z.text("z.infer<typeof ", c.Ident, ">")
	}
	z.text(";\n")
}

// aliases exports components whose names are no identifiers under those very names, too.
func (z *zod) aliases(components []*ir.Component) {
	first := true
	for _, c := range components {
		if c.Ident == c.Name || c.Operation {
			continue
		}
		if first {
			z.text("\nexport {")
		}
		first = false
		z.text("\n  ", c.Ident, " as ")
		z.quote(c.Name)
		z.text(",")
	}
	if !first {
		z.text("\n};\n")
	}
}

// meta attaches what a schema says about itself; id is the component's name, or empty.
func (z *zod) meta(id string, m *ir.Meta) {
	example := m.Example != nil && len(m.Example.Children) == 0 && m.Example.Kind != spec.Array && m.Example.Kind != spec.Object
	if id == "" && m.Title == "" && m.Description == "" && !m.Deprecated && !example {
		return
	}
	z.text(".meta({ ")
	first := true
	key := func(name string) {
		if !first {
			z.text(", ")
		}
		first = false
		z.text(name, ": ")
	}
	for _, entry := range [...]struct{ name, value string }{{"id", id}, {"title", m.Title}, {"description", m.Description}} {
		if entry.value != "" {
			key(entry.name)
			z.quote(entry.value)
		}
	}
	if m.Deprecated {
		key("deprecated")
		z.text("true")
	}
	if example {
		key("examples")
		z.text("[")
		z.json(m.Example)
		z.text("]")
	}
	z.text(" })")
}

// expression writes a schema without its meta.
func (z *zod) expression(s *ir.Schema) {
	nullable := s.Nullable
	any, nullAny := withoutNull(s.Any, false)
	one, nullOne := withoutNull(s.One, true)
	alone := len(s.All) == 0 && s.Types == 0 && s.Not == nil && len(s.Conditions) == 0 // nothing else is asked of null
	nullable = nullable || alone && (nullAny && len(one) == 0 || nullOne && len(any) == 0)
	if !nullable {
		any, one = s.Any, s.One
	}
	z.parts(s, any, one)
	if s.Not != nil {
		z.text(".refine((value) => !")
		z.eager(s.Not)
		z.text(".safeParse(value).success)")
	}
	z.rules(s)
	if nullable {
		z.text(".nullable()")
	}
}

// withoutNull leaves out the branch that only null fits. Of oneOf, that is right only where no other
// branch accepts null.
func withoutNull(branches []*ir.Schema, exclusive bool) ([]*ir.Schema, bool) {
	var rest []*ir.Schema
	for _, branch := range branches {
		if branch.Types != ir.Null || branch.Enum != nil {
			rest = append(rest, branch)
			if exclusive && branch.Accepts().Has(ir.Null) {
				return branches, false
			}
		}
	}
	if left := len(branches) - len(rest); len(rest) == 0 || left == 0 || exclusive && left > 1 {
		return branches, false
	}
	return rest, true
}

// parts writes what must hold at the same time: the schema's own keywords, allOf, anyOf and oneOf.
func (z *zod) parts(s *ir.Schema, any, one []*ir.Schema) {
	type part struct {
		write  func()
		closed bool
	}
	var parts []part
	if own(s) {
		parts = append(parts, part{func() { z.own(s) }, s.Closed()})
	}
	for _, branch := range s.All {
		parts = append(parts, part{func() { z.expression(branch) }, z.closed(branch)})
	}
	if len(any) > 0 {
		parts = append(parts, part{func() { z.union("z.union", any, s.Discriminator) }, slices.ContainsFunc(any, z.closed)})
	}
	if len(one) > 0 {
		name := "z.xor"
		if disjoint(one) {
			name = "z.union"
		}
		parts = append(parts, part{func() { z.union(name, one, s.Discriminator) }, slices.ContainsFunc(one, z.closed)})
	}
	if len(parts) == 0 {
		z.text("z.unknown()")
		return
	}
	for range len(parts) - 1 {
		z.text("z.intersection(")
	}
	parts[0].write()
	for _, p := range parts[1:] {
		z.text(", ")
		p.write()
		z.text(")")
	}
	// Zod's intersection lets a member pass that only one side knows.
	for i, p := range parts {
		switch {
		case !p.closed || len(parts) == 1:
		case i == 0 && own(s) && len(s.Properties) == 0:
			z.text(".refine((value) => Object.keys(value).length === 0)")
		case i == 0 && own(s):
			z.text(".refine((value) => Object.keys(value).every((key) => [")
			z.names(s)
			z.text("].includes(key)))")
		default:
			getter := z.getter
			z.getter = false
			z.text(".refine((value) => ")
			p.write()
			z.text(".safeParse(value).success)")
			z.getter = getter
		}
	}
}

// closed tells whether a schema refuses members that it does not know. The answers are kept, as there may be
// very many ways through branches to the same component.
func (z *zod) closed(s *ir.Schema) bool {
	s = s.Deref()
	known, there := z.refuses[s]
	if !there {
		known = s.Closed() || slices.ContainsFunc(s.All, z.closed) || slices.ContainsFunc(s.Any, z.closed) || slices.ContainsFunc(s.One, z.closed)
		if z.refuses == nil {
			z.refuses = map[*ir.Schema]bool{}
		}
		z.refuses[s] = known
	}
	return known
}

// own tells whether a schema says something that its branches do not say as well.
func own(s *ir.Schema) bool {
	if len(s.All)+len(s.Any)+len(s.One) == 0 {
		return true
	}
	bare := ir.Schema{Types: s.Types, All: s.All, Any: s.Any, One: s.One, Not: s.Not, Nullable: s.Nullable, Discriminator: s.Discriminator, Meta: s.Meta, Node: s.Node}
	if s.Enum != nil || s.Ref != nil || s.Never || !says(s, &bare) {
		return true
	}
	for _, list := range [][]*ir.Schema{s.All, s.Any, s.One} {
		implied := len(list) > 0
		for _, branch := range list {
			types := branch.Accepts()
			implied = implied && types&^ir.Wide(s.Types) == 0
		}
		if implied {
			return false
		}
	}
	return s.Types != 0
}

// says tells whether s has no keyword beyond those of bare.
func says(s, bare *ir.Schema) bool {
	return s.Format == bare.Format && s.Pattern == bare.Pattern && s.MinLength == "" && s.MaxLength == "" &&
		s.Minimum == "" && s.Maximum == "" && s.ExclusiveMinimum == "" && s.ExclusiveMaximum == "" && s.MultipleOf == "" &&
		s.Items == nil && s.Prefix == nil && s.MinItems == "" && s.MaxItems == "" && !s.Unique && s.Contains == nil &&
		len(s.Properties) == 0 && s.Additional == nil && len(s.Patterns) == 0 && s.Names == nil && s.MinProperties == "" && s.MaxProperties == ""
}

// disjoint tells whether no value can fit two of the branches, by its type alone.
func disjoint(branches []*ir.Schema) bool {
	var seen ir.Types
	for _, branch := range branches {
		types := branch.Accepts()
		if seen.Has(types) {
			return false
		}
		seen |= types
	}
	return true
}

func (z *zod) union(name string, branches []*ir.Schema, discriminator string) {
	if len(branches) == 1 {
		z.expression(branches[0])
		return
	}
	if discriminator != "" && z.plain(branches) {
		z.text("z.discriminatedUnion(")
		z.quote(discriminator)
		z.text(", [")
	} else {
		z.text(name, "([")
	}
	z.indent++
	for _, branch := range branches {
		z.line()
		z.expression(branch)
		z.meta("", branchMeta(branch))
		z.text(",")
	}
	z.indent--
	z.line()
	z.text("])")
}

func branchMeta(s *ir.Schema) *ir.Meta {
	return &ir.Meta{Title: s.Meta.Title, Description: s.Meta.Description}
}

// plain tells whether the types of all branches say that they are objects.
func (z *zod) plain(branches []*ir.Schema) bool {
	for _, branch := range branches {
		for s := branch; s.Ref != nil; s = s.Ref.Schema {
			if s.Ref.Cycle != 0 {
				return false
			}
		}
		object := branch.Deref()
		if len(object.Properties) == 0 {
			return false
		}
	}
	return true
}

// eager writes a schema that is needed at once, also within a getter.
func (z *zod) eager(s *ir.Schema) {
	getter := z.getter
	z.getter = false
	z.expression(s)
	z.getter = getter
}

func (z *zod) own(s *ir.Schema) {
	switch {
	case s.Ref != nil:
		z.reference(s.Ref)
		return
	case s.Never:
		z.text("z.never()")
		return
	case s.Enum != nil:
		z.enum(s.Enum)
		return
	case s.Types == 0:
		z.text("z.unknown()")
		return
	}
	var types []ir.Types
	for t := ir.Null; t <= ir.Integer; t <<= 1 {
		if s.Types.Has(t) {
			types = append(types, t)
		}
	}
	if len(types) == 1 {
		z.ofType(s, types[0])
		return
	}
	z.text("z.union([")
	for i, t := range types {
		z.comma(i)
		z.ofType(s, t)
	}
	z.text("])")
}

func (z *zod) reference(c *ir.Component) {
	if z.cycle != 0 && c.Cycle == z.cycle && !z.getter {
		z.text("z.lazy(() => ", c.Ident, ")")
		return
	}
	z.text(z.prefix, c.Ident)
}

func (z *zod) enum(values []*spec.Node) {
	texts, composed := true, false
	for _, value := range values {
		texts = texts && value.Kind == spec.String
		composed = composed || value.Kind == spec.Array || value.Kind == spec.Object
	}
	if composed {
		z.needs[equalHelper] = true
		z.text("z.unknown().refine((value) => ")
		z.values(values)
		z.text(".some((one) => equal(one, value)))")
		return
	}
	switch {
	case len(values) == 1:
		z.text("z.literal(")
		z.json(values[0])
	case texts:
		z.text("z.enum(")
		z.values(values)
	default:
		z.text("z.literal(")
		z.values(values)
	}
	z.text(")")
}

func (z *zod) values(values []*spec.Node) {
	z.text("[")
	for i, value := range values {
		z.comma(i)
		z.json(value)
	}
	z.text("]")
}

func (z *zod) ofType(s *ir.Schema, t ir.Types) {
	switch t {
	case ir.Null:
		z.text("z.null()")
	case ir.Boolean:
		z.text("z.boolean()")
	case ir.String:
		z.string(s)
	case ir.Number, ir.Integer:
		z.number(s, t)
	case ir.Array:
		z.array(s)
	case ir.Object:
		z.object(s)
	}
}

// ChecksFormat tells whether generated schemas check that a text has this format.
func ChecksFormat(name string) bool { return format(name) != format("") }

// format is Zod's check of a format, of those that it checks as JSON Schema does.
func format(name string) string {
	switch name {
	case "email":
		return "z.email()"
	case "uuid":
		return "z.guid()" // z.uuid asks for a version and a variant, which JSON Schema and Postgres do not
	case "uri", "url":
		return "z.url()"
	case "hostname":
		return "z.hostname()"
	case "ipv4":
		return "z.ipv4()"
	case "ipv6":
		return "z.ipv6()"
	case "byte":
		return "z.base64()"
	case "date":
		return "z.iso.date()"
	case "date-time":
		return "z.iso.datetime({ offset: true })"
	case "duration":
		return "z.iso.duration()"
	case "time":
		return `z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)$/)`
	case "uri-reference":
		return `z.string().regex(/^(?:[\w\-.~:/?#[\]@!$&'()*+,;=]|%[0-9a-fA-F]{2})*$/)`
	case "json-pointer":
		return `z.string().regex(/^(?:\/(?:[^~/]|~[01])*)*$/)`
	case "relative-json-pointer":
		return `z.string().regex(/^(?:0|[1-9]\d*)(?:#|(?:\/(?:[^~/]|~[01])*)*)$/)`
	}
	return "z.string()"
}

func (z *zod) string(s *ir.Schema) {
	z.text(format(s.Format))
	z.limit("min", s.MinLength)
	z.limit("max", s.MaxLength)
	if s.Pattern.Source != "" {
		z.text(".regex(", s.Pattern.Literal(), ")")
	}
}

func (z *zod) limit(method, value string) {
	if value != "" {
		z.text(".", method, "(", value, ")")
	}
}

func (z *zod) number(s *ir.Schema, t ir.Types) {
	switch {
	case t == ir.Number:
		z.text("z.number()")
	case s.Format == "int32":
		z.text("z.int32()")
	default:
		z.text("z.int()")
	}
	z.limit("min", s.Minimum)
	z.limit("max", s.Maximum)
	z.limit("gt", s.ExclusiveMinimum)
	z.limit("lt", s.ExclusiveMaximum)
	z.limit("multipleOf", s.MultipleOf)
}
