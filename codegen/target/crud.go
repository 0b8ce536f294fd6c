package target

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

// CRUDImports are the modules, without extension, that a module of handlers for plain CRUD imports.
type CRUDImports struct {
	Shared, Schemas, Tables, Routes string
}

// CRUD writes the handlers of operations that are plain CRUD, as a function of how a request gets its database
// and of what lets it in.
func CRUD(ctx context.Context, operations []ir.CRUD, imports CRUDImports) (content []byte, err error) {
	defer complete(&err)
	w := &crud{rows: map[string]string{}, names: map[string]bool{}, orm: map[string]bool{}, shared: map[string]bool{}}
	w.indent, w.ended = 2, ctx.Err
	for i := range operations {
		w.handler(&operations[i])
	}
	handlers := w.out
	w.out, w.indent = nil, 0
	w.imports(imports)
	for _, name := range w.order {
		w.text(w.rows[name])
	}
	authorize := "authorize"
	if !slices.ContainsFunc(operations, func(c ir.CRUD) bool { return c.Security != nil }) {
		authorize = "_authorize" // no operation asks for it
	}
	w.text("\n/** Handlers of the operations that are plain CRUD. Those in the file of handlers go before them. */\nexport const crud = (withDatabase: WithDatabase, ", authorize,
		": Authorize) => {\n  const run = answering(withDatabase);\n  return {")
	w.out = append(w.out, handlers...)
	w.text("\n  } satisfies Partial<Handlers>;\n};\n")
	return w.out, nil
}

type crud struct {
	writer
	rows   map[string]string // functions that make an answer's row, by name
	order  []string
	names  map[string]bool
	orm    map[string]bool
	shared map[string]bool
}

func (w *crud) imports(i CRUDImports) {
	w.shared["answering"], w.shared["type Authorize"], w.shared["type WithDatabase"] = true, true, true
	if len(w.orm) > 0 {
		w.text("import { ", strings.Join(slices.Sorted(maps.Keys(w.orm)), ", "), " } from \"drizzle-orm\";\n")
	}
	if w.names["HTTPException"] {
		w.text("import { HTTPException } from \"hono/http-exception\";\n")
	}
	names := slices.SortedFunc(maps.Keys(w.shared), func(a, b string) int {
		return strings.Compare(strings.TrimPrefix(a, "type "), strings.TrimPrefix(b, "type "))
	})
	w.text("import { ", strings.Join(names, ", "), " } from ")
	w.quote(i.Shared)
	w.text(";\nimport * as tables from ")
	w.quote(i.Tables)
	w.text(";\nimport type { Handlers } from ")
	w.quote(i.Routes)
	w.text(";\n")
	if len(w.order) > 0 {
		w.text("import type * as schemas from ")
		w.quote(i.Schemas)
		w.text(";\n")
	}
}

// drizzle names a function of drizzle-orm, which is imported then.
func (w *crud) drizzle(name string) string {
	w.orm[name] = true
	return name
}

func (w *crud) helper(name string) string {
	w.shared[name] = true
	return name
}

func (w *crud) write(parts ...string) {
	w.line()
	w.text(parts...)
}

func (w *crud) handler(c *ir.CRUD) {
	w.write("/** ", comment(c.Method+" "+c.Path), " */")
	async := ""
	if c.Security != nil {
		async = "async "
	}
	w.line()
	w.key(c.Ident)
	w.text(": ", async, "(c) => ")
	if c.Security != nil {
		w.text("{")
		w.indent++
		w.write("await authorize(c, ", quotedText(c.Security.Name), ");")
		w.write("return ")
	}
	w.text("run(c, async (db) => {")
	w.indent++
	w.valid(c)
	tried := c.Kind != ir.ListRows && c.Kind != ir.ReadRow && (c.Clash != nil || c.Invalid != nil && c.Kind != ir.DeleteRow || c.Kind == ir.CreateRow && len(c.Within) > 0 && c.Missing != nil)
	if tried {
		w.write("try {")
		w.indent++
	}
	switch c.Kind {
	case ir.ListRows:
		w.list(c)
	case ir.CreateRow:
		w.create(c)
	case ir.ReadRow:
		w.write("const [row] = await db.select().from(", table(c), ").where(", w.where(c), ");")
		w.one(c)
	case ir.ChangeRow, ir.PutRow:
		w.change(c)
	case ir.DeleteRow:
		w.write("const [row] = await db.delete(", table(c), ").where(", w.where(c), ").returning();")
		w.one(c)
	}
	if tried {
		w.refusals(c)
	}
	w.indent--
	w.write("})")
	if c.Security != nil {
		w.text(";")
		w.indent--
		w.write("}")
	}
	w.text(",")
}

