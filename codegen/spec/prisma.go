package spec

import (
	"strings"
)

var (
	prismaField   = lazily(`^([A-Za-z_]\w*)\s+([A-Za-z_]\w*)(\[\])?(\?)?\s*(.*)$`)
	prismaDefault = lazily(`@default\(((?:[^()]|\([^()]*\))*)\)`)
	prismaMap     = lazily(`@map\(\s*"([^"]*)"\s*\)`)
	prismaNative  = lazily(`@db\.(\w+)(?:\((\d+)(?:,\s*(\d+))?\))?`)
	relationOf    = lazily(`@relation\(((?:[^()]|\([^()]*\))*)\)`)
	listOf        = lazily(`(fields|references):\s*\[([^\]]*)\]`)
	actionOf      = lazily(`(onDelete|onUpdate):\s*(\w+)`)
	blockIndex    = lazily(`^@@(id|unique|index)\(\s*(?:[^\[\]]*\bfields:\s*)?\[((?:[^\[\]])*)\]`)
	prismaTypes   = map[string]string{ //nolint:gochecknoglobals // a constant table
		"String": "text", "Int": "integer", "BigInt": "bigint", "Float": "double precision", "Decimal": "numeric", "Boolean": "boolean", "DateTime": "timestamptz", "Json": "jsonb", "Bytes": "bytea"}
	camelBreak = lazily(`([a-z0-9])([A-Z])`)
)

// prisma reads models and enums. A field whose type is a model gives its reference to the column that
// @relation names.
func (r *modelReader) prisma(f *fence) {
	heads := prismaModel.FindAllStringSubmatchIndex(f.text, -1)
	for i, m := range heads {
		name, body := f.text[m[4]:m[5]], f.text[m[1]:until(heads, i, f.text)]
		body, _, _ = strings.Cut(body, "\n}")
		at := f.at + m[1]
		if f.text[m[2]:m[3]] == "enum" {
			e := Enum{Place: r.place(f.at + m[4]), Name: name}
			for text := range strings.Lines(body) {
				words := withoutComment(text)
				for word := range strings.FieldsSeq(words) {
					if entityIdent.MatchString(word) {
						e.Values = append(e.Values, word)
					}
				}
				if strings.Contains(words, "@map(") || strings.Contains(words, "@@map(") {
					r.note(at+len(text)-len(strings.TrimLeft(text, " \t")), "not read: the name in the database in %q", shorten(strings.TrimSpace(words)))
				}
				at += len(text)
			}
			r.model.Enums = append(r.model.Enums, e)
			continue
		}
		e := Entity{Place: r.place(f.at + m[4]), Notation: Prisma, Name: name}
		for text := range strings.Lines(body) {
			r.prismaLine(&e, line{strings.TrimSpace(text), at + len(text) - len(strings.TrimLeft(text, " \t"))})
			at += len(text)
		}
		if len(e.Fields) > 0 {
			r.model.Entities = append(r.model.Entities, e)
		}
	}
}

func (r *modelReader) prismaLine(e *Entity, l line) {
	text := withoutComment(l.text)
	if m := blockIndex.FindStringSubmatch(text); m != nil {
		index := Index{Place: r.place(l.at), Unique: m[1] == "unique", Primary: m[1] == "id"}
		for part := range strings.SplitSeq(m[2], ",") {
			name, options, _ := strings.Cut(strings.TrimSpace(part), "(")
			index.Columns = append(index.Columns, IndexColumn{Name: name, Descending: strings.Contains(options, "Desc")})
		}
		e.Indexes = append(e.Indexes, index)
		return
	}
	if m := prismaMap.FindStringSubmatch(text); m != nil && strings.HasPrefix(text, "@@map") {
		e.Table = m[1]
		return
	}
	m := prismaField.FindStringSubmatch(text)
	if m == nil {
		if strings.TrimSpace(text) != "" {
			r.note(l.at, "not read: %q", shorten(text))
		}
		return
	}
	attributes := m[5]
	if relation := relationOf.FindStringSubmatch(attributes); relation != nil {
		r.prismaRelation(e, m[2], relation[1], l)
		return
	}
	f := Field{Place: r.place(l.at), Name: m[1], Optional: No, Primary: hasAttribute(attributes, "@id"), Unique: hasAttribute(attributes, "@unique"), OnUpdate: hasAttribute(attributes, "@updatedAt")}
	if m[4] != "" {
		f.Optional = Yes
	}
	f.Type = Type{Name: prismaTypes[m[2]], Array: m[3] != ""}
	if f.Type.Name == "" {
		f.Type.Enum = m[2]
	}
	if f.Type.Name == "jsonb" {
		f.Type.Array = false
	}
	if native := prismaNative.FindStringSubmatch(attributes); native != nil {
		words := strings.ToLower(camelBreak.ReplaceAllString(native[1], "$1 $2"))
		if native[2] != "" && !strings.Contains(words, "time") {
			words += "(" + strings.Trim(native[2]+","+native[3], ",") + ")"
		}
		if t, rest, ok := parseType(strings.ReplaceAll(words, "var char", "varchar"), true); ok && rest == "" {
			t.Array = f.Type.Array
			f.Type = t
		}
	}
	if column := prismaMap.FindStringSubmatch(attributes); column != nil {
		f.Column = column[1]
	}
	if value := prismaDefault.FindStringSubmatch(attributes); value != nil {
		defaultValue(&f, []string{"", value[1]})
	}
	e.Fields = append(e.Fields, f)
}

// withoutComment is what stands before a comment. Two slashes within a text begin none.
func withoutComment(line string) string {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case quoted && line[i] == '\\':
			i++
		case !quoted && strings.HasPrefix(line[i:], "//"):
			return line[:i]
		}
	}
	return line
}

func hasAttribute(attributes, name string) bool {
	for word := range strings.FieldsSeq(attributes) {
		if word == name || strings.HasPrefix(word, name+"(") {
			return true
		}
	}
	return false
}

func (r *modelReader) prismaRelation(e *Entity, target, arguments string, l line) {
	names := map[string]string{}
	for _, m := range listOf.FindAllStringSubmatch(arguments, -1) {
		names[m[1]] = strings.TrimSpace(m[2])
	}
	switch {
	case names["fields"] == "":
		return
	case strings.Contains(names["fields"], ","):
		r.note(l.at, "a foreign key over several columns is not generated")
		return
	}
	ref := &Reference{Entity: target, Field: names["references"]}
	for _, m := range actionOf.FindAllStringSubmatch(arguments, -1) {
		action := strings.ToLower(camelBreak.ReplaceAllString(m[2], "$1 $2"))
		if m[1] == "onDelete" {
			ref.OnDelete = action
		} else {
			ref.OnUpdate = action
		}
	}
	for i := range e.Fields {
		if e.Fields[i].Name == names["fields"] {
			e.Fields[i].Ref = ref
			return
		}
	}
	e.Fields = append(e.Fields, Field{Place: e.Place, Name: names["fields"], Ref: ref, Optional: Unsaid})
}
