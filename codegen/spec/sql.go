package spec

import (
	"slices"
	"strings"
)

// token is a word, a quoted name, a text, a number or a sign of SQL.
type token struct {
	text   string // of a quoted name what is within
	at     int    // in the file
	end    int
	quoted bool // a name in double quotes, or a text
	line   int  // within the fence
}

// is compares with a keyword.
func (t token) is(words ...string) bool {
	return !t.quoted && slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(t.text, w) })
}

// lex splits SQL into tokens, without comments.
func lex(text string, base int) []token {
	var tokens []token
	line := 0
	add := func(from, to int, content string, quoted bool) {
		tokens = append(tokens, token{content, base + from, base + to, quoted, line})
	}
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(text[i:], "--") || c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case strings.HasPrefix(text[i:], "/*"):
			end := strings.Index(text[i+2:], "*/")
			if end < 0 {
				return tokens
			}
			line += strings.Count(text[i:i+end+4], "\n")
			i += end + 4
		case c == '\'' || c == '"' || c == '`':
			end := i + 1
			for end < len(text) && (text[end] != c || end+1 < len(text) && text[end+1] == c) {
				if text[end] == c {
					end++
				}
				end++
			}
			content := text[i:min(end+1, len(text))]
			if c != '\'' {
				content = strings.Trim(content, string(c))
			}
			add(i, min(end+1, len(text)), content, true)
			line += strings.Count(text[i:min(end+1, len(text))], "\n")
			i = end + 1
		case isWord(c) || c >= 0x80:
			end := i
			for end < len(text) && (isWord(text[end]) || text[end] == '.' && text[i] <= '9' && text[i] >= '0' || text[end] >= 0x80 || text[end] == '$') {
				end++
			}
			add(i, end, text[i:end], false)
			i = end
		default:
			size := 1
			for _, sign := range []string{"::", "->>", "->", ">=", "<=", "<>", "!=", "||", "[]", "!~*", "!~", "~*"} {
				if strings.HasPrefix(text[i:], sign) {
					size = len(sign)
					break
				}
			}
			add(i, i+size, text[i:i+size], false)
			i += size
		}
	}
	return tokens
}

// sqlReader reads statements out of tokens.
type sqlReader struct {
	*modelReader
	base   int
	source string
	tokens []token
}

// sql reads a fence of SQL, or of what looks like it: users ( id UUID PK, … ).
func (r *modelReader) sql(s *section, f *fence) {
	q := &sqlReader{modelReader: r, base: f.at, source: f.text, tokens: lex(f.text, f.at)}
	for len(q.tokens) > 0 {
		q.statement(s)
	}
}

func (q *sqlReader) peek(i int) token {
	if i < len(q.tokens) {
		return q.tokens[i]
	}
	return token{at: q.base + len(q.source), end: q.base + len(q.source)}
}

func (q *sqlReader) next() token {
	t := q.peek(0)
	if len(q.tokens) > 0 {
		q.tokens = q.tokens[1:]
	}
	return t
}

// accept takes keywords that follow each other.
func (q *sqlReader) accept(words ...string) bool {
	for i, w := range words {
		if !q.peek(i).is(w) {
			return false
		}
	}
	q.tokens = q.tokens[len(words):]
	return true
}

// text is what stands between two places of the file.
func (q *sqlReader) text(from, to int) string {
	return strings.Join(strings.Fields(q.source[from-q.base:to-q.base]), " ")
}

func (q *sqlReader) skipStatement() {
	for len(q.tokens) > 0 {
		if q.next().is(";") {
			return
		}
	}
}

func (q *sqlReader) statement(s *section) {
	start := q.peek(0)
	switch {
	case q.accept(";"):
	case q.accept("create", "table") || q.accept("create", "unlogged", "table"):
		q.accept("if", "not", "exists")
		q.create(q.name(), start)
	case q.accept("create", "type"):
		q.createType(start)
	case q.accept("create", "unique", "index"):
		q.createIndex(true, start)
	case q.accept("create", "index"):
		q.createIndex(false, start)
	case q.accept("alter", "table"):
		q.alter(start)
	case start.is("insert", "update", "delete", "copy", "truncate"):
		q.note(start.at, "rows are not generated: the statement %s is not read", strings.ToUpper(start.text))
		q.skipStatement()
	case start.is("create", "drop", "grant", "revoke", "comment", "set", "select", "do", "with", "begin", "commit"):
		q.note(start.at, "the statement %s %s is not read", strings.ToUpper(start.text), shorten(q.peek(1).text))
		q.skipStatement()
	case q.peek(1).is("(") && !start.is("(") && isWord(start.text[0]):
		q.create(q.name(), start)
	default:
		q.next()
	}
}

