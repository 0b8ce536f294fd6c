package spec

import (
	"slices"
	"strings"
)

var separator = lazily(`^\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$`)

// column says what a column of a Markdown table holds.
type column uint8

const (
	otherColumn column = iota
	nameColumn
	typeColumn
	requiredColumn
	nullableColumn
	defaultColumn
	wordsColumn // constraints, notes, descriptions
	refColumn
	keyColumn
)

var headers = map[string]column{ //nolint:gochecknoglobals // a constant table
	"field": nameColumn, "column": nameColumn, "attribute": nameColumn, "name": nameColumn, "property": nameColumn, "field name": nameColumn, "column name": nameColumn,
	"type": typeColumn, "data type": typeColumn, "datatype": typeColumn, "sql type": typeColumn, "column type": typeColumn,
	"required": requiredColumn, "mandatory": requiredColumn, "required?": requiredColumn, "not null": requiredColumn,
	"nullable": nullableColumn, "null": nullableColumn, "optional": nullableColumn, "nullable?": nullableColumn, "null?": nullableColumn,
	"default": defaultColumn, "default value": defaultColumn, "initial": defaultColumn,
	"constraints": wordsColumn, "constraint": wordsColumn, "notes": wordsColumn, "note": wordsColumn, "description": wordsColumn, "validation": wordsColumn,
	"rules": wordsColumn, "details": wordsColumn, "remarks": wordsColumn, "modifiers": wordsColumn, "comment": wordsColumn, "comments": wordsColumn, "validation rules": wordsColumn,
	"references": refColumn, "reference": refColumn, "fk": refColumn, "foreign key": refColumn,
	"key": keyColumn, "keys": keyColumn, "pk": keyColumn,
	"字段名": nameColumn, "字段": nameColumn, "列名": nameColumn, "名称": nameColumn, "类型": typeColumn, "数据类型": typeColumn, "必填": requiredColumn, "约束": wordsColumn, "说明": wordsColumn, "描述": wordsColumn, "备注": wordsColumn, "默认值": defaultColumn,
	"フィールド": nameColumn, "フィールド名": nameColumn, "カラム": nameColumn, "属性": nameColumn, "型": typeColumn, "必須": requiredColumn, "制約": wordsColumn, "説明": wordsColumn, "備考": wordsColumn,
	"필드": nameColumn, "필드명": nameColumn, "컬럼": nameColumn, "속성": nameColumn, "타입": typeColumn, "유형": typeColumn, "자료형": typeColumn, "필수": requiredColumn, "제약": wordsColumn, "제약조건": wordsColumn, "설명": wordsColumn,
	"campo": nameColumn, "tipo": typeColumn, "feld": nameColumn, "typ": typeColumn, "champ": nameColumn, "обязательно": requiredColumn, "поле": nameColumn, "тип": typeColumn, "описание": wordsColumn,
}

var ofEntities = lazily(`^(?i)(entity|table|model|entities|tables|models)(?: name)?$`)

// table reads a Markdown table of fields. The line of dashes may be missing.
func (r *modelReader) table(lines []line, e *Entity) {
	head := cells(lines[0].text)
	columns := make([]column, len(head))
	for i, title := range head {
		columns[i] = headers[strings.ToLower(plain(title))]
	}
	if name := slices.Index(columns, nameColumn); name > 0 && slices.ContainsFunc(head[:name], func(s string) bool { return ofEntities.MatchString(plain(s)) }) {
		r.note(lines[0].at, "not read: the rows of this table are of several entities")
		return
	}
	rows := slices.DeleteFunc(slices.Clone(lines[1:]), func(l line) bool { return separator.MatchString(l.text) })
	if !slices.Contains(columns, nameColumn) {
		if slices.ContainsFunc(columns, func(c column) bool { return c != otherColumn }) || !byPosition(rows) {
			return // a table of something else
		}
		r.note(lines[0].at, "the titles of the columns are not known: the first is read as the name, the second as the type, the others as remarks")
		for i := range columns {
			columns[i] = []column{nameColumn, typeColumn, wordsColumn}[min(i, 2)]
		}
	}
	if !slices.Contains(columns, typeColumn) && !slices.Contains(columns, wordsColumn) && !slices.Contains(columns, requiredColumn) {
		return
	}
	e.Notation = Table
	for _, row := range rows {
		r.row(row, columns, e)
	}
}

// byPosition tells whether rows look like fields though their titles are not known: names, and types.
func byPosition(rows []line) bool {
	for _, row := range rows {
		c := cells(row.text)
		if len(c) < 2 || !entityIdent.MatchString(plain(c[0])) {
			return false
		}
		if _, _, ok := parseType(plain(c[1]), false); !ok {
			return false
		}
	}
	return len(rows) > 0
}

// cells splits a row at its bars; \| is no bar, nor is one in code.
func cells(row string) []string {
	row = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(row), "|"), "|")
	var all []string
	from, code := 0, false
	for i := range len(row) {
		switch {
		case row[i] == '`' && (code || strings.Contains(row[i+1:], "`")):
			code = !code
		case row[i] == '|' && !code && (i == 0 || row[i-1] != '\\'):
			all = append(all, row[from:i])
			from = i + 1
		}
	}
	all = append(all, row[from:])
	for i := range all {
		all[i] = strings.TrimSpace(strings.ReplaceAll(all[i], `\|`, "|"))
	}
	return all
}

var fieldName = lazily("^[`*]*([A-Za-z_][A-Za-z0-9_]*)(\\?)?[`*]*(\\[\\])?$")

