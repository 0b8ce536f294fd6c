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
