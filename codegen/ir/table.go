package ir

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// table makes the table of an entity, without its references. Entities that are only extended or
// indexed are noted.
func (b *databaseBuilder) table(g *merged) {
	defined := slices.IndexFunc(g.parts, func(p part) bool { return !p.IndexOf && !p.Extends })
	if defined < 0 {
		what := "has an index here, and is described nowhere: it is not generated"
		if len(g.facts) > 0 {
			what = "is extended here, and described nowhere: it is not generated"
		}
		b.note(g.parts[0].place(), "%s %s", g.parts[0].Name, what)
		return
	}
	t := &TableModel{merged: g, File: g.parts[defined].file}
	g.table = t
	var stated, entity string
	for _, p := range g.parts {
		if stated == "" && (p.Table != "" || p.IsTable && !p.IndexOf) {
			stated = cmp.Or(p.Table, p.Name)
		}
		if entity == "" && !p.IsTable {
			entity = p.Name
			if p.Notation == spec.Diagram && strings.ToUpper(entity) == entity {
				entity = Pascal(strings.ToLower(entity))
			}
		}
		t.Doc = cmp.Or(t.Doc, p.Doc)
	}
	t.Name = stated
	if stated == "" {
		t.Name = Plural(Snake(entity))
		b.note(g.parts[defined].place(), "inferred: the table of %s is named %s", entity, t.Name)
	}
	t.Name = numbered(limited(t.Name), func(n string) bool {
		return slices.ContainsFunc(b.db.Tables, func(other *TableModel) bool { return other.Name == n })
	})
	if entity == "" {
		entity = Singular(t.Name)
	}
	t.Ident = b.ident(Camel(t.Name), "Table")
	row := Pascal(entity)
	if b.idents[row] || b.idents["New"+row] {
		row += "Row"
	}
	t.Row = b.ident(row, "Row")
	b.idents["New"+t.Row] = true
	b.db.Tables = append(b.db.Tables, t)
	b.columns(t)
}

// inferredFacts collects what a table's notations do not say, one list a kind.
type inferredFacts struct {
	required, optional, ids, times, enums []string
}

func (b *databaseBuilder) columns(t *TableModel) {
	var inferred inferredFacts
	var idents names
	taken := map[string]bool{}
	for _, f := range t.merged.facts {
		if b.isList(f) {
			b.note(f.place, "%s.%s lists rows of another table: it gets no column", t.Name, f.Name)
			continue
		}
		if key := b.navigates(t, f); key != nil {
			b.note(f.place, "%s.%s is the row that %s refers to: it gets no column", t.Name, f.Name, key.Name)
			continue
		}
		c := &Column{Name: limited(cmp.Or(f.Column, Snake(f.Name))), place: f.place, Doc: f.Doc}
		if taken[c.Name] {
			b.conflict(spec.Problem{}, f.place, "%s has a column %s already", t.Name, c.Name)
			continue
		}
		taken[c.Name] = true
		c.Ident = f.Name
		if strings.ToLower(f.Name) == f.Name || strings.Contains(f.Name, "_") {
			c.Ident = Camel(f.Name)
		} else {
			c.Ident = strings.ToLower(f.Name[:1]) + f.Name[1:]
		}
		c.Ident = idents.take(c.Ident)
		b.columnType(t, f, c, &inferred)
		c.Type.Length, c.Type.Precision = strings.TrimLeft(c.Type.Length, "0"), leadingZeros.ReplaceAllString(c.Type.Precision, "$1")
		b.nullable(f, c, &inferred)
		b.defaults(f, c)
		t.Columns = append(t.Columns, c)
		f.column = c
	}
	b.primaryKey(t, &inferred)
	place := t.merged.parts[0].place()
	for _, kind := range []struct {
		names []string
		what  string
	}{
		{inferred.required, "required, as nothing else is said"}, {inferred.optional, "optional, as the list says REQUIRED of others"},
		{inferred.ids, "the default is a new UUID"}, {inferred.times, "the default is the present time"}, {inferred.enums, "the enums are named after table and column"},
	} {
		if len(kind.names) > 0 {
			b.note(place, "inferred for %s: %s: %s", t.Name, kind.what, quoted(kind.names))
		}
	}
}

// leadingZeros make an octal number in JavaScript, or an error.
var leadingZeros = regexp.MustCompile(`\b0+(\d)`)

