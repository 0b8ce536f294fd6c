package spec

import (
	"strings"
)

// shapeOf writes the members of a JSON object as a TypeScript type.
func shapeOf(members []Field) string {
	var b strings.Builder
	b.WriteString("{ ")
	for i, m := range members {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(m.Name)
		if m.Optional == Yes {
			b.WriteString("?")
		}
		b.WriteString(": " + shape(m))
	}
	b.WriteString(" }")
	return b.String()
}

func shape(m Field) string {
	base := ""
	switch {
	case m.Type.Shape != "":
		return m.Type.Shape
	case len(m.Values) > 0:
		base = `"` + strings.Join(m.Values, `" | "`) + `"`
		if m.Type.Array {
			base = "(" + base + ")"
		}
	default:
		base = scalarShape(m.Type.Name)
	}
	if m.Type.Array {
		base += "[]"
	}
	return base
}

func scalarShape(name string) string {
	switch name {
	case "integer", "bigint", "smallint", "double precision", "real", "numeric":
		return "number"
	case "boolean":
		return "boolean"
	case "jsonb", "json":
		return "Record<string, unknown>"
	case "":
		return "unknown"
	}
	return "string"
}

var (
	shapeWord   = lazily(`^[A-Za-z_][A-Za-z0-9_]*`)
	shapeString = lazily(`^(?:"[A-Za-z0-9 _.:/-]*"|'[A-Za-z0-9 _.:/-]*')`)
	shapeNumber = lazily(`^-?\d+(?:\.\d+)?`)
)

const maxShapeDepth = 20

// parseShape reads a type of TypeScript, as people write it in prose too, and writes it anew: only what
// it knows gets through. It gives what follows.
func parseShape(text string) (shape, rest string, ok bool) {
	p := &shapeParser{text: text}
	shape, ok = p.union(0)
	p.skip()
	return shape, p.text, ok
}

type shapeParser struct{ text string }

// skip drops blanks, and remarks in parentheses.
func (p *shapeParser) skip() {
	for {
		p.text = strings.TrimLeft(p.text, " \t\r\n")
		switch {
		case strings.HasPrefix(p.text, "//"):
			_, p.text, _ = strings.Cut(p.text, "\n")
		case strings.HasPrefix(p.text, "/*"):
			_, p.text, _ = strings.Cut(p.text, "*/")
		case strings.HasPrefix(p.text, "("):
			_, p.text = closing(p.text[1:])
		default:
			return
		}
	}
}

func (p *shapeParser) take(s string) bool {
	p.skip()
	var ok bool
	p.text, ok = strings.CutPrefix(p.text, s)
	return ok
}

func (p *shapeParser) union(depth int) (string, bool) {
	if depth > maxShapeDepth {
		return "", false
	}
	var all []string
	p.text = strings.TrimPrefix(strings.TrimLeft(p.text, " \t\r\n"), "|")
	for {
		one, ok := p.postfix(depth + 1)
		if !ok {
			return "", false
		}
		all = append(all, one)
		if !p.take("|") {
			return strings.Join(all, " | "), true
		}
	}
}

func (p *shapeParser) postfix(depth int) (string, bool) {
	p.text = strings.TrimLeft(p.text, " \t\r\n")
	if strings.HasPrefix(p.text, "(") { // ("a" | "b")[]
		inner, after := closing(p.text[1:])
		sub := &shapeParser{text: inner}
		shape, ok := sub.union(depth)
		if sub.skip(); !ok || sub.text != "" {
			return "", false
		}
		p.text = after
		return p.arrays("(" + shape + ")"), true
	}
	base, ok := p.base(depth)
	if !ok {
		return "", false
	}
	return p.arrays(base), true
}

func (p *shapeParser) arrays(base string) string {
	for {
		after, found := strings.CutPrefix(p.text, "[]")
		if !found {
			return base
		}
		p.text, base = after, base+"[]"
	}
}

var shapeNames = map[string]string{ //nolint:gochecknoglobals // a constant table
	"string": "string", "text": "string", "uuid": "string", "datetime": "string", "date": "string", "timestamp": "string", "Date": "string", "url": "string",
	"number": "number", "integer": "number", "int": "number", "float": "number", "decimal": "number", "boolean": "boolean", "bool": "boolean",
	"null": "null", "undefined": "undefined", "unknown": "unknown", "any": "unknown", "true": "true", "false": "false", "object": "Record<string, unknown>",
}

func (p *shapeParser) base(depth int) (string, bool) {
	p.skip()
	switch {
	case p.text == "":
		return "", false
	case p.text[0] == '{':
		return p.object(depth)
	case p.text[0] == '[': // [{…}]: a list of such
		p.text = p.text[1:]
		if p.take("]") {
			return "unknown[]", true
		}
		inner, ok := p.union(depth)
		if !ok || !p.take("]") {
			return "", false
		}
		return "Array<" + inner + ">", true
	}
	if m := shapeString.FindString(p.text); m != "" {
		p.text = p.text[len(m):]
		return `"` + m[1:len(m)-1] + `"`, true
	}
	if m := shapeNumber.FindString(p.text); m != "" {
		p.text = p.text[len(m):]
		return m, true
	}
	word := shapeWord.FindString(p.text)
	p.text = p.text[len(word):]
	if word == "Array" || word == "Record" {
		return p.generic(word, depth)
	}
	known, ok := shapeNames[word]
	return known, ok
}

func (p *shapeParser) generic(word string, depth int) (string, bool) {
	if !p.take("<") {
		return "", false
	}
	first, ok := p.union(depth)
	if !ok {
		return "", false
	}
	if word == "Record" {
		if !p.take(",") {
			return "", false
		}
		second, fine := p.union(depth)
		first, ok = first+", "+second, fine
	}
	return word + "<" + first + ">", ok && p.take(">")
}

func (p *shapeParser) object(depth int) (string, bool) {
	p.text = p.text[1:]
	var members []string
	for {
		if p.take("}") {
			if len(members) == 0 {
				return "Record<string, unknown>", true
			}
			return "{ " + strings.Join(members, "; ") + " }", true
		}
		p.skip()
		name := shapeWord.FindString(p.text)
		if name == "" {
			return "", false
		}
		p.text = p.text[len(name):]
		if p.take("?") {
			name += "?"
		}
		value := "unknown"
		if p.take(":") {
			var ok bool
			if value, ok = p.union(depth + 1); !ok {
				return "", false
			}
		}
		members = append(members, name+": "+value)
		if !p.take(",") {
			p.take(";")
		}
	}
}
