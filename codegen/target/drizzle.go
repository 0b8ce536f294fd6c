package target

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

// Drizzle writes the tables of a database for drizzle-orm 0.45 and Postgres: one module with enums,
// tables, the types of their rows, and relations. Tables may refer to each other in any order.
func Drizzle(ctx context.Context, d *ir.Database) (content []byte, err error) {
	defer complete(&err)
	w := &drizzle{used: map[string]bool{}}
	w.ended = ctx.Err
	for _, e := range d.Enums {
		w.enum(e)
	}
	for _, t := range d.Tables {
		w.table(t)
	}
	for _, t := range d.Tables {
		w.relations(t)
	}
	body := w.out
	w.out = nil
	w.imports()
	if w.used["customType"] {
		w.text("\nconst bytea = customType<{ data: Uint8Array }>({ dataType: () => \"bytea\" });\n")
	}
	return append(w.out, body...), nil
}

// drizzle writes tables, and remembers which names of the library they use.
type drizzle struct {
	writer
	used map[string]bool
}

// use writes the name of a function of drizzle-orm/pg-core.
func (w *drizzle) use(name string) *drizzle {
	w.used[name] = true
	w.text(name)
	return w
}

func (w *drizzle) imports() {
	var core, orm []string
	for name := range w.used {
		if name == "relations" || name == "sql" {
			orm = append(orm, name)
		} else {
			core = append(core, name)
		}
	}
	for _, list := range []struct {
		names []string
		from  string
	}{{orm, "drizzle-orm"}, {core, "drizzle-orm/pg-core"}} {
		if len(list.names) == 0 {
			continue
		}
		slices.SortFunc(list.names, func(a, b string) int {
			return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
		})
		for i, name := range list.names {
			if name == "AnyPgColumn" {
				list.names[i] = "type AnyPgColumn"
			}
		}
		w.text("import { ", strings.Join(list.names, ", "), " } from \"", list.from, "\";\n")
	}
}

func (w *drizzle) enum(e *ir.Enum) {
	w.text("\nexport const ", e.Ident, " = ")
	w.use("pgEnum").text("(")
	w.quote(e.Name)
	w.text(", ")
	w.values(e.Values)
	w.text(");\n")
}

func (w *drizzle) values(values []string) {
	w.text("[")
	for i, v := range values {
		w.comma(i)
		w.quote(v)
	}
	w.text("]")
}

func (w *drizzle) table(t *ir.TableModel) {
	w.text("\n")
	doc := strings.NewReplacer("**", "", "`", "").Replace(t.Doc)
	said := func(id string) bool { return strings.Contains(doc, id) }
	if !slices.ContainsFunc(t.Requirements, said) && len(t.Requirements) > 0 {
		doc = strings.TrimSpace(doc + "\n" + strings.Join(t.Requirements, ", "))
	}
	w.comment(doc)
	w.text("export const ", t.Ident, " = ")
	w.use("pgTable").text("(")
	w.quote(t.Name)
	w.text(", {")
	w.indent++
	for _, c := range t.Columns {
		w.line()
		w.key(c.Ident)
		w.text(": ")
		w.column(c)
		w.text(",")
	}
	w.indent--
	w.line()
	w.text("}")
	w.extras(t)
	w.text(");\nexport type ", t.Row, " = typeof ", t.Ident, ".$inferSelect;\nexport type New", t.Row, " = typeof ", t.Ident, ".$inferInsert;\n")
}

// builders are the functions of the types; those that are not here are called as the type is.
var builders = map[string]string{ //nolint:gochecknoglobals // a constant table
	"double precision": "doublePrecision", "timestamptz": "timestamp"}

