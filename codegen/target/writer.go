package target

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// MaxFile bounds a file: what operations share, such as an example or a description, is written for each of them, and small
// documents could ask for more than there is memory. The largest file of GitHub's description takes a tenth.
const MaxFile = 200 << 20

// ErrTooLarge is returned when a file would be larger than MaxFile.
var ErrTooLarge = errors.New("the file is too large")

// writer collects TypeScript. It panics with ErrTooLarge when that is too much, and complete takes it up.
type writer struct {
	out    []byte
	indent int
	held   int          // bytes of texts that were composed, and wait until they are written
	ended  func() error // why there is no use in going on; nil where nobody asks
	steps  int
}

// interrupted is what a writer panics with when there is no use in going on; complete takes it up.
type interrupted struct{ error }

// complete ends the writing of a file.
func complete(err *error) {
	value := recover()
	if value == nil {
		return
	}
	panicked, ok := value.(error)
	if stop, ended := value.(interrupted); ended {
		*err = stop.error
		return
	}
	if !ok || !errors.Is(panicked, ErrTooLarge) {
		panic(value)
	}
	*err = ErrTooLarge
}

// askedEvery is how many texts are written until somebody is asked again whether to go on.
const askedEvery = 256

// goOn asks whether to. Loops that write little ask it themselves.
func (w *writer) goOn() {
	if w.ended == nil {
		return
	}
	if err := w.ended(); err != nil {
		panic(interrupted{err})
	}
}

// hold counts a text that is kept for later.
func (w *writer) hold(text string) string {
	w.held += len(text)
	w.bound()
	return text
}

func (w *writer) bound() {
	if len(w.out) > MaxFile-w.held {
		panic(ErrTooLarge)
	}
	if w.steps++; w.steps%askedEvery == 0 {
		w.goOn()
	}
}

func (w *writer) text(parts ...string) {
	for _, part := range parts {
		w.out = append(w.out, part...)
	}
	w.bound()
}

// line begins a new line at the present depth.
func (w *writer) line() {
	const blanks = "\n                                                                                "
	blank := 2 * w.indent
	w.out = append(w.out, blanks[:1+min(blank, len(blanks)-1)]...)
	for blank -= len(blanks) - 1; blank > 0; blank-- {
		w.out = append(w.out, ' ')
	}
}

// asIs are the bytes that a text has as they are, quoted or not.
var asIs = func() (all [256]bool) { //nolint:gochecknoglobals // a constant table
	for c := ' '; c < 0x7f; c++ {
		all[c] = c != '"' && c != '\\'
	}
	return all
}()

// quote writes a text as JavaScript does, which is JSON and two characters more.
func (w *writer) quote(s string) {
	w.out = append(w.out, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if asIs[c] {
			i++
			continue
		}
		char, size := utf8.DecodeRuneInString(s[i:])
		escape := ""
		switch {
		case c == '"':
			escape = `\"`
		case c == '\\':
			escape = `\\`
		case c == '\n':
			escape = `\n`
		case c == '\t':
			escape = `\t`
		case c == '\r':
			escape = `\r`
		case char < ' ' || char == 0x7f || char == '\u2028' || char == '\u2029' || char == '\ufeff':
			escape = `\u` + strconv.FormatInt(int64(char)+0x10000, 16)[1:]
		}
		if escape != "" {
			w.out = append(append(w.out, s[from:i]...), escape...)
			from = i + size
		}
		i += size
	}
	w.out = append(append(w.out, s[from:]...), '"')
	w.bound()
}

// key writes the name of a member, in quotes where it needs them.
func (w *writer) key(name string) {
	if isName(name) {
		w.text(name)
		return
	}
	w.quote(name)
}

func isName(s string) bool {
	for i := range len(s) {
		letter := s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z' || s[i] == '_' || s[i] == '$'
		if digit := s[i] >= '0' && s[i] <= '9'; !letter && (i == 0 || !digit) {
			return false
		}
	}
	return s != "" && s != "__proto__"
}

// json writes a value on one line.
func (w *writer) json(n *spec.Node) {
	switch n.Kind {
	case spec.String:
		w.quote(n.Text)
	case spec.Array:
		w.text("[")
		for i := range n.Children {
			w.comma(i)
			w.json(&n.Children[i])
		}
		w.text("]")
	case spec.Object:
		w.text("{")
		for i := range n.Children {
			w.comma(i)
			if n.Children[i].Key == "__proto__" {
				w.text(`["__proto__"]`)
			} else {
				w.quote(n.Children[i].Key)
			}
			w.text(": ")
			w.json(&n.Children[i])
		}
		w.text("}")
	default:
		w.text(n.Text)
	}
}

func (w *writer) comma(i int) {
	if i > 0 {
		w.text(", ")
	}
}

// comment writes text of the document as a comment that it can't end.
func (w *writer) comment(text string) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "*/", "*\u200b/"))
	if text == "" {
		return
	}
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' })
	if len(lines) == 1 {
		w.text("/** ", lines[0], " */")
		w.line()
		return
	}
	w.text("/**")
	for _, line := range lines {
		w.line()
		w.text(" * ", strings.TrimRight(line, " \t"))
	}
	w.line()
	w.text(" */")
	w.line()
}
