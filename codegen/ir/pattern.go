package ir

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Pattern is a regular expression of JavaScript.
type Pattern struct {
	Source  string
	Unicode bool // it is valid with the flag u, which JSON Schema asks for
}

// Literal writes the pattern as JavaScript does.
func (p Pattern) Literal() string {
	var b strings.Builder
	b.WriteByte('/')
	escaped := false
	for _, r := range p.Source {
		switch {
		case r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			if !escaped {
				b.WriteByte('\\')
			}
			fmt.Fprintf(&b, "u%04x", r)
		case r == '/' && !escaped:
			b.WriteString(`\/`)
		default:
			b.WriteRune(r)
		}
		escaped = r == '\\' && !escaped
	}
	b.WriteByte('/')
	if p.Unicode {
		b.WriteByte('u')
	}
	return b.String()
}

// ParsePattern checks the syntax of a regular expression, with the flag u and then without. What
// JavaScript can't read gives an empty pattern and why: it would throw when the code is loaded.
func ParsePattern(source string) (Pattern, string) {
	if source == "" {
		return Pattern{}, ""
	}
	r := patternReader{text: []rune(source), unicode: true}
	if r.whole() == "" {
		return Pattern{Source: source, Unicode: true}, ""
	}
	r = patternReader{text: []rune(source)}
	if why := r.whole(); why != "" {
		return Pattern{}, why
	}
	return Pattern{Source: source}, ""
}

// patternReader walks ECMAScript's grammar of patterns and keeps nothing.
type patternReader struct {
	text    []rune
	at      int
	depth   int
	unicode bool

	groups  int             // that capture
	names   map[string]bool // of groups
	highest int             // number of a group that is referred to
	named   []string        // groups that are referred to by name
}

func (r *patternReader) peek() rune {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return -1
}

func (r *patternReader) take(s string) bool {
	if !strings.HasPrefix(string(r.text[r.at:min(len(r.text), r.at+len(s))]), s) {
		return false
	}
	r.at += len(s)
	return true
}

func (r *patternReader) whole() string {
	if why := r.disjunction(); why != "" {
		return why
	}
	switch {
	case r.at < len(r.text):
		return "a ) without its ("
	case r.highest > r.groups, slices.ContainsFunc(r.named, func(name string) bool { return !r.names[name] }):
		return "a reference to a group that is not there"
	}
	return ""
}

func (r *patternReader) disjunction() string {
	if r.depth++; r.depth > 100 {
		return "groups are nested too deep"
	}
	defer func() { r.depth-- }()
	for r.at < len(r.text) && r.peek() != ')' {
		if r.take("|") {
			continue
		}
		if why := r.term(); why != "" {
			return why
		}
	}
	return ""
}

func (r *patternReader) term() string {
	switch c := r.peek(); {
	case r.take("^"), r.take("$"), r.take(`\b`), r.take(`\B`):
		return ""
	case r.take("(?=") || r.take("(?!"):
		if why := r.group(); why != "" || r.unicode {
			return why
		}
		return r.quantifier()
	case r.take("(?<=") || r.take("(?<!"):
		return r.group()
	case c == '(':
		if why := r.opening(); why != "" {
			return why
		}
		if why := r.group(); why != "" {
			return why
		}
	case c == '[':
		if why := r.class(); why != "" {
			return why
		}
	case c == '\\':
		if why := r.escape(false); why != "" {
			return why
		}
	case c == '*' || c == '+' || c == '?':
		return "nothing stands before " + string(c)
	case c == '{' && (r.unicode || r.counts()):
		return "nothing stands before {"
	case r.unicode && (c == '}' || c == ']'):
		return "a lone " + string(c)
	default:
		r.at++
	}
	return r.quantifier()
}

func (r *patternReader) opening() string {
	switch {
	case r.take("(?:"):
	case r.take("(?<"):
		name, why := r.name()
		switch {
		case why != "":
			return why
		case r.names[name]:
			return "two groups have the same name"
		case r.names == nil:
			r.names = map[string]bool{}
		}
		r.names[name] = true
		r.groups++
	case r.take("(?"):
		return "JavaScript knows no group that begins with (?" + string(r.peek())
	default:
		r.at++
		r.groups++
	}
	return ""
}

// name reads the name of a group up to its end.
func (r *patternReader) name() (name, why string) {
	from := r.at
	for r.peek() != '>' {
		if r.at == len(r.text) || !isWord(r.peek()) {
			return "", "a group's name that is none"
		}
		r.at++
	}
	if r.at == from || r.text[from] >= '0' && r.text[from] <= '9' {
		return "", "a group's name that is none"
	}
	r.at++
	return string(r.text[from : r.at-1]), ""
}

func (r *patternReader) group() string {
	if why := r.disjunction(); why != "" {
		return why
	}
	if !r.take(")") {
		return "a ( without its )"
	}
	return ""
}

func isWord(c rune) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c > 0x7f
}

func (r *patternReader) quantifier() string {
	switch c := r.peek(); {
	case c == '*' || c == '+' || c == '?':
		r.at++
	case c == '{' && r.counts():
		end := r.at
		for r.text[end] != '}' {
			end++
		}
		low, high, both := strings.Cut(string(r.text[r.at+1:end]), ",")
		if from, err := strconv.Atoi(low); both && high != "" && err == nil {
			if to, err := strconv.Atoi(high); err == nil && to < from {
				return "the numbers in {} are out of order"
			}
		}
		r.at = end + 1
	case c == '{' && r.unicode:
		return "a lone {"
	default:
		return ""
	}
	r.take("?")
	return ""
}

