package spec

import (
	"slices"
	"strings"
)

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
	for _, tokens := range split(body, false) {
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
