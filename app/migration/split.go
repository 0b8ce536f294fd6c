package migration

import "strings"

// Statement is one SQL statement of a file.
type Statement struct {
	Text   string
	Offset int      // of Text in the file, in bytes
	words  []string // the first bare words in upper case, at most three
	stdio  bool     // it names STDIN or STDOUT outside of quotes
}

// splitter cuts SQL at the semicolons that end a statement, by the rules of psql: not inside
// quotes, comments, parentheses or a BEGIN ATOMIC body. It never fails: what it can't make sense of stays in
// one piece, and the server, which takes one statement at a time, refuses it.
type splitter struct {
	lexer
	from   int // of the statement's first token; -1: none yet
	base   int // offset of text in its file
	parens int
	atomic int // depth of BEGIN … END in an SQL-standard function body
	head   []string
	stdio  bool
	out    []Statement
}

// split returns the statements of text, which begins at offset base of its file. It gives up on
// more than MaxStatements, with more than so many in the result.
func split(text string, base int) []Statement {
	s := &splitter{lexer: lexer{text: text}, from: -1, base: base}
	for len(s.out) <= MaxStatements {
		t, ok := s.next()
		if !ok {
			break
		}
		s.take(t)
	}
	s.cut(len(s.text))
	return s.out
}

func (s *splitter) take(t token) {
	if t.text == ";" && s.parens == 0 && s.atomic == 0 {
		s.cut(t.at)
		return
	}
	if s.from < 0 {
		s.from = t.at
	}
	switch {
	case t.text == "(":
		s.parens++
	case t.text == ")":
		s.parens = max(0, s.parens-1)
	case t.kind == word:
		s.word(strings.ToUpper(t.text))
	}
}

func (s *splitter) word(word string) {
	if len(s.head) < 4 {
		s.head = append(s.head, word)
	}
	s.stdio = s.stdio || word == "STDIN" || word == "STDOUT"
	if s.parens == 0 && s.routine() {
		switch {
		case word == "BEGIN", word == "CASE" && s.atomic > 0:
			s.atomic++
		case word == "END":
			s.atomic = max(0, s.atomic-1)
		}
	}
}

// routine reports whether the statement is CREATE [OR REPLACE] FUNCTION or PROCEDURE.
func (s *splitter) routine() bool {
	head := s.head
	if len(head) == 0 || head[0] != "CREATE" {
		return false
	}
	if len(head) > 2 && head[1] == "OR" && head[2] == "REPLACE" {
		head = head[2:]
	}
	return len(head) > 1 && (head[1] == "FUNCTION" || head[1] == "PROCEDURE")
}

// cut ends the statement before end.
func (s *splitter) cut(end int) {
	if s.from >= 0 {
		s.out = append(s.out, Statement{
			Text: s.text[s.from:end], Offset: s.base + s.from,
			words: s.head[:min(3, len(s.head))], stdio: s.stdio,
		})
	}
	s.from, s.parens, s.atomic, s.head, s.stdio = -1, 0, 0, nil, false
}

// Refusal says why a statement can't be part of a migration; empty: it can.
func (st Statement) Refusal() (message, hint string) {
	const own = "all migrations run in one transaction, as drizzle does: remove the statement"
	word := func(i int) string {
		if i < len(st.words) {
			return st.words[i]
		}
		return ""
	}
	switch first := word(0); {
	case first == "BEGIN", first == "START", first == "COMMIT", first == "END", first == "ABORT",
		first == "ROLLBACK" && word(1) != "TO" && word(2) != "TO",
		first == "PREPARE" && word(1) == "TRANSACTION":
		return first + " is not allowed in a migration", own
	case first == "COPY" && st.stdio:
		return "COPY needs a client's input or output, which a migration has not", "use INSERT"
	}
	return "", ""
}