func table(c *ir.CRUD) string { return "tables." + c.Table.Ident }

func column(c *ir.CRUD, of *ir.Column) string { return access(table(c), of.Ident) }

// access is a member of an object.
func access(object, name string) string {
	if isName(name) {
		return object + "." + name
	}
	return object + "[" + quotedText(name) + "]"
}

// valid reads what the request brings.
func (w *crud) valid(c *ir.CRUD) {
	if len(c.Within) > 0 || c.Key != nil {
		w.write(`const param = c.req.valid("param");`)
	}
	if l := c.List; l != nil && len(l.Filters)+len(l.Limit)+len(l.Offset)+len(l.Page)+len(l.Cursor) > 0 {
		w.write(`const query = c.req.valid("query");`)
	}
	if len(c.Values) > 0 {
		w.write(`const body = c.req.valid("json");`)
	}
}

// where chooses the row of the path.
func (w *crud) where(c *ir.CRUD) string {
	parts := slices.Clone(c.Within)
	if c.Key != nil {
		parts = append(parts, *c.Key)
	}
	var all []string
	for _, p := range parts {
		all = append(all, w.drizzle("eq")+"("+column(c, p.Column)+", "+into(p, access("param", p.Name))+")")
	}
	return w.every(all)
}

func (w *crud) every(conditions []string) string {
	if len(conditions) == 1 {
		return conditions[0]
	}
	return w.drizzle("and") + "(" + strings.Join(conditions, ", ") + ")"
}

// into makes a column's value of one that is there.
func into(p ir.CRUDPart, value string) string {
	switch name := p.Column.Type.Name; {
	case p.Column.Type.Array:
		return value
	case p.Number:
		return "String(" + value + ")"
	case name == "timestamp" || name == "timestamptz":
		return "new Date(" + value + ")"
	case name == "json" || name == "jsonb":
		return value + " as never"
	}
	return value
}

// converted makes it of one that may be absent, or null.
func converted(p ir.CRUDPart, value string) string {
	there := into(p, value)
	if there == value || strings.HasSuffix(there, " as never") || !p.Optional && !p.Nullable {
		return there
	}
	return value + " == null ? " + value + " : " + there
}

func (w *crud) list(c *ir.CRUD) {
	l := c.List
	var conditions []string
	for _, p := range c.Within {
		conditions = append(conditions, w.drizzle("eq")+"("+column(c, p.Column)+", "+into(p, access("param", p.Name))+")")
	}
	for _, p := range l.Filters {
		value := access("query", p.Name)
		is := ""
		switch {
		case p.Many && p.Number:
			is = w.drizzle("inArray") + "(" + column(c, p.Column) + ", " + value + ".map(String))"
		case p.Many:
			is = w.drizzle("inArray") + "(" + column(c, p.Column) + ", " + value + ")"
		default:
			is = w.drizzle("eq") + "(" + column(c, p.Column) + ", " + into(p, value) + ")"
		}
		if p.Optional {
			is = value + " === undefined ? undefined : " + is
		}
		conditions = append(conditions, is)
	}
	filter := ""
	if len(conditions) > 0 {
		w.write("const where = ", w.every(conditions), ";")
		filter = "where"
	}
	ahead := l.Has("cursor") || l.Has("more")
	w.page(c, filter, ahead)
	answered := "rows"
	if ahead {
		answered = "page"
		w.write("const page = rows.slice(0, limit);")
	}
	if l.Has("cursor") {
		w.write("const last = rows.length > limit ? page.at(-1) : undefined;")
	}
	rows := answered + ".map(" + w.row(c) + ")"
	if l.Plain {
		w.write("return c.json(", rows, ", ", strconv.Itoa(c.Status), ");")
		return
	}
	w.write("return c.json({ ", w.members(c, l.Members, rows, filter), " }, ", strconv.Itoa(c.Status), ");")
}

