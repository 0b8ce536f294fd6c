package spec

import (
	"strings"
)

var columnKeywords = strings.Fields("not null default primary pk unique references fk check generated constraint collate on comment deferrable initially auto_increment autoincrement -> → indexed") //nolint:gochecknoglobals // a constant table

func (q *sqlReader) column(e *Entity) {
	name := q.next()
	if !entityIdent.MatchString(name.text) {
		q.note(name.at, "%q is no name for a column: it is not read", shorten(name.text))
		return
	}
	f := Field{Place: q.place(name.at), Name: name.text}
	q.columnType(&f, name)
	optional := Yes // SQL says so by saying nothing
	for len(q.tokens) > 0 {
		t := q.next()
		switch {
		case t.is("not") && q.accept("null"):
			optional = No
		case t.is("null"):
		case t.is("primary") && q.accept("key"), t.is("pk"):
			f.Primary = true
		case t.is("unique"):
			f.Unique = true
		case t.is("indexed"):
			f.Indexed = true
		case t.is("auto_increment", "autoincrement"):
			f.Identity = true
		case t.is("references"):
			f.Ref = q.references()
		case t.is("fk", "->", "→"):
			for q.peek(0).is("->", "→", "to", "references") {
				q.next()
			}
			f.Ref = q.references()
			if q.accept(".") {
				f.Ref.Field = q.next().text
			}
		case t.is("check"):
			f.Checks = append(f.Checks, Check{Expression: q.inside(q.group())})
		case t.is("default"):
			q.defaultOf(&f)
		case t.is("generated"):
			q.generated(&f, t)
		case t.is("constraint"):
			q.next()
		case t.is("collate", "comment"):
			q.next()
			q.note(t.at, "%s of %s is not generated", strings.ToUpper(t.text), f.Name)
		case t.is("on") && q.accept("update"):
			f.OnUpdate = true
			q.skipExpression()
		case t.is("deferrable", "initially", "deferred", "immediate", "key", ","):
		default:
			q.note(t.at, "not read: %q at the column %s", shorten(t.text), f.Name)
			q.skipExpression()
		}
	}
	if f.Optional = optional; f.Primary || f.Identity {
		f.Optional = No
	}
	e.Fields = append(e.Fields, f)
}

func (q *sqlReader) columnType(f *Field, name token) {
	if len(q.tokens) == 0 || q.peek(0).is(columnKeywords...) {
		q.note(name.at, "the column %s says no type; it is read as text", f.Name)
		return
	}
	start := q.next()
	text := start.text
	for q.peek(0).is("precision", "varying") || q.peek(0).is("with", "without") && q.peek(1).is("time") {
		if q.peek(0).is("with", "without") {
			text += " " + q.next().text + " time zone"
			q.next()
			q.next()
			break
		}
		text += " " + q.next().text
	}
	var inside []token
	if q.peek(0).is("(") {
		inside = q.group()
		if !strings.EqualFold(start.text, "enum") {
			text += "(" + q.inside(inside) + ")"
		}
	}
	if q.peek(0).is("with", "without") && q.peek(1).is("time") {
		text += " " + q.next().text + " time zone"
		q.next()
		q.next()
	}
	for q.peek(0).is("[]") || q.peek(0).is("[") {
		for len(q.tokens) > 0 {
			if q.next().is("[]", "]") {
				break
			}
		}
		text += "[]"
	}
	f.Identity = isSerial(start.text)
	t, rest, ok := parseType(text, true)
	switch {
	case strings.EqualFold(start.text, "enum"):
		f.Type = Type{Name: "enum"}
		f.Values = splitValues(q.inside(inside))
	case ok && rest == "":
		f.Type = t
	default:
		f.Type = Type{Enum: start.text, Array: strings.HasSuffix(text, "[]"), Exact: true}
	}
}

// skipExpression drops tokens up to the next keyword of a column, and returns them.
func (q *sqlReader) skipExpression() []token {
	end, depth := 0, 0
	for end < len(q.tokens) {
		t := q.tokens[end]
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth == 0 && t.is(columnKeywords...) && end > 0:
			skipped := q.tokens[:end]
			q.tokens = q.tokens[end:]
			return skipped
		}
		end++
	}
	skipped := q.tokens
	q.tokens = nil
	return skipped
}

// presentOfSQLite is the present time, and not one some days from it.
var presentOfSQLite = lazily(`^\(*datetime\('now'(?:,\s*'(?:utc|localtime|subsec)')*\s*\)+$`)

func (q *sqlReader) defaultOf(f *Field) {
	expression := q.inside(q.skipExpression())
	f.HasDefault, f.Default = true, expression
	switch lower := strings.ToLower(expression); {
	case lower == "" || lower == "null":
		f.HasDefault, f.Default = false, ""
	case lower == "now()" || lower == "current_timestamp" || presentOfSQLite.MatchString(lower):
		f.Default = "now()"
	case lower == "gen_random_uuid()" || lower == "uuid_generate_v4()" || lower == "uuid()":
		f.Default = "gen_random_uuid()"
	case lower == "true" || lower == "false":
		f.Default = lower
	}
}

func (q *sqlReader) generated(f *Field, t token) {
	f.Always = q.peek(0).is("always") && q.peek(2).is("identity")
	if q.accept("always", "as", "identity") || q.accept("by", "default", "as", "identity") {
		f.Identity = true
		if q.peek(0).is("(") {
			q.group()
		}
		return
	}
	q.skipExpression()
	q.note(t.at, "%s is computed by the database, which is not generated: it is a plain column", f.Name)
}