// row reads a row. What the bars of a list of values split is put together again, in the last column.
func (r *modelReader) row(l line, columns []column, e *Entity) {
	c := cells(l.text)
	if len(c) > len(columns) {
		last := len(columns) - 1
		c = append(c[:last:last], strings.Join(c[last:], "|"))
	}
	at := func(wanted column) string {
		for i, kind := range columns {
			if kind == wanted && i < len(c) {
				return c[i]
			}
		}
		return ""
	}
	names := at(nameColumn)
	for name := range strings.SplitSeq(strings.ReplaceAll(names, ", ", " / "), " / ") {
		m := fieldName.FindStringSubmatch(strings.TrimSpace(name))
		if m == nil {
			if clean := plain(name); clean != "" {
				r.note(l.at, "%q is no name for a field: the row is not read", shorten(clean))
			}
			continue
		}
		f := Field{Place: r.place(l.at), Name: m[1]}
		if m[2] != "" {
			f.Optional = Yes
		}
		r.rowType(&f, plain(at(typeColumn)), l)
		saidInCell(&f, at(requiredColumn), No)
		saidInCell(&f, at(nullableColumn), Yes)
		if value := plain(at(defaultColumn)); value != "" && value != "-" && value != "—" && !strings.EqualFold(value, "none") && !strings.EqualFold(value, "n/a") {
			qualify(&f, "default "+value)
		}
		if ref := plain(at(refColumn)); ref != "" && ref != "-" && ref != "—" {
			qualify(&f, "references "+refersTo.ReplaceAllString(strings.TrimLeft(ref, "→-> "), ""))
		}
		qualify(&f, plain(at(keyColumn)))
		for i, kind := range columns {
			if kind == wordsColumn && i < len(c) {
				qualify(&f, keepPatterns(c[i]))
				if f.Doc == "" {
					f.Doc = plain(c[i])
				}
			}
		}
		if f.Type.Name == "" && len(f.Values) == 0 && f.Ref == nil && at(typeColumn) == "" && f.Optional == Unsaid {
			r.note(l.at, "the row says no type of %s; it is read as text", f.Name)
		}
		e.Fields = append(e.Fields, f)
	}
}

// keepPatterns takes emphasis out of a cell, and code marks but for those around regular expressions.
func keepPatterns(s string) string {
	if strings.Contains(s, "`^") {
		return strings.ReplaceAll(s, "**", "")
	}
	return plain(s)
}

// saidInCell reads yes and no; what it means is yes' meaning.
func saidInCell(f *Field, cell string, meaning Said) {
	switch strings.ToLower(plain(cell)) {
	case "yes", "y", "true", "✓", "✅", "x", "required", "是", "必填", "はい", "예", "sí", "oui", "ja", "да", "not null":
		f.say(meaning)
	case "no", "n", "false", "✗", "❌", "optional", "否", "いいえ", "아니오", "non", "nein", "нет", "-", "":
		if cell != "" {
			f.say(Yes + No - meaning)
		}
	case "null", "nullable":
		f.say(Yes)
	}
}

var refersFirst = lazily(`^(?i)(fk|foreign key|ref|references|→|->)`)

var refersTo = lazily(`^(?i)(?:(?:→|->|fk\b|foreign key\b|references\b)\s*)+`)

// rowType reads the cell of the type and what else stands in it: "uuid nullable", "enum: a|b".
func (r *modelReader) rowType(f *Field, text string, l line) {
	if text == "" {
		return
	}
	text, orNull := withoutNull(text, isType)
	if orNull {
		f.say(Yes)
	}
	if values := splitUnion(text); values != nil {
		f.Type, f.Values, f.OrNull = Type{Name: "enum"}, values, orNull && !allQuoted.MatchString(text)
		return
	}
	if shape, rest, ok := parseShape(text); ok && rest == "" && alternatives.MatchString(text) { // string | number
		f.Type = Type{Name: "jsonb", Shape: shape}
		return
	}
	if qualify(f, text); f.Ref != nil && refersFirst.MatchString(text) {
		return // FK → User
	}
	if shape, rest, ok := parseShape(text); ok && rest == "" && strings.ContainsAny(text, "<{") {
		f.Type = Type{Name: "jsonb", Shape: shape}
		return
	}
	t, rest, ok := parseType(strings.TrimSuffix(text, "?"), false)
	if !ok {
		r.unknownType(f, text, l)
		return
	}
	if strings.HasSuffix(text, "?") {
		f.say(Yes)
	}
	f.Type = t
	if t.Name == "enum" {
		rest = "enum: " + strings.Trim(strings.TrimLeft(rest, ":<(["), ">)]")
	}
	qualify(f, rest)
}

// splitUnion reads 'a' | 'b' and a|b.
func splitUnion(text string) []string {
	if !strings.Contains(text, "|") || !alternatives.MatchString(strings.TrimSpace(text)) {
		return nil
	}
	values := splitValues(text)
	for _, v := range values {
		if _, _, ok := parseType(v, false); ok || v == "null" {
			return nil
		}
	}
	return values
}

// unknownType keeps a type that is the name of something: of an enum or an entity, perhaps.
func (r *modelReader) unknownType(f *Field, text string, l line) {
	name := strings.TrimSuffix(strings.TrimSuffix(text, "?"), "[]")
	if strings.HasSuffix(text, "?") {
		f.say(Yes)
	}
	if first, rest, found := strings.Cut(name, " "); found {
		name = first
		qualify(f, rest)
	}
	if !entityIdent.MatchString(name) {
		r.note(l.at, "%q is no type that is known; %s is read as text", shorten(text), f.Name)
		return
	}
	f.Type = Type{Enum: name, Array: strings.HasSuffix(text, "[]")}
}