// page asks for the rows; ahead asks for one more than are answered, to see whether there is one.
func (w *crud) page(c *ir.CRUD, filter string, ahead bool) {
	l := c.List
	if l.Limit != "" {
		limit := access("query", l.Limit)
		if l.Usual > 0 {
			limit += " ?? " + strconv.Itoa(l.Usual)
		}
		w.write("const limit = ", limit, ";")
	}
	if l.Offset != "" {
		w.write("const offset = ", access("query", l.Offset), " ?? 0;")
	} else if l.Page != "" {
		w.write("const offset = ((", access("query", l.Page), " ?? 1) - 1) * limit;")
	}
	var order []string
	for _, o := range l.Order {
		order = append(order, w.drizzle("asc")+"("+column(c, o)+")")
	}
	from := filter
	if l.Cursor != "" {
		cursor, key := access("query", l.Cursor), l.Order[0]
		value := cursor
		if slices.Contains([]string{"integer", "bigint", "smallint"}, key.Type.Name) {
			value = "Number(" + cursor + ")"
		}
		after := cursor + " === undefined ? undefined : " + w.drizzle("gt") + "(" + column(c, key) + ", " + value + ")"
		if filter == "" {
			from = after
		} else {
			from = w.drizzle("and") + "(where, " + after + ")"
		}
	}
	w.write("const rows = await db")
	w.indent++
	w.write(".select()")
	w.write(".from(", table(c), ")")
	if from != "" {
		w.write(".where(", from, ")")
	}
	w.write(".orderBy(", strings.Join(order, ", "), ")")
	switch {
	case ahead:
		w.write(".limit(limit + 1)")
	case l.Limit != "":
		w.write(".limit(limit)")
	}
	if l.Offset != "" || l.Page != "" {
		w.write(".offset(offset)")
	}
	w.text(";")
	w.indent--
}

func (w *crud) members(c *ir.CRUD, members []ir.EnvelopeMember, rows, filter string) string {
	var all []string
	for _, m := range members {
		value := m.Kind
		switch m.Kind {
		case "rows":
			value = rows
		case "total":
			value = "await db.$count(" + table(c)
			if filter != "" {
				value += ", " + filter
			}
			value += ")"
		case "page":
			value = access("query", c.List.Page) + " ?? 1"
		case "more":
			value = "rows.length > limit"
		case "cursor":
			none := "undefined"
			if m.Nullable {
				none = "null"
			}
			value = "last === undefined ? " + none + " : String(" + access("last", c.List.Order[0].Ident) + ")"
		case "object":
			value = "{ " + w.members(c, m.Members, rows, filter) + " }"
		}
		all = append(all, member(m.Name, value))
	}
	return strings.Join(all, ", ")
}

// member is a member of an object, short where name and value are one.
func member(name, value string) string {
	if name == value {
		return name
	}
	w := &writer{}
	w.key(name)
	return string(w.out) + ": " + value
}

func (w *crud) create(c *ir.CRUD) {
	w.write("const [row] = await db")
	w.indent++
	w.write(".insert(", table(c), ")")
	w.write(".values({")
	w.indent++
	for _, p := range c.Within {
		w.write(member(p.Column.Ident, into(p, access("param", p.Name))), ",")
	}
	for _, p := range c.Values {
		w.write(member(p.Column.Ident, converted(p, access("body", p.Name))), ",")
	}
	w.indent--
	w.write("})")
	w.write(".returning();")
	w.indent--
	w.write(`if (row === undefined) throw new Error("the database gave no row back");`)
	w.success(c)
}

func (w *crud) change(c *ir.CRUD) {
	w.write("const values = {")
	w.indent++
	for _, p := range c.Values {
		value := access("body", p.Name)
		switch {
		case c.Kind == ir.ChangeRow || !p.Optional:
			value = converted(p, value)
		case p.Column.NotNull || p.Column.Default != "":
			value = value + " === undefined ? " + w.drizzle("sql") + "`default` : " + converted(ir.CRUDPart{Column: p.Column, Number: p.Number, Nullable: p.Nullable}, value)
		case into(p, value) == value:
			value += " ?? null"
		default:
			value = value + " == null ? null : " + into(p, value)
		}
		w.write(member(p.Column.Ident, value), ",")
	}
	w.indent--
	w.write("};")
	update := "await db.update(" + table(c) + ").set(values).where(" + w.where(c) + ").returning()"
	if c.Kind == ir.ChangeRow {
		update = w.helper("given") + "(values) ? " + update + " : await db.select().from(" + table(c) + ").where(" + w.where(c) + ")"
	}
	w.write("const [row] = ", update, ";")
	w.one(c)
}

// one answers a row that may not be there.
func (w *crud) one(c *ir.CRUD) {
	text := "There is no such " + thing(c)
	if c.Missing == nil {
		w.names["HTTPException"] = true
		w.write("if (row === undefined) throw new HTTPException(404, { message: ", quotedText(text), " });")
	} else {
		w.write("if (row === undefined) return ", failure(c.Missing, text), ";")
	}
	w.success(c)
}

func thing(c *ir.CRUD) string {
	return strings.ReplaceAll(ir.Singular(c.Table.Name), "_", " ")
}

func (w *crud) success(c *ir.CRUD) {
	status := strconv.Itoa(c.Status)
	if c.Row == nil {
		w.write("return c.body(null, ", status, ")", loosely(c.Range), ";")
		return
	}
	w.write("return c.json(", w.row(c), "(row), ", status, ");")
}