// name reads a name, and drops the schema before it.
func (q *sqlReader) name() token {
	t := q.next()
	for q.peek(0).is(".") {
		q.next()
		t = q.next()
	}
	return t
}

// group takes the tokens within parentheses, which may be nested.
func (q *sqlReader) group() []token {
	if !q.accept("(") {
		return nil
	}
	depth := 1
	for i, t := range q.tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			if depth--; depth == 0 {
				inside := q.tokens[:i]
				q.tokens = q.tokens[i+1:]
				return inside
			}
		}
	}
	inside := q.tokens
	q.tokens = nil
	return inside
}

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
func items(tokens []token) [][]token {
	var all [][]token
	commas := separated(tokens)
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
		case !commas && depth == 0 && i > from && t.line != tokens[i-1].line:
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
	ref := &Reference{Entity: q.name().text}
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

func (q *sqlReader) defaultOf(f *Field) {
	expression := q.inside(q.skipExpression())
	f.HasDefault, f.Default = true, expression
	switch strings.ToLower(expression) {
	case "", "null":
		f.HasDefault, f.Default = false, ""
	case "now()", "current_timestamp":
		f.Default = "now()"
	case "gen_random_uuid()", "uuid_generate_v4()", "uuid()":
		f.Default = "gen_random_uuid()"
	case "true", "false":
		f.Default = strings.ToLower(expression)
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

func (q *sqlReader) createType(start token) {
	name := q.name()
	if !q.accept("as", "enum") {
		q.note(start.at, "the type %s is not read: it is no enum", shorten(name.text))
		q.skipStatement()
		return
	}
	if values := enumLiterals(q.group()); len(values) > 0 {
		q.model.Enums = append(q.model.Enums, Enum{Place: q.place(name.at), Name: name.text, Values: values})
	}
	if q.peek(0).is(";") {
		q.next()
	}
}

func enumLiterals(tokens []token) []string {
	var values []string
	for _, t := range tokens {
		if value := strings.Trim(t.text, "'"); t.quoted && value != "" && len(value) <= 63 && !slices.Contains(values, value) {
			values = append(values, strings.ReplaceAll(value, "''", "'"))
		}
	}
	return values
}

func (q *sqlReader) createIndex(unique bool, start token) {
	q.accept("concurrently")
	q.accept("if", "not", "exists")
	index := Index{Place: q.place(start.at), Unique: unique}
	if !q.peek(0).is("on") {
		index.Name = q.name().text
	}
	if !q.accept("on") {
		q.skipStatement()
		return
	}
	q.accept("only")
	table := q.name()
	if q.accept("using") {
		index.Using = strings.ToLower(q.next().text)
	}
	index.Columns = q.columns(q.group())
	if q.accept("include") {
		q.note(start.at, "INCLUDE of the index %s is not generated", shorten(index.Name))
		q.group()
	}
	index.Where = q.where()
	q.skipStatement()
	if len(index.Columns) > 0 {
		q.model.Entities = append(q.model.Entities, Entity{Place: q.place(table.at), Notation: SQL, Name: table.text, IsTable: true, IndexOf: true, Indexes: []Index{index}})
	}
}

// alter reads columns and constraints that are added.
func (q *sqlReader) alter(start token) {
	q.accept("if", "exists")
	q.accept("only")
	name := q.name()
	e := Entity{Place: q.place(name.at), Notation: SQL, Name: name.text, IsTable: true, Extends: true}
	end := 0
	for end < len(q.tokens) && !q.tokens[end].is(";") {
		end++
	}
	body := q.tokens[:end]
	q.tokens = q.tokens[min(end+1, len(q.tokens)):]
	for _, tokens := range items(body) {
		sub := &sqlReader{modelReader: q.modelReader, base: q.base, source: q.source, tokens: tokens}
		switch {
		case sub.accept("add", "column") || sub.peek(0).is("add") && sub.peek(1).is("constraint", "unique", "primary", "check", "foreign"):
			sub.accept("add")
			sub.accept("if", "not", "exists")
			q.item(sub.tokens, &e)
		default:
			q.note(start.at, "not read: ALTER TABLE %s %s %s", name.text, strings.ToUpper(sub.peek(0).text), shorten(sub.peek(1).text))
		}
	}
	if e.IndexOf = len(e.Fields) == 0; len(e.Fields)+len(e.Indexes)+len(e.Checks) > 0 {
		q.model.Entities = append(q.model.Entities, e)
	}
}
