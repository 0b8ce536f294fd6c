package spec

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader turns JSON into nodes. Texts without escapes are slices of the document, so that a
// document of many megabytes costs little more than its tree.
type jsonReader struct {
	file  string
	text  string
	at    int
	line  int32
	start int    // of the line
	open  []Node // the children of the containers that are being read, innermost last
	slab  []Node // where finished children are cut from
	plain []byte // of the last text with escapes
}

func parseJSON(file, text string) (*Node, Problems) {
	separators := strings.Count(text, ",") + strings.Count(text, "[") + strings.Count(text, "{") // those in texts, too
	if problems := tooMany(file, separators); problems != nil {
		return nil, problems
	}
	r := &jsonReader{file: file, text: text, line: 1, open: make([]Node, 0, 1024)}
	root, err := r.value(0)
	if err == nil {
		if r.space(); r.at < len(r.text) {
			err = errors.New("there is something after the end of the document")
		}
	}
	if err != nil {
		return nil, Problems{{File: file, Line: int(r.line), Column: r.at - r.start + 1, Message: err.Error()}}
	}
	return &root, nil
}

func (r *jsonReader) space() {
	at := r.at // of its own: a field would be written for every blank
	for ; at < len(r.text); at++ {
		switch r.text[at] {
		case ' ', '\t', '\r':
		case '\n':
			r.line++
			r.start = at + 1
		default:
			r.at = at
			return
		}
	}
	r.at = at
}

// value reads a value. It is returned and not written to a place that is passed on, which would be memory of its own for each.
func (r *jsonReader) value(depth int) (Node, error) {
	r.space()
	if r.at == len(r.text) {
		return Node{}, errors.New("the document ends too early")
	}
	if depth > maxDepth {
		return Node{}, errTooDeep
	}
	n := Node{Line: r.line, Column: int32(r.at - r.start + 1)} //nolint:gosec // a document is smaller than maxSize
	var err error
	switch c := r.text[r.at]; {
	case c == '{':
		n.Kind = Object
		n.Children, err = r.container(Object, '}', depth)
		return n, err
	case c == '[':
		n.Kind = Array
		n.Children, err = r.container(Array, ']', depth)
		return n, err
	case c == '"':
		n.Kind = String
		n.Text, err = r.string()
		return n, err
	case c == '-' || c >= '0' && c <= '9':
		n.Kind = Number
		n.Text, err = r.number()
		return n, err
	}
	for _, word := range [...]struct {
		text string
		kind Kind
	}{{"true", Bool}, {"false", Bool}, {"null", Null}} {
		if strings.HasPrefix(r.text[r.at:], word.text) {
			n.Kind, n.Text = word.kind, word.text
			r.at += len(word.text)
			return n, nil
		}
	}
	return n, errors.New("here should be a value")
}

func (r *jsonReader) container(kind Kind, end byte, depth int) ([]Node, error) {
	r.at++
	base := len(r.open)
	for first := true; ; first = false {
		r.space()
		if r.at < len(r.text) && r.text[r.at] == end && first {
			r.at++
			break
		}
		key := ""
		if kind == Object {
			var err error
			if key, err = r.key(); err != nil {
				return nil, err
			}
		}
		child, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		child.Key = key
		r.open = append(r.open, child)
		r.space()
		if r.at == len(r.text) {
			return nil, errors.New("the document ends too early")
		}
		c := r.text[r.at]
		if c == end {
			r.at++
			break
		}
		if c != ',' {
			return nil, errors.New("here should be a comma or the end of the " + map[Kind]string{Object: "object", Array: "list"}[kind])
		}
		r.at++
	}
	children := r.keep(r.open[base:])
	r.open = r.open[:base]
	if kind == Object {
		return children, r.doubled(children)
	}
	return children, nil
}

func (r *jsonReader) key() (string, error) {
	if r.at == len(r.text) || r.text[r.at] != '"' {
		return "", errors.New("here should be a key in quotes")
	}
	key, err := r.string()
	if err != nil {
		return "", err
	}
	r.space()
	if r.at == len(r.text) || r.text[r.at] != ':' {
		return "", errors.New("here should be a colon")
	}
	r.at++
	return key, nil
}