// refusals answers what the database refuses, where the contract says how.
func (w *crud) refusals(c *ir.CRUD) {
	w.indent--
	w.write("} catch (error) {")
	w.indent++
	w.write("const why = ", w.helper("violation"), "(error);")
	reference := c.Clash
	if c.Kind == ir.CreateRow && len(c.Within) > 0 && c.Missing != nil {
		reference = nil
		w.write(`if (why === "reference") return `, failure(c.Missing, "What the path names is not there"), ";")
	}
	if c.Clash != nil {
		when := `why === "clash"`
		if reference != nil {
			when += ` || why === "reference"`
		}
		w.write("if (", when, ") return ", failure(c.Clash, "The "+thing(c)+" clashes with what is there"), ";")
	}
	if c.Invalid != nil && c.Kind != ir.DeleteRow {
		w.write(`if (why === "invalid") return `, failure(c.Invalid, "The "+thing(c)+" can't be like that"), ";")
	}
	w.write("throw error;")
	w.indent--
	w.write("}")
}

// loosely ends an answer without a body where the contract has a range of statuses: the library's type of it is no
// body's.
func loosely(whole bool) string {
	if whole {
		return " as never"
	}
	return ""
}

// failure is an error's answer.
func failure(e *ir.CRUDError, text string) string {
	status := strconv.Itoa(e.Status)
	if e.Media == "" {
		return "c.body(null, " + status + ")" + loosely(e.Range)
	}
	more := ""
	if e.Media != "application/json" {
		more = `, { "Content-Type": ` + quotedText(e.Media) + ` }`
	}
	return "c.json(" + errorBody(e.Members, e.Status, text) + ", " + status + more + ")"
}

func errorBody(members []ir.ErrorMember, status int, text string) string {
	var all []string
	for _, m := range members {
		value := ""
		switch m.Kind {
		case "title":
			value = quotedText(text)
		case "status":
			value = strconv.Itoa(status)
		case "code":
			value = quotedText(m.Code) + " as const" // where the contract has a list of codes
		case "time":
			value = "new Date().toISOString()"
		case "path":
			value = "c.req.path"
		case "list":
			value = "[]"
		case "object":
			value = errorBody(m.Members, status, text)
		}
		all = append(all, member(m.Name, value))
	}
	if len(all) == 0 {
		return "{}"
	}
	return "{ " + strings.Join(all, ", ") + " }"
}

// row names the function that makes an answer's row of a table's; equal ones are written once.
func (w *crud) row(c *ir.CRUD) string {
	b := &writer{}
	of := rowType(c.Answer)
	if c.Answer.Part {
		b.text("(row: tables.", c.Table.Row, ") => ({")
	} else {
		b.text("(row: tables.", c.Table.Row, "): ", of, " => ({")
	}
	b.indent++
	for _, p := range c.Row {
		b.line()
		b.text(member(p.Name, outOf(p)), ",")
	}
	b.indent--
	b.line()
	b.text("}")
	if c.Answer.Part {
		b.text(" as ", of)
	}
	b.text(");\n")
	body := string(b.out)
	for n := 1; ; n++ {
		name := "to" + c.Table.Row
		if n > 1 {
			name += strconv.Itoa(n)
		}
		text := fmt.Sprintf("\nconst %s = %s", name, body)
		if old, ok := w.rows[name]; ok && old != text {
			continue
		} else if !ok {
			w.rows[name] = text
			w.order = append(w.order, name)
		}
		return name
	}
}

// rowType is the contract's type of a row.
func rowType(t ir.RowType) string {
	name := "schemas." + t.Component.Ident
	for _, m := range t.Members {
		name = "NonNullable<" + name + "[" + quotedText(m) + "]>"
	}
	if t.List {
		name += "[number]"
	}
	return name
}

// outOf makes a member's value of a column's.
func outOf(p ir.CRUDPart) string {
	value := access("row", p.Column.Ident)
	empty := "undefined"
	if p.Nullable {
		empty = "null"
	}
	switch name := p.Column.Type.Name; {
	case p.Column.Type.Array:
	case p.Number && p.Column.NotNull:
		return "Number(" + value + ")"
	case p.Number:
		return value + " === null ? " + empty + " : Number(" + value + ")"
	case name == "timestamp" || name == "timestamptz":
		switch {
		case p.Column.NotNull:
			return value + ".toISOString()"
		case p.Nullable:
			return value + "?.toISOString() ?? null"
		}
		return value + "?.toISOString()"
	case (name == "json" || name == "jsonb") && p.Column.NotNull || (name == "json" || name == "jsonb") && p.Nullable:
		return value + " as never"
	case name == "json" || name == "jsonb":
		return "(" + value + " ?? undefined) as never"
	}
	if !p.Column.NotNull && !p.Nullable {
		return value + " ?? undefined"
	}
	return value
}
