package postgres

import (
	"strings"
	"unicode/utf8"
)

// statement is one SQL statement of a file.
type statement struct {
	text   string
	offset int      // of text in the file, in bytes
	words  []string // the first bare words in upper case, at most three
	stdio  bool     // it names STDIN or STDOUT outside of quotes
}

// splitter cuts SQL at the semicolons that end a statement, by the rules of psql: not inside
// quotes, comments, parentheses or a BEGIN ATOMIC body. It never fails: what it can't make sense of stays in
// one piece, and the server, which takes one statement at a time, refuses it.
type splitter struct {
	text   string
	at     int // of the next byte
	from   int // of the statement's first token; -1: none yet
	base   int // offset of text in its file
	parens int
	atomic int // depth of BEGIN … END in an SQL-standard function body
	head   []string
	stdio  bool
	out    []statement
}

// split returns the statements of text, which begins at offset base of its file. It gives up on
// more than maxStatements, with more than so many in the result.
func split(text string, base int) []statement {
	s := &splitter{text: text, from: -1, base: base}
	for s.at < len(s.text) && len(s.out) <= maxStatements {
		s.token()
	}
	s.cut(len(s.text))
	return s.out
}

func (s *splitter) token() {
	rest := s.text[s.at:]
	switch c := rest[0]; {
	case strings.IndexByte(" \t\r\n\f\v", c) >= 0:
		s.at++
	case strings.HasPrefix(rest, "--"):
		s.skipTo(strings.IndexAny(rest, "\r\n"), len(rest), 0)
	case strings.HasPrefix(rest, "/*"):
		s.blockComment()
	case c == ';' && s.parens == 0 && s.atomic == 0:
		s.cut(s.at)
		s.at++
	default:
		if s.from < 0 {
			s.from = s.at
		}
		s.significant(rest, c)
	}
}

func (s *splitter) significant(rest string, c byte) {
	switch {
	case c == '\'':
		s.quoted('\'', false)
	case c == '"':
		s.quoted('"', false)
	case c == '$':
		s.dollar(rest)
	case c == '(':
		s.parens++
		s.at++
	case c == ')':
		s.parens = max(0, s.parens-1)
		s.at++
	case isWordStart(c):
		s.word(rest)
	case c >= '0' && c <= '9': // a digit takes the letters and the $ behind it
		s.at += wordLength(rest)
	default:
		s.at++
	}
}

// skipTo moves behind index in what is left, or by fallback when it is not there.
func (s *splitter) skipTo(index, fallback, length int) {
	if index < 0 {
		s.at += fallback
		return
	}
	s.at += index + length
}

// blockComment skips a comment, which may hold others.
func (s *splitter) blockComment() {
	depth := 0
	for s.at < len(s.text) {
		switch rest := s.text[s.at:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			s.at += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			s.at += 2
			if depth == 0 {
				return
			}
		default:
			s.at++
		}
	}
}

// quoted skips a literal or identifier; a doubled quote is simply two literals side by side.
func (s *splitter) quoted(quote byte, escapes bool) {
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case escapes && c == '\\':
			s.at++
		case c == quote:
			s.at++
			return
		}
	}
	s.at = len(s.text)
}

// dollar skips a $tag$…$tag$ literal, or the one character of a parameter.
func (s *splitter) dollar(rest string) {
	end := 1
	for end < len(rest) && isWordByte(rest[end]) && rest[end] != '$' {
		end++
	}
	if end == len(rest) || rest[end] != '$' || (end > 1 && !isWordStart(rest[1])) {
		s.at++
		return
	}
	tag := rest[:end+1]
	s.skipTo(strings.Index(rest[len(tag):], tag), len(rest), 2*len(tag))
}

func (s *splitter) word(rest string) {
	length := wordLength(rest)
	word := strings.ToUpper(rest[:length])
	s.at += length
	if word == "E" && strings.HasPrefix(rest[length:], "'") {
		s.quoted('\'', true)
		return
	}

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
		s.out = append(s.out, statement{
			text: s.text[s.from:end], offset: s.base + s.from,
			words: s.head[:min(3, len(s.head))], stdio: s.stdio,
		})
	}
	s.from, s.parens, s.atomic, s.head, s.stdio = -1, 0, 0, nil, false
}

func isWordStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

func isWordByte(c byte) bool { return isWordStart(c) || c == '$' || c >= '0' && c <= '9' }

func wordLength(text string) int {
	n := 0
	for n < len(text) && isWordByte(text[n]) {
		n++
	}
	return n
}

// refusal says why a statement can't be part of a migration; empty: it can.
func (st statement) refusal() (message, hint string) {
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