// isList tells a field that holds rows of another entity, such as posts: Post[].
func (b *databaseBuilder) isList(f *fieldFacts) bool {
	if f.Type.Name != "" || f.Type.Enum == "" || !f.Type.Array {
		return false
	}
	_, isEnum := b.enums[spec.Key(f.Type.Enum)]
	return !isEnum && b.byKey[spec.Key(f.Type.Enum)] != nil
}

// navigates finds the field whose reference another one stands for, as in project: Project beside projectId.
func (b *databaseBuilder) navigates(t *TableModel, f *fieldFacts) *fieldFacts {
	key := t.merged.byKey[fieldKey(f.Name+"Id")]
	if f.Type.Name != "" || f.Type.Enum == "" || f.Type.Array || key == nil || b.byKey[spec.Key(f.Type.Enum)] == nil {
		return nil
	}
	if key.Ref == nil {
		key.Ref, key.referenced = &spec.Reference{Entity: f.Type.Enum}, f.typed
	}
	return key
}

// columnType decides the type, and what follows from it: enum, values, checks.
func (b *databaseBuilder) columnType(t *TableModel, f *fieldFacts, c *Column, inferred *inferredFacts) {
	c.Type = f.Type
	switch {
	case f.Type.Name == "" && f.Type.Enum != "":
		b.namedType(t, f, c)
	case f.Type.Name == "enum" && len(f.Values) > 0, f.Type.Name == "" && len(f.Values) > 0:
		c.Enum = b.enum(Singular(t.Name)+"_"+c.Name, f.Values)
		inferred.enums = append(inferred.enums, c.Enum.Name)
	case f.Type.Name == "enum":
		b.note(f.place, "inferred: %s.%s is text: it is an enum whose values are not said", t.Name, c.Name)
		c.Type = spec.Type{Name: "text"}
	case f.Type.Name == "" && f.Ref != nil: // the type of what it refers to
	case f.Type.Name == "":
		b.note(f.place, "inferred: %s.%s is text: no type is said", t.Name, c.Name)
		c.Type = spec.Type{Name: "text"}
	}
	switch c.Type.Name {
	case "text", "varchar", "char":
		if c.Enum == nil {
			b.textLimits(f, c)
		}
	case "citext", "tsvector":
		b.note(f.place, "inferred: %s.%s is text: Drizzle knows no %s", t.Name, c.Name, c.Type.Name)
		c.Type.Name = "text"
	case "vector":
		if c.Type.Length == "" {
			b.note(f.place, "inferred: %s.%s is a list of real numbers: the vector's length is not said", t.Name, c.Name)
			c.Type = spec.Type{Name: "real", Array: true}
		} else {
			b.note(f.place, "%s.%s needs the extension pgvector, which the specs don't make: CREATE EXTENSION vector;", t.Name, c.Name)
		}
	case "integer", "bigint", "smallint", "numeric", "double precision", "real":
		for _, limit := range []struct{ operator, value string }{{">=", f.Min}, {"<=", f.Max}} {
			if limit.value != "" && !c.Type.Array {
				f.Checks = append(f.Checks, spec.Check{Expression: f.Name + " " + limit.operator + " " + limit.value})
			}
		}
		if vague(f) {
			if c.Name == "id" || strings.HasSuffix(c.Name, "_id") || f.Ref != nil {
				c.Type.Name = "integer"
			}
			b.note(f.place, "inferred: %s.%s is %s: it is only said to be a number", t.Name, c.Name, c.Type.Name)
		}
	}
}

// vague tells a number that may be any.
func vague(f *fieldFacts) bool {
	return f.Type.Name == "double precision" && !f.Type.Exact && f.typed != nil && f.typed.notation >= spec.Interface
}