// keep copies finished children to a place of their own. Small lists share slabs.
func (r *jsonReader) keep(children []Node) []Node {
	if len(children) == 0 {
		return nil
	}
	if len(children) > cap(r.slab)-len(r.slab) {
		if len(children) > slabSize/4 {
			return append([]Node(nil), children...)
		}
		r.slab = make([]Node, 0, slabSize)
	}
	from := len(r.slab)
	r.slab = append(r.slab, children...)
	return r.slab[from:len(r.slab):len(r.slab)]
}

const slabSize = 2048

func (r *jsonReader) doubled(children []Node) error {
	if child := doubledKey(children); child != nil {
		r.line, r.start, r.at = child.Line, 0, int(child.Column)-1 // where that is told
		return errors.New("the object has the key " + strconv.Quote(shorten(child.Key)) + " twice")
	}
	return nil
}

// doubledKey finds the second member with one key.
func doubledKey(children []Node) *Node {
	if len(children) <= 12 {
		for i := range children {
			for j := range i {
				if children[i].Key == children[j].Key {
					return &children[i]
				}
			}
		}
		return nil
	}
	seen := make(map[string]struct{}, len(children))
	for i := range children {
		if _, ok := seen[children[i].Key]; ok {
			return &children[i]
		}
		seen[children[i].Key] = struct{}{}
	}
	return nil
}

func (r *jsonReader) string() (string, error) {
	from := r.at + 1
	for at := from; at < len(r.text); at++ {
		switch c := r.text[at]; {
		case c == '"':
			r.at = at + 1
			return r.text[from:at], nil
		case c == '\\':
			r.at = at
			return r.escaped(from)
		case c < ' ':
			r.at = at
			return "", errors.New("a text must not contain control characters")
		}
	}
	r.at = len(r.text)
	return "", errors.New("the text does not end")
}

// escaped reads on from the first backslash of a text.
func (r *jsonReader) escaped(from int) (string, error) {
	b := append(r.plain[:0], r.text[from:r.at]...)
	for r.at < len(r.text) {
		c := r.text[r.at]
		switch {
		case c == '"':
			r.at++
			r.plain = b
			return string(b), nil
		case c < ' ':
			return "", errors.New("a text must not contain control characters")
		case c != '\\':
			b = append(b, c)
			r.at++
			continue
		}
		if r.at+1 == len(r.text) {
			break
		}
		escape := r.text[r.at+1]
		if escape == 'u' {
			char, err := r.unicode()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, char)
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, escape)
		if i < 0 {
			return "", errors.New("no such escape: \\" + strconv.QuoteRune(rune(escape)))
		}
		b = append(b, "\"\\/\b\f\n\r\t"[i])
		r.at += 2
	}
	return "", errors.New("the text does not end")
}

// unicode reads \uXXXX and, where it begins a surrogate pair, the second half.
func (r *jsonReader) unicode() (rune, error) {
	first, ok := hex4(r.text[r.at:])
	if !ok {
		return 0, errors.New(`here should be four hexadecimal digits after \u`)
	}
	r.at += 6
	if !utf16.IsSurrogate(first) {
		return first, nil
	}
	if second, ok := hex4(r.text[r.at:]); ok {
		if char := utf16.DecodeRune(first, second); char != utf8.RuneError {
			r.at += 6
			return char, nil
		}
	}
	return 0, errors.New("half of a surrogate pair is no character")
}

func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	return rune(n), err == nil
}

func (r *jsonReader) number() (string, error) {
	from := r.at
	for r.at < len(r.text) && strings.IndexByte("+-.eE0123456789", r.text[r.at]) >= 0 {
		r.at++
	}
	number := r.text[from:r.at]
	if !validNumber(number) {
		return "", errors.New("no number: " + shorten(number))
	}
	return number, nil
}

// validNumber checks the grammar of JSON.
func validNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, rest := digits(s)
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	if strings.HasPrefix(rest, ".") {
		var fraction string
		if fraction, rest = digits(rest[1:]); fraction == "" {
			return false
		}
	}
	if rest == "" {
		return true
	}
	if rest[0] != 'e' && rest[0] != 'E' {
		return false
	}
	rest = rest[1:]
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		rest = rest[1:]
	}
	exponent, rest := digits(rest)
	return exponent != "" && rest == ""
}

func digits(s string) (string, string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}