func (w *drizzle) column(c *ir.Column) {
	switch {
	case c.Enum != nil:
		w.text(c.Enum.Ident)
	case c.Type.Name == "bytea": // which the library does not have
		w.used["customType"] = true
		w.text("bytea")
	default:
		w.use(cmp.Or(builders[c.Type.Name], c.Type.Name))
	}
	w.text("(")
	w.quote(c.Name)
	w.options(c)
	w.text(")")
	if (c.Type.Name == "jsonb" || c.Type.Name == "json") && c.Type.Shape != "" {
		w.text(".$type<", c.Type.Shape, ">()")
	}
	if c.Type.Array {
		w.text(".array()")
	}
	switch {
	case c.Primary:
		w.text(".primaryKey()")
	case c.NotNull:
		w.text(".notNull()")
	}
	if c.Unique != "" {
		w.text(".unique(")
		w.quote(c.Unique)
		w.text(")")
	}
	if c.Identity {
		if c.Always {
			w.text(".generatedAlwaysAsIdentity()")
		} else {
			w.text(".generatedByDefaultAsIdentity()")
		}
	}
	w.defaultOf(c)
	if c.OnUpdate {
		w.text(".$onUpdate(() => new Date())")
	}
	w.reference(c)
}

// options writes what a type takes besides its name.
func (w *drizzle) options(c *ir.Column) {
	var members []string
	switch c.Type.Name {
	case "text", "varchar", "char":
		if c.Type.Length != "" && c.Type.Name != "text" {
			members = append(members, "length: "+c.Type.Length)
		}
		if len(c.Values) > 0 {
			list := &drizzle{}
			list.values(c.Values)
			members = append(members, "enum: "+string(list.out))
		}
	case "numeric":
		for i, part := range strings.Split(c.Type.Precision, ", ") {
			if part != "" {
				members = append(members, []string{"precision: ", "scale: "}[i]+part)
			}
		}
	case "bigint":
		members = append(members, `mode: "number"`)
	case "timestamptz":
		members = append(members, "withTimezone: true")
	case "vector":
		members = append(members, "dimensions: "+c.Type.Length)
	}
	if c.Enum == nil && len(members) > 0 {
		w.text(", { ", strings.Join(members, ", "), " }")
	}
}

func (w *drizzle) defaultOf(c *ir.Column) {
	value := c.Default
	literal, cast, _ := strings.Cut(value, "::")
	text := len(literal) > 1 && strings.HasPrefix(literal, "'") && strings.HasSuffix(literal, "'") && !c.Type.Array && (cast == "" || !strings.ContainsAny(cast, "'() "))
	_, err := strconv.ParseFloat(value, 64)
	stamp := strings.HasPrefix(c.Type.Name, "timestamp")
	switch {
	case value == "":
	case value == "now()" && stamp:
		w.text(".defaultNow()")
	case value == "gen_random_uuid()" && c.Type.Name == "uuid":
		w.text(".defaultRandom()")
	case text && (c.Enum != nil || c.Type.Name == "text" || c.Type.Name == "varchar" || c.Type.Name == "char"):
		w.text(".default(")
		w.quote(strings.ReplaceAll(literal[1:len(literal)-1], "''", "'"))
		w.text(")")
	case (value == "true" || value == "false") && c.Type.Name == "boolean",
		err == nil && (c.Type.Name == "integer" || c.Type.Name == "smallint" || c.Type.Name == "bigint" || c.Type.Name == "double precision" || c.Type.Name == "real") && !c.Type.Array:
		w.text(".default(", value, ")")
	case err == nil && c.Type.Name == "numeric":
		w.text(".default(\"", value, "\")")
	default:
		w.text(".default(")
		w.sql(value)
		w.text(")")
	}
}

