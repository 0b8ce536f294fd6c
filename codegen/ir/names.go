package ir

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// reserved are names that generated TypeScript can't declare, or that it uses itself.
var reserved = strings.Fields( //nolint:gochecknoglobals // a constant table
	`abstract any arguments as async await boolean break case catch class const continue debugger declare default delete do else enum
	eval export extends false finally for from function get if implements import in infer instanceof interface is keyof let module
	namespace never new null number object of package private protected public readonly require return set static string super
	switch symbol this throw true try type typeof undefined unique unknown using var void while with yield z
	Array Object Set String Number JSON RegExp NaN Infinity globalThis equal matching containing when EvaluatedMembers describes evaluated`)

// name gives every component an identifier of its own: its name where that is one, otherwise the
// name in Pascal case. Schemas of components.schemas choose first.
func (b *builder) name() {
	var taken names
	type ranked struct {
		*Component
		rank string
	}
	byName := make([]ranked, len(b.found))
	for i, c := range b.found {
		byName[i] = ranked{c, rank(c)}
	}
	slices.SortStableFunc(byName, func(x, y ranked) int { return strings.Compare(x.rank, y.rank) })
	for _, c := range byName {
		if b.pause() {
			return
		}
		c.Ident = taken.take(Ident(c.Name))
	}
}

// names are those that were given, each with the number to try next where it is asked for again: very many may ask
// for the same.
type names map[string]int

// take gives a name that no other has: the one that is asked for, or that with a number behind it.
func (t *names) take(name string) string {
	if *t == nil {
		*t = names{}
	}
	free := name
	for n := max((*t)[name], 2); (*t)[free] > 0; n++ {
		free = name + strconv.Itoa(n)
		(*t)[name] = n + 1
	}
	(*t)[free] = 2
	return free
}

// rank orders components for the choice of names: those that carry their very name come first.
func rank(c *Component) string {
	class := "1"
	switch {
	case c.Operation:
		class = "3"
	case !strings.HasPrefix(c.pointer, "#/components/schemas/"):
		class = "2"
	case Ident(c.Name) == c.Name:
		class = "0"
	}
	return class + c.Name + "\x00" + c.pointer
}

// Ident makes an identifier of TypeScript out of a name.
func Ident(name string) string {
	if !isIdent(name) {
		name = Pascal(name)
	}
	if slices.Contains(reserved, name) {
		name += "_"
	}
	return name
}

func isIdent(s string) bool {
	for i, r := range s {
		letter := r == '_' || r == '$' || r < 0x80 && unicode.IsLetter(r)
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// Pascal joins the words of a name, each with a capital letter: code-scanning-alert is CodeScanningAlert.
func Pascal(name string) string {
	var b strings.Builder
	up := true
	for _, r := range name {
		if r >= 0x80 || !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			up = true
			continue
		}
		if b.Len() == 0 && unicode.IsDigit(r) {
			b.WriteByte('_')
		}
		if up {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
		up = false
	}
	if b.Len() == 0 {
		return "Schema"
	}
	return b.String()
}