// namedType reads a type that is the name of an enum or an entity.
func (b *databaseBuilder) namedType(t *TableModel, f *fieldFacts, c *Column) {
	key := spec.Key(f.Type.Enum)
	if e, ok := b.enums[key]; ok {
		c.Enum, c.Type = e, spec.Type{Name: "enum", Array: f.Type.Array}
		return
	}
	if g := b.byKey[key]; g != nil && !f.Type.Array && len(g.facts) > 0 {
		if f.Ref == nil {
			f.Ref = &spec.Reference{Entity: f.Type.Enum}
		}
		if !strings.HasSuffix(c.Name, "_id") {
			b.note(f.place, "inferred: %s.%s is the column %s_id, a reference to %s", t.Name, c.Name, c.Name, f.Type.Enum)
			c.Name, c.Ident = limited(c.Name+"_id"), c.Ident+"Id"
		}
		c.Type = spec.Type{}
		return
	}
	if len(f.Values) > 0 {
		c.Enum, c.Type = b.enum(Snake(f.Type.Enum), f.Values), spec.Type{Name: "enum", Array: f.Type.Array}
		return
	}
	if f.Type.Shape != "" { // a list of what is no entity
		c.Type = spec.Type{Name: "jsonb", Shape: f.Type.Shape}
		return
	}
	b.note(f.place, "inferred: %s.%s is text: the type %s is not known", t.Name, c.Name, f.Type.Enum)
	c.Type = spec.Type{Name: "text", Array: f.Type.Array}
}

// textLimits turns lengths and lists of values into types and checks.
func (b *databaseBuilder) textLimits(f *fieldFacts, c *Column) {
	if len(f.Values) > 0 {
		c.Values = f.Values
		literals := make([]string, len(f.Values))
		for i, v := range f.Values {
			literals[i] = spec.Literal(v)
		}
		list := strings.Join(literals, ", ")
		check := f.Name + " IN (" + list + ")"
		if c.Type.Array {
			check = f.Name + " <@ ARRAY[" + list + "]::text[]"
		}
		if !slices.ContainsFunc(f.Checks, func(old spec.Check) bool { return strings.Contains(old.Expression, literals[0]) }) {
			f.Checks = append(f.Checks, spec.Check{Expression: check})
			if f.typed != nil && f.listed != nil && f.typed.notation != f.listed.notation {
				b.note(f.listed.Problem, "inferred: a check that %s has one of its values, which only %s lists", c.Name, f.listed.notation)
			}
		}
	}
	if c.Type.Array {
		return
	}
	if f.Max != "" && c.Type.Length == "" {
		if c.Type.Exact && c.Type.Name == "text" {
			f.Checks = append(f.Checks, spec.Check{Expression: "char_length(" + f.Name + ") <= " + f.Max})
		} else {
			c.Type.Name, c.Type.Length = "varchar", f.Max
		}
	}
	if f.Min != "" && f.Min != "0" {
		f.Checks = append(f.Checks, spec.Check{Expression: "char_length(" + f.Name + ") >= " + f.Min})
	}
}

// nullable decides what no notation says: in a list that says REQUIRED of some fields, the others are
// optional; everywhere else a field is required unless it is said to be optional.
func (b *databaseBuilder) nullable(f *fieldFacts, c *Column, inferred *inferredFacts) {
	switch {
	case f.Optional == spec.Yes:
	case f.Optional == spec.No, f.Primary:
		c.NotNull = true
	case f.explicit:
		inferred.optional = append(inferred.optional, c.Name)
	default:
		c.NotNull = true
		inferred.required = append(inferred.required, c.Name)
	}
	if f.OrNull {
		b.note(f.place, "inferred: null, which stands among the values of %s, is none of them: it is %s", c.Name, map[bool]string{false: "optional", true: "required"}[c.NotNull])
	}
}

