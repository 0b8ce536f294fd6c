package spec

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of one document. GitHub's description, the largest in use, has 13 MB, 0.6 million values
// and 20 levels.
const (
	maxSize     = 64 << 20
	maxYAMLSize = 16 << 20
	maxNodes    = 4_000_000
	maxDepth    = 200
	maxAliased  = 200_000
)

var (
	errTooMany = fmt.Errorf("the document has more than %d values", maxNodes)
	errTooDeep = fmt.Errorf("the document is nested deeper than %d levels", maxDepth)
	errUTF8    = errors.New("the file is not UTF-8")
)

// Parse reads a JSON or YAML document: JSON where its first character is that of a JSON object or
// list and its name does not say YAML. With any problem the tree is nil.
func Parse(file string, data []byte) (*Node, Problems) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	isYAML := strings.HasSuffix(file, ".yaml") || strings.HasSuffix(file, ".yml")
	if !isYAML {
		trimmed := bytes.TrimLeft(data, " \t\r\n")
		isYAML = len(trimmed) == 0 || trimmed[0] != '{' && trimmed[0] != '['
	}
	limit := maxSize
	if isYAML {
		limit = maxYAMLSize
	}
	if len(data) > limit {
		return nil, Problems{{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the file is larger than %d MB", limit>>20)}}
	}
	if !utf8.Valid(data) {
		return nil, Problems{invalidUTF8(file, data)}
	}
	if isYAML {
		return parseYAML(file, string(data))
	}
	return parseJSON(file, string(data))
}

// invalidUTF8 finds the first byte that is none.
func invalidUTF8(file string, data []byte) Problem {
	p := Problem{File: file, Line: 1, Column: 1, Message: errUTF8.Error()}
	for len(data) > 0 {
		char, size := utf8.DecodeRune(data)
		switch {
		case char == utf8.RuneError && size == 1:
			return p
		case char == '\n':
			p.Line, p.Column = p.Line+1, 1
		default:
			p.Column += size
		}
		data = data[size:]
	}
	return p
}

// shorten keeps foreign text in a message to one short line.
func shorten(s string) string {
	const most = 60
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