// counts tells whether {n}, {n,} or {n,m} stands here.
func (r *patternReader) counts() bool {
	i, commas, count := r.at+1, 0, 0
	for ; i < len(r.text) && r.text[i] != '}'; i++ {
		switch c := r.text[i]; {
		case c == ',' && count > 0 && commas == 0:
			commas++
		case c >= '0' && c <= '9':
			count++
		default:
			return false
		}
	}
	return i < len(r.text) && count > 0
}

func (r *patternReader) class() string {
	r.at++
	r.take("^")
	for r.peek() != ']' {
		if r.at == len(r.text) {
			return "a [ without its ]"
		}
		if r.peek() == '[' && r.at+1 < len(r.text) && r.text[r.at+1] == ':' {
			return "JavaScript knows no class such as [:alpha:]"
		}
		low, why := r.member()
		if why != "" {
			return why
		}
		if r.peek() != '-' || r.at+1 == len(r.text) || r.text[r.at+1] == ']' {
			continue
		}
		r.at++
		high, why := r.member()
		switch {
		case why != "":
			return why
		case low < 0 || high < 0:
			if r.unicode {
				return "a range that ends in a class"
			}
		case high < low:
			return "a range out of order"
		}
	}
	r.at++
	return ""
}

// member reads one character of a class, or -1 for an escape whose value does not matter.
func (r *patternReader) member() (rune, string) {
	c := r.peek()
	if c != '\\' {
		r.at++
		return c, ""
	}
	from := r.at
	if why := r.escape(true); why != "" {
		return 0, why
	}
	switch c := r.text[from+1]; {
	case strings.ContainsRune("dDsSwWpP", c):
		return -1, ""
	case strings.ContainsRune("nrtvfbcxu0123456789", c):
		return characterOf(string(r.text[from:r.at])), ""
	default:
		return c, ""
	}
}

// characterOf gives the value of an escape within a class.
func characterOf(escape string) rune {
	if i := strings.IndexByte("bfnrtv0", escape[1]); i >= 0 && len(escape) == 2 {
		return rune("\b\f\n\r\t\v\x00"[i])
	}
	if strings.ContainsRune("xu", rune(escape[1])) {
		if n, err := strconv.ParseInt(strings.Trim(escape[2:], "{}"), 16, 32); err == nil {
			return rune(n)
		}
	}
	if escape[1] == 'c' && len(escape) == 3 {
		return rune(escape[2] % 32)
	}
	return rune(escape[1])
}

func (r *patternReader) escape(inClass bool) string {
	r.at++
	if r.at == len(r.text) {
		return `a \ at the end`
	}
	c := r.text[r.at]
	r.at++
	switch {
	case strings.ContainsRune("dDsSwWfnrtv", c), inClass && c == 'b':
		return ""
	case c == 'x':
		return r.hex(2)
	case c == 'u':
		if r.peek() != '{' {
			return r.hex(4)
		}
		digits, why := r.braced()
		if char, err := strconv.ParseUint(digits, 16, 32); why == "" && (err != nil || char > unicode.MaxRune || !r.unicode) { // without the flag u, it is the letter many times
			why = "an escape without its hexadecimal digits"
		}
		return why
	case c == 'c':
		if c := r.peek() | 0x20; c >= 'a' && c <= 'z' {
			r.at++
			return ""
		}
	case (c == 'p' || c == 'P') && r.unicode:
		if r.peek() != '{' {
			return `\p without {}`
		}
		property, why := r.braced()
		if why == "" && !isProperty(property) {
			why = "JavaScript knows no such property of characters"
		}
		return why
	case c >= '0' && c <= '9':
		return r.number(int(c-'0'), inClass)
	case c == 'k' && r.unicode && !inClass:
		if !r.take("<") {
			return `\k without its group`
		}
		name, why := r.name()
		r.named = append(r.named, name)
		return why
	case strings.ContainsRune(`^$\.*+?()[]{}|/`, c), inClass && c == '-':
		return ""
	}
	if letter := c | 0x20; r.unicode || letter >= 'a' && letter <= 'z' { // as \A and \z, which other languages have
		return `JavaScript knows no \` + string(c)
	}
	return ""
}

// number reads the other digits of a group's number, or \0. Octal numbers, which they may be without the flag u, TypeScript refuses.
func (r *patternReader) number(first int, inClass bool) string {
	number, from := first, r.at
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		number = min(10*number+int(c-'0'), len(r.text))
		r.at++
	}
	if first == 0 && r.at > from || first > 0 && inClass {
		return "an octal number"
	}
	r.highest = max(r.highest, number)
	return ""
}

func (r *patternReader) hex(digits int) string {
	for i := range digits {
		if r.at+i >= len(r.text) || !strings.ContainsRune("0123456789abcdefABCDEF", r.text[r.at+i]) {
			return "an escape without its hexadecimal digits"
		}
	}
	r.at += digits
	return ""
}

func (r *patternReader) braced() (inside, why string) {
	from := r.at + 1
	for r.at < len(r.text) && r.text[r.at] != '}' {
		r.at++
	}
	if r.at == len(r.text) {
		return "", "a { without its }"
	}
	r.at++
	return string(r.text[from : r.at-1]), ""
}
