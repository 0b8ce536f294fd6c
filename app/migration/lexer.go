package migration

import (
	"strings"
	"unicode/utf8"
)

// tokenKind is what a token is to PostgreSQL.
type tokenKind int

const (
	word    tokenKind = iota // a keyword, or a name without quotes
	quoted                   // a name in double quotes, also with U& before it
	literal                  // a string in single quotes or dollars
	number
	symbol // one byte of anything else
)

// token is one piece of SQL that is neither white space nor comment.
type token struct {
	kind tokenKind
	text string // as it is written
	at   int    // offset of text, in bytes
}

// lexer cuts SQL into tokens by PostgreSQL's rules. It never fails: what has no end ends with the text.
type lexer struct {
	text string
	at   int // of the next byte
}

// next returns the next token; ok is false at the end.
func (l *lexer) next() (t token, ok bool) {
	l.blank()
	if l.at == len(l.text) {
		return token{}, false
	}
	t.at = l.at
	t.kind = l.token(l.text[l.at:])
	t.text = l.text[t.at:l.at]
	return t, true
}

// blank skips white space and comments.
func (l *lexer) blank() {
	for l.at < len(l.text) {
		switch rest := l.text[l.at:]; {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			l.at++
		case strings.HasPrefix(rest, "--"):
			l.skipTo(strings.IndexAny(rest, "\r\n"), len(rest), 0)
		case strings.HasPrefix(rest, "/*"):
			l.blockComment()
		default:
			return
		}
	}
}

func (l *lexer) token(rest string) tokenKind {
	switch c := rest[0]; {
	case c == '\'':
		l.quoted(c, false)
		return literal
	case c == '"':
		l.quoted(c, false)
		return quoted
	case c == '$':
		return l.dollar(rest)
	case isWordStart(c):
		return l.word(rest)
	case c >= '0' && c <= '9': // a digit takes the letters and the $ behind it
		l.at += wordLength(rest)
		return number
	}
	l.at++
	return symbol
}

// word skips a word, or the literal or name that a prefix begins.
func (l *lexer) word(rest string) tokenKind {
	length := wordLength(rest)
	l.at += length
	if length != 1 {
		return word
	}
	after := rest[length:]
	switch {
	case rest[0]|0x20 == 'e' && strings.HasPrefix(after, "'"):
		l.quoted('\'', true)
		return literal
	case rest[0]|0x20 == 'u' && strings.HasPrefix(after, "&'"):
		l.at++
		l.quoted('\'', false)
		return literal
	case rest[0]|0x20 == 'u' && strings.HasPrefix(after, `&"`):
		l.at++
		l.quoted('"', false)
		return quoted
	}
	return word
}

// skipTo moves behind index in what is left, or by fallback when it is not there.
func (l *lexer) skipTo(index, fallback, length int) {
	if index < 0 {
		l.at += fallback
		return
	}
	l.at += index + length
}

// blockComment skips a comment, which may hold others.
func (l *lexer) blockComment() {
	depth := 0
	for l.at < len(l.text) {
		switch rest := l.text[l.at:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.at += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			l.at += 2
			if depth == 0 {
				return
			}
		default:
			l.at++
		}
	}
}

// quoted skips a literal or name; a doubled quote belongs to it.
func (l *lexer) quoted(quote byte, escapes bool) {
	for l.at++; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; {
		case escapes && c == '\\':
			l.at++
		case c == quote && strings.HasPrefix(l.text[l.at+1:], string(quote)):
			l.at++
		case c == quote:
			l.at++
			return
		}
	}
	l.at = len(l.text)
}

// dollar skips a $tag$…$tag$ literal, or the one character of a parameter.
func (l *lexer) dollar(rest string) tokenKind {
	end := 1
	for end < len(rest) && isWordByte(rest[end]) && rest[end] != '$' {
		end++
	}
	if end == len(rest) || rest[end] != '$' || (end > 1 && !isWordStart(rest[1])) {
		l.at++
		return symbol
	}
	tag := rest[:end+1]
	l.skipTo(strings.Index(rest[len(tag):], tag), len(rest), 2*len(tag))
	return literal
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
