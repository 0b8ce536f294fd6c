package spec

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Limits of one document. GitHub's description, the largest in use, has 13 MB, 0.26 million values
// and 20 levels; with every reference replaced by what it leads to, one of its editions has 62 MB and 1.0 million values.
const (
	maxSize       = 64 << 20
	maxYAMLSize   = 16 << 20
	maxSeparators = 1_200_000
	maxDepth      = 200
	maxAliased    = 200_000
)

var (
	errTooDeep = fmt.Errorf("the document is nested deeper than %d levels", maxDepth)
	errUTF8    = errors.New("the file is not UTF-8")
)

// Parse reads a JSON or YAML document: JSON where its first character is that of a JSON object or
// list and its name does not say YAML. With any problem the tree is nil. The tree holds parts of data, which must stay as it is.
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
	text := unsafe.String(unsafe.SliceData(data), len(data)) // #nosec G103 -- read only
	if isYAML {
		return parseYAML(file, text)
	}
	return parseJSON(file, text)
}

// tooMany refuses a document before there is a tree of it, which takes a hundred bytes and more a value where the
// text may take two. No value lacks something that begins it or parts it from others.
func tooMany(file string, separators int) Problems {
	if separators <= maxSeparators {
		return nil
	}
	return Problems{{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the document has more than %d values", maxSeparators)}}
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