func (b *databaseBuilder) defaults(f *fieldFacts, c *Column) {
	c.OnUpdate = f.OnUpdate && strings.HasPrefix(c.Type.Name, "timestamp")
	whole := c.Type.Name == "integer" || c.Type.Name == "bigint" || c.Type.Name == "smallint"
	if c.Identity = f.Identity && whole; c.Identity {
		c.NotNull, c.Always = true, f.Always
		return
	}
	if f.OnUpdate && !c.OnUpdate {
		b.note(f.place, "%s is updated by something that is not said: only times are", c.Name)
	}
	if !f.HasDefault {
		if f.Vague != "" && !f.Primary && fieldKey(c.Name) != "id" { // keys have a default, or tell of theirs
			b.note(f.place, "the default %s of %s is not generated: it does not say which value that is", f.Vague, c.Name)
		}
		return
	}
	if strings.Count(f.Default, "'")%2 != 0 {
		b.note(f.place, "the default of %s has a text without an end: it is not generated", c.Name)
		return
	}
	c.Default = f.Default
	if c.Type.Array && c.Default == "'[]'" {
		c.Default = "'{}'"
	}
	literal := strings.HasPrefix(f.Default, "'")
	switch {
	case c.Enum != nil && literal && !c.Type.Array && !slices.Contains(c.Enum.Values, unquoted(f.Default)),
		len(c.Values) > 0 && literal && !c.Type.Array && !slices.Contains(c.Values, unquoted(f.Default)):
		b.conflict(spec.Problem{}, f.place, "the default %s of %s is none of its values", f.Default, c.Name)
		c.Default = ""
	case literal && (whole || c.Type.Name == "boolean" || c.Type.Name == "numeric" || c.Type.Name == "double precision" || c.Type.Name == "real"):
		b.note(f.place, "the default %s of %s is no %s: it is not generated", f.Default, c.Name, c.Type.Name)
		c.Default = ""
	case !literal && strings.Contains(f.Default, "(") && f.defaulted != nil && f.defaulted.notation > spec.Drizzle && f.Default != "now()" && f.Default != "gen_random_uuid()",
		literal && c.Type.Name == "uuid" || literal && strings.HasPrefix(c.Type.Name, "timestamp"):
		b.note(f.place, "the default %s of %s is not generated: write it in SQL", f.Default, c.Name)
		c.Default = ""
	}
}

func unquoted(literal string) string {
	literal, _, _ = strings.Cut(literal, "::")
	return strings.ReplaceAll(strings.Trim(literal, "'"), "''", "'")
}

// primaryKey finds the key, or infers that it is id.
func (b *databaseBuilder) primaryKey(t *TableModel, inferred *inferredFacts) {
	var key []*Column
	for _, p := range t.merged.parts {
		for _, i := range p.Indexes {
			if i.Primary && len(key) == 0 {
				for _, part := range i.Columns {
					if c := t.column(part.Name); c != nil {
						key = append(key, c)
					}
				}
			}
		}
	}
	for _, f := range t.merged.facts {
		if c := t.column(f.Name); f.Primary && c != nil && !slices.Contains(key, c) {
			key = append(key, c)
		}
	}
	place := t.merged.parts[0].place()
	if id := t.column("id"); len(key) == 0 && id != nil {
		b.note(id.place, "inferred: %s.id is the primary key", t.Name)
		key = []*Column{id}
	}
	if len(key) == 0 {
		b.note(place, "%s has no primary key: none is said, and it has no column id", t.Name)
	}
	for _, c := range key {
		c.NotNull = true
	}
	if len(key) > 1 {
		t.PrimaryKey = key
	} else if len(key) == 1 {
		key[0].Primary = true
		b.keyDefault(t, key[0], inferred)
	}
	for _, c := range t.Columns {
		created := c.Name == "created_at" || c.Name == "updated_at"
		if created && c.NotNull && c.Default == "" && strings.HasPrefix(c.Type.Name, "timestamp") {
			c.Default = "now()"
			inferred.times = append(inferred.times, c.Name)
		}
		if c.Name == "updated_at" && !c.OnUpdate && strings.HasPrefix(c.Type.Name, "timestamp") {
			c.OnUpdate = true
			b.note(c.place, "inferred: %s.updated_at is set by every update", t.Name)
		}
	}
}

// keyDefault gives a key that nobody else provides a value.
func (b *databaseBuilder) keyDefault(t *TableModel, c *Column, inferred *inferredFacts) {
	f := t.merged.byKey[fieldKey(c.Name)]
	if c.Default != "" || c.Identity || c.Name != "id" || f != nil && f.Ref != nil {
		return
	}
	switch c.Type.Name {
	case "uuid":
		c.Default = "gen_random_uuid()"
		inferred.ids = append(inferred.ids, c.Name)
	case "integer", "bigint", "smallint":
		c.Identity, c.Always = true, true
		b.note(c.place, "inferred: %s.id is numbered by the database", t.Name)
	}
}

// column finds a column by any of its names.
func (t *TableModel) column(name string) *Column {
	if f := t.merged.byKey[fieldKey(name)]; f != nil {
		return f.column
	}
	for _, c := range t.Columns {
		if c.Name == name {
			return c
		}
	}
	return nil
}