// sql writes an expression as a template that can't be left.
func (w *drizzle) sql(expression string) {
	w.use("sql").text("`", strings.NewReplacer(`\`, `\\`, "`", "\\`", "${", "\\${").Replace(expression), "`")
}

func (w *drizzle) reference(c *ir.Column) {
	r := c.References
	if r == nil {
		return
	}
	w.text(".references(()")
	if r.Cyclic {
		w.text(": ")
		w.use("AnyPgColumn")
	}
	w.text(" => ", r.Table.Ident, ".", r.Column.Ident)
	var actions []string
	if r.OnDelete != "" {
		actions = append(actions, `onDelete: "`+r.OnDelete+`"`)
	}
	if r.OnUpdate != "" {
		actions = append(actions, `onUpdate: "`+r.OnUpdate+`"`)
	}
	if len(actions) > 0 {
		w.text(", { ", strings.Join(actions, ", "), " }")
	}
	w.text(")")
}

// extras writes keys over several columns, indexes and checks.
func (w *drizzle) extras(t *ir.TableModel) {
	if len(t.PrimaryKey)+len(t.Indexes)+len(t.Checks) == 0 {
		return
	}
	parameter := "table"
	if len(t.PrimaryKey)+len(t.Indexes) == 0 {
		parameter = ""
	}
	w.text(", (", parameter, ") => [")
	w.indent++
	if len(t.PrimaryKey) > 0 {
		w.line()
		w.use("primaryKey").text("({ columns: [")
		for i, c := range t.PrimaryKey {
			w.comma(i)
			w.member(c)
		}
		w.text("] }),")
	}
	for _, i := range t.Indexes {
		w.line()
		w.index(i)
		w.text(",")
	}
	for _, check := range t.Checks {
		w.line()
		w.use("check").text("(")
		w.quote(check.Name)
		w.text(", ")
		w.sql(check.Expression)
		w.text("),")
	}
	w.indent--
	w.line()
	w.text("]")
}

func (w *drizzle) member(c *ir.Column) { w.text("table.", c.Ident) }

func (w *drizzle) index(i ir.TableIndex) {
	plain := !slices.ContainsFunc(i.Columns, func(p ir.IndexPart) bool { return p.Column == nil || p.Descending })
	constraint := i.Unique && i.Where == "" && i.Using == "" && plain
	switch {
	case constraint:
		w.use("unique")
	case i.Unique:
		w.use("uniqueIndex")
	default:
		w.use("index")
	}
	w.text("(")
	w.quote(i.Name)
	if i.Using != "" {
		w.text(").using(")
		w.quote(i.Using)
		w.text(", ")
	} else {
		w.text(").on(")
	}
	for n, p := range i.Columns {
		w.comma(n)
		switch {
		case p.Column == nil && p.Descending:
			w.sql(p.Expression + " DESC")
		case p.Column == nil:
			w.sql(p.Expression)
		default:
			w.member(p.Column)
			if p.Descending {
				w.text(".desc()")
				if !p.NullsLast { // Postgres' own order; Drizzle's would be the other
					w.text(".nullsFirst()")
				}
			}
		}
	}
	w.text(")")
	if i.Where != "" {
		w.text(".where(")
		w.sql(i.Where)
		w.text(")")
	}
}

func (w *drizzle) relations(t *ir.TableModel) {
	if len(t.Relations) == 0 {
		return
	}
	one := slices.ContainsFunc(t.Relations, func(r ir.TableRelation) bool { return !r.Many })
	many := slices.ContainsFunc(t.Relations, func(r ir.TableRelation) bool { return r.Many })
	helpers := "many"
	if one && many {
		helpers = "one, many"
	} else if one {
		helpers = "one"
	}
	w.text("\nexport const ", t.Ident, "Relations = ")
	w.use("relations").text("(", t.Ident, ", ({ ", helpers, " }) => ({")
	w.indent++
	for _, r := range t.Relations {
		w.line()
		w.key(r.Name)
		w.text(": ")
		w.relation(t, r)
		w.text(",")
	}
	w.indent--
	w.line()
	w.text("}));\n")
}

func (w *drizzle) relation(t *ir.TableModel, r ir.TableRelation) {
	kind := "one"
	if r.Many {
		kind = "many"
	}
	w.text(kind, "(", r.Table.Ident)
	var members []string
	if r.Column != nil {
		members = append(members, "fields: ["+t.Ident+"."+r.Column.Ident+"]", "references: ["+r.Table.Ident+"."+r.Foreign.Ident+"]")
	}
	if r.Pairwise != "" {
		members = append(members, `relationName: "`+r.Pairwise+`"`)
	}
	if len(members) > 0 {
		w.text(", { ", strings.Join(members, ", "), " }")
	}
	w.text(")")
}
