package spec

import (
	"strings"
)

func (q *sqlReader) create(name, start token) {
	if q.accept("partition", "of") {
		q.note(start.at, "the partition %s is not generated: Drizzle knows none", name.text)
		q.skipStatement()
		return
	}
	if !q.peek(0).is("(") {
		q.skipStatement()
		return
	}
	e := Entity{Place: q.place(name.at), Notation: SQL, Name: name.text, IsTable: true}
	for _, tokens := range items(q.group()) {
		q.item(tokens, &e)
	}
	if q.peek(0).is("partition") {
		q.note(q.peek(0).at, "the table %s is generated without its partitions: Drizzle knows none", name.text)
	}
	if !q.peek(0).is("create", "alter", "insert") && (len(q.tokens) == 0 || q.peek(0).is(";", "partition", "with", "inherits", "tablespace")) {
		q.skipStatement()
	}
	if len(e.Fields) > 0 {
		q.model.Entities = append(q.model.Entities, e)
	}
}

// items splits at commas that are not within parentheses. Where a comma was forgotten at the end of a
// line, as in pseudo SQL, the line ends the item.
func items(tokens []token) [][]token { return split(tokens, !separated(tokens)) }

func split(tokens []token, lines bool) [][]token {
	var all [][]token
	depth, from := 0, 0
	for i, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case t.is(",") && depth == 0:
			all = append(all, tokens[from:i])
			from = i + 1
		case lines && depth == 0 && i > from && t.line != tokens[i-1].line:
			all = append(all, tokens[from:i])
			from = i
		}
	}
	return append(all, tokens[from:])
}

// separated tells whether there is a comma that is not within parentheses.
func separated(tokens []token) bool {
	depth := 0
	for _, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case t.is(",") && depth == 0:
			return true
		}
	}
	return false
}

// item reads a column or a constraint of a table.
func (q *sqlReader) item(tokens []token, e *Entity) {
	if len(tokens) == 0 {
		return
	}
	sub := &sqlReader{modelReader: q.modelReader, base: q.base, source: q.source, tokens: tokens}
	named := ""
	if sub.accept("constraint") {
		named = sub.next().text
	}
	start := sub.peek(0)
	if sub.constraint(named, start, e) {
		if len(sub.tokens) > 0 {
			q.note(sub.tokens[0].at, "not read: %q", shorten(sub.text(sub.tokens[0].at, tokens[len(tokens)-1].end)))
		}
		return
	}
	if start.is("like", "exclude") {
		q.note(start.at, "not read: %q", shorten(sub.text(start.at, tokens[len(tokens)-1].end)))
		return
	}
	sub.column(e)
}

func (q *sqlReader) constraint(named string, start token, e *Entity) bool {
	switch {
	case q.accept("primary", "key"):
		e.Indexes = append(e.Indexes, Index{Place: q.place(start.at), Name: named, Primary: true, Columns: q.columns(q.group())})
	case q.peek(0).is("unique") && (q.peek(1).is("(") || q.peek(1).is("key", "index", "nulls")):
		q.next()
		for q.peek(0).is("key", "index", "nulls", "not", "distinct") {
			q.next()
		}
		index := Index{Place: q.place(start.at), Name: named, Unique: true, Columns: q.columns(q.group())}
		index.Where = q.where()
		e.Indexes = append(e.Indexes, index)
	case q.peek(0).is("check") && q.peek(1).is("("):
		q.next()
		e.Checks = append(e.Checks, Check{Name: named, Expression: q.inside(q.group())})
	case q.accept("foreign", "key"):
		q.foreignKey(start, e)
	case q.peek(0).is("index", "key") && q.peek(1).is("("):
		q.next()
		e.Indexes = append(e.Indexes, Index{Place: q.place(start.at), Name: named, Columns: q.columns(q.group()), Where: q.where()})
	case q.peek(0).is("index") && q.peek(1).is(":") && q.peek(2).is("("):
		q.next()
		q.next()
		e.Indexes = append(e.Indexes, Index{Place: q.place(start.at), Columns: q.columns(q.group()), Where: q.where()})
	default:
		return false
	}
	return true
}

// foreignKey gives the column of a foreign key its reference. One over several columns is noted.
func (q *sqlReader) foreignKey(start token, e *Entity) {
	columns := q.columns(q.group())
	if !q.accept("references") {
		return
	}
	ref := q.references()
	if len(columns) != 1 {
		q.note(start.at, "a foreign key over several columns is not generated")
		return
	}
	for i := range e.Fields {
		if e.Fields[i].Name == columns[0].Name {
			e.Fields[i].Ref = ref
			return
		}
	}
	if e.Extends {
		e.Fields = append(e.Fields, Field{Place: q.place(start.at), Name: columns[0].Name, Ref: ref})
		return
	}
	q.note(start.at, "the foreign key is of a column %s that stands not before it: it is not generated", shorten(columns[0].Name))
}

func (q *sqlReader) inside(tokens []token) string {
	if len(tokens) == 0 {
		return ""
	}
	return q.text(tokens[0].at, tokens[len(tokens)-1].end)
}

// columns reads the columns of a key or index.
func (q *sqlReader) columns(tokens []token) []IndexColumn {
	var all []IndexColumn
	for _, part := range items(tokens) {
		if len(part) == 0 {
			continue
		}
		c := IndexColumn{Name: part[0].text}
		last := len(part)
		for last > 1 && part[last-1].is("asc", "desc", "nulls", "first", "last") {
			c.Descending = c.Descending || part[last-1].is("desc")
			c.NullsLast = c.NullsLast || part[last-1].is("last")
			last--
		}
		if last > 1 {
			c.Name, c.Expression = "", q.inside(part[:last])
		}
		all = append(all, c)
	}
	return all
}

// where reads a condition up to the end of the statement.
func (q *sqlReader) where() string {
	if !q.accept("where") {
		return ""
	}
	end := 0
	for end < len(q.tokens) && !q.tokens[end].is(";") {
		end++
	}
	condition := q.inside(q.tokens[:end])
	q.tokens = q.tokens[end:]
	return condition
}

func (q *sqlReader) references() *Reference {
	ref := &Reference{}
	if q.peek(1).is(".") && !q.peek(0).is("public") {
		ref.Schema = q.peek(0).text
	}
	ref.Entity = q.name().text
	if columns := q.columns(q.group()); len(columns) > 0 {
		ref.Field = columns[0].Name
	}
	for {
		switch {
		case q.accept("on", "delete"):
			ref.OnDelete = q.action()
		case q.accept("on", "update"):
			ref.OnUpdate = q.action()
		case q.accept("match"):
			q.next()
		default:
			return ref
		}
	}
}

func (q *sqlReader) action() string {
	action := strings.ToLower(q.next().text)
	if action == "set" || action == "no" {
		action += " " + strings.ToLower(q.next().text)
	}
	return action
}
