package migration

import (
	"strings"
	"unicode"
)

// cursor walks over the tokens of one statement, or of a part of it.
type cursor struct {
	tokens []token
	at     int
}

func newCursor(text string) *cursor {
	c := &cursor{}
	for l := (lexer{text: text}); ; {
		t, ok := l.next()
		if !ok {
			return c
		}
		c.tokens = append(c.tokens, t)
	}
}

// peek is the token i places ahead; its zero value behind the end.
func (c *cursor) peek(i int) token {
	if at := c.at + i; at >= 0 && at < len(c.tokens) {
		return c.tokens[at]
	}
	return token{kind: symbol}
}

// is reports whether the bare words come next.
func (c *cursor) is(words ...string) bool {
	for i, w := range words {
		if !c.peek(i).is(w) {
			return false
		}
	}
	return true
}

// take moves over the bare words if they come next.
func (c *cursor) take(words ...string) bool {
	if !c.is(words...) {
		return false
	}
	c.at += len(words)
	return true
}

// takeAny moves over the first of the words, if one comes next.
func (c *cursor) takeAny(words ...string) (string, bool) {
	for _, w := range words {
		if c.take(w) {
			return w, true
		}
	}
	return "", false
}

// name moves over a name with its qualifiers and returns it as PostgreSQL compares it; empty: none comes.
func (c *cursor) name() string {
	var parts []string
	for {
		t := c.peek(0)
		if t.kind != word && t.kind != quoted {
			break
		}
		parts = append(parts, t.name())
		c.at++
		if c.peek(0).text != "." {
			break
		}
		c.at++
	}
	return strings.Join(parts, ".")
}

// split cuts what is left at the commas outside of parentheses and brackets.
func (c *cursor) split() []*cursor {
	var parts []*cursor
	depth, from := 0, c.at
	for i := c.at; i < len(c.tokens); i++ {
		switch c.tokens[i].text {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		case ",":
			if depth == 0 {
				parts = append(parts, &cursor{tokens: c.tokens[from:i]})
				from = i + 1
			}
		}
	}
	return append(parts, &cursor{tokens: c.tokens[from:]})
}

// has reports whether the bare words stand in what is left, outside of parentheses.
func (c *cursor) has(words ...string) bool {
	depth := 0
	for probe := (cursor{tokens: c.tokens, at: c.at}); probe.at < len(probe.tokens); probe.at++ {
		switch probe.peek(0).text {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 && probe.is(words...) {
			return true
		}
	}
	return false
}

// is reports whether t is the bare word w, which is in upper case.
func (t token) is(w string) bool {
	return t.kind == word && len(t.text) == len(w) && strings.EqualFold(t.text, w)
}

// name is the token as a name: folded as the server does it, unless it is quoted.
func (t token) name() string {
	if t.kind != quoted {
		return strings.ToLower(t.text)
	}
	if prefix, text, ok := strings.Cut(t.text, "&"); ok && len(prefix) == 1 {
		return "U&" + text // its escapes are not read, so that it is never taken for another
	}
	return strings.ReplaceAll(strings.TrimSuffix(t.text[1:], `"`), `""`, `"`)
}

// show is a name for a person: short, and without what could move other text about.
func show(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "\ufffd"))
	if runes := []rune(name); len(runes) > 64 {
		name = string(runes[:64]) + "…"
	}
	if name == "" {
		return "?"
	}
	return name
}
