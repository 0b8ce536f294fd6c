package spec

import (
	"regexp"
	"slices"
	"strings"
)

var (
	fieldItem  = lazily("^[*_`]*([A-Za-z_][A-Za-z0-9_]*)(\\[\\])?(\\?)?[*_`]*\\s*([(（:])[*_`]*\\s*(.*)$")
	indexItem  = lazily(`^(?i)(?:index|indexes|indices)\s*[:：]\s*(.+)$`)
	uniqueItem = lazily(`^(?i)(unique|primary key|index|pk)\s*(?:constraint|index)?\s*(?:on|:)?\s*\(`)
	nullBehind = lazily(`^\s*\|\s*(?i:null|none|nil|undefined)\b`)
	computed   = lazily(`(?i)(?:^|[-–—(]\s*)(?:computed|derived|calculated) (?:property|attribute|getter)\b`)
	notStored  = lazily(`(?i)\b(computed|derived|virtual|not stored|not persisted)\b`)
)

// list reads a list of an entity's section, by the label before it.
func (r *modelReader) list(items []item, e *Entity, l label) {
	switch l {
	case indexesLabel:
		for _, i := range items {
			r.indexes(i.line, e)
		}
	case constraintsLabel:
		for _, i := range items {
			r.constraint(i.line, e)
		}
	case relationsLabel:
		for _, i := range items {
			r.relation(i.line)
		}
	case otherLabel:
	default:
		if l == fieldsLabel || r.looksLikeFields(items) {
			r.fields(items, e)
		}
	}
}

// looksLikeFields wants names with known types in half of the items.
func (r *modelReader) looksLikeFields(items []item) bool {
	notes := len(r.model.Notes)
	fields := 0
	for _, i := range items {
		if f, ok := r.field(i); ok && (f.Type.Name != "" || f.Ref != nil || len(f.Values) > 0) {
			fields++
		}
	}
	r.model.Notes = r.model.Notes[:notes]
	return fields*2 >= len(items) && fields > 0
}

func (r *modelReader) fields(items []item, e *Entity) {
	for _, i := range items {
		text := plain(i.text)
		switch {
		case indexItem.MatchString(text):
			for name := range strings.SplitSeq(indexItem.FindStringSubmatch(text)[1], ",") {
				r.indexes(line{strings.TrimSpace(name), i.at}, e)
			}
			continue
		case uniqueItem.MatchString(text):
			r.constraint(i.line, e)
			continue
		}
		f, ok := r.field(i)
		if !ok {
			r.note(i.at, "not read as a field: %q", shorten(plain(i.text)))
			continue
		}
		if notStored.MatchString(i.text) && f.Type.Name == "" || computed.MatchString(i.text) {
			r.note(i.at, "%s is not stored, as it says: it gets no column", f.Name)
			continue
		}
		e.Notation = Bullets
		e.Fields = append(e.Fields, f)
	}
}

// field reads "name (type, …) …" and "name: type (…) …".
func (r *modelReader) field(i item) (Field, bool) {
	m := fieldItem.FindStringSubmatch(i.text)
	if m == nil {
		return Field{}, false
	}
	f := Field{Place: r.place(i.at), Name: m[1]}
	if m[3] != "" {
		f.Optional = Yes
	}
	rest := keepPatterns(m[5])
	if m[4] != ":" {
		inner, after := closing(rest)
		r.fieldType(&f, inner, i.line)
		if strings.HasPrefix(after, ":") { // `email` (string, unique): what it is for
			f.Doc = strings.TrimSpace(after[1:])
		}
		qualify(&f, beforeDash(after))
	} else {
		r.fieldType(&f, beforeDash(rest), i.line)
	}
	if m[2] != "" {
		f.Type.Array = true
	}
	r.members(&f, i)
	return f, true
}

// closing splits at the parenthesis that closes one which is open.
func closing(s string) (inner, after string) {
	depth := 1
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[:i], strings.TrimSpace(s[i+1:])
			}
		}
	}
	return strings.TrimSuffix(s, "）"), ""
}

// beforeDash drops the prose behind a dash.
func beforeDash(s string) string {
	for _, dash := range []string{" – ", " — ", " - "} {
		s, _, _ = strings.Cut(s, dash)
	}
	return s
}

var oneName = lazily(`^([A-Z][A-Za-z0-9]*)(\[\])?(\?)?(?:$|[\s,(])`)

// fieldType reads a type and what stands behind it: "string, 3..64", "enum: a|b", "uuid (fk → User)".
func (r *modelReader) fieldType(f *Field, text string, l line) {
	text = strings.TrimSpace(text)
	without, orNull := withoutNull(text, isType)
	if orNull = orNull && alternatives.MatchString(text); orNull {
		f.Optional, text = Yes, without
	}
	if values, rest := union(text); values != nil {
		f.Type, f.Values, f.OrNull = Type{Name: "enum"}, values, orNull && !allQuoted.MatchString(text)
		qualify(f, rest)
		return
	}
	t, rest, ok := parseType(text, false)
	if !ok {
		head, tail, _ := strings.Cut(text, ",")
		if t, _, ok = parseType(strings.TrimSpace(head), false); ok {
			rest = tail
		}
	}
	if !ok {
		if m := oneName.FindStringSubmatch(text); m != nil {
			f.Type = Type{Enum: m[1], Array: m[2] != ""}
			if m[3] != "" {
				f.Optional = Yes
			}
			qualify(f, text[len(m[1])+len(m[2])+len(m[3]):])
			return
		}
		qualify(f, text)
		return
	}
	f.Type = t
	if after, found := strings.CutPrefix(rest, "?"); found {
		f.Optional, rest = Yes, after
	}
	if m := nullBehind.FindString(rest); m != "" {
		f.Optional, rest = Yes, rest[len(m):]
	}
	if isSerial(strings.TrimSpace(text)) {
		f.Identity = true
	}
	if t.Name == "enum" {
		values, after := rest, ""
		if inner, found := strings.CutPrefix(strings.TrimSpace(rest), "("); found {
			values, after = closing(inner)
		}
		values = strings.TrimLeft(values, ": ")
		if i := strings.IndexAny(values, " "); i > 0 && strings.Contains(values[:i], "|") { // enum a|b default a
			values, after = values[:i], values[i:]+after
		}
		f.Values = splitValues(values)
		if f.Values == nil {
			after = rest
		}
		rest = after
	}
	if t.Name == "numeric" || t.Name == "text" || t.Name == "varchar" || t.Name == "char" {
		if inner, found := strings.CutPrefix(rest, "("); found { // string(3..64)
			inside, after := closing(inner)
			rest = inside + ", " + after
		}
	}
	qualify(f, rest)
}

var unionHead = lazily("^((?:[`'\"][A-Za-z0-9_-]+[`'\"]|[A-Za-z0-9_-]+)(?:\\s*\\|\\s*(?:[`'\"][A-Za-z0-9_-]+[`'\"]|[A-Za-z0-9_-]+))+)(.*)$")

// union reads 'a' | 'b' at the beginning of a text.
func union(text string) (values []string, rest string) {
	m := unionHead.FindStringSubmatch(text)
	if m == nil {
		return nil, ""
	}
	return splitUnion(m[1]), m[2]
}

// members reads the list below a JSON field as the members of an object.
func (r *modelReader) members(f *Field, i item) {
	if len(i.items) == 0 {
		return
	}
	if f.Type.Name != "jsonb" && f.Type.Name != "json" {
		return // remarks
	}
	array := f.Type.Shape == "unknown[]" || strings.Contains(i.text, "array")
	for _, child := range i.items {
		if shape, rest, ok := parseShape(child.text); ok && rest == "" && len(i.items) == 1 && strings.HasPrefix(child.text, "[") {
			f.Type.Shape, f.Members = shape, nil
			return
		}
		m, ok := r.field(child)
		if !ok || m.Type.Name == "" && len(m.Values) == 0 {
			r.note(child.at, "not read as a member of %s: %q", f.Name, shorten(child.text))
			continue
		}
		f.Members = append(f.Members, m)
	}
	if len(f.Members) > 0 {
		f.Type.Shape = shapeOf(f.Members)
		if array {
			f.Type.Shape = "Array<" + f.Type.Shape + ">"
		}
	}
}

var (
	indexColumns = lazily(`\(([^()]*(?:\([^()]*\)[^()]*)*)\)`)
	whereClause  = lazily(`(?i)\bwhere\s+(.+?)\s*\)?$`)
	uniqueWord   = lazily(`(?i)\bunique\b`)
	bareIndex    = lazily(`^([A-Za-z_][A-Za-z0-9_]*)\s*(?i:(asc|desc))?$`)
	// "idx_owner: owner_id", "idx_owner on owner_id, created_at DESC (UNIQUE)", "uq_owner: UNIQUE (owner_id)"
	namedIndex = lazily(`(?i)^((?:idx|ix|uq|uniq|uk|index)_\w+|[a-z]\w*_(?:idx|index|uniq))\s*(:|\s(?:on|по)\s)\s*(.+)$`)
	bareList   = lazily(`(?i)^([a-z_]\w*)(?: (?:asc|desc)\b)?(?:\s*[,+]\s*[a-z_]\w*(?: (?:asc|desc)\b)?)*`)
	columnList = lazily(`^\(\s*[A-Za-z_]\w*(?: (?i:asc|desc))?(?:\s*,\s*[A-Za-z_]\w*(?: (?i:asc|desc))?)*\s*\)$`)
	indexKind  = lazily(`(?i)^(?:create|unique|index|key|constraint|composite|partial|primary|foreign|btree|hash|gin|gist|spgist|brin|using|on)$`)
	// "UNIQUE", "GIN index on", "on"
	kindBefore  = lazily(`(?i)^(?:(?:(?:unique|index|key|constraint|composite|partial|btree|hash|gin|gist|spgist|brin)[\s:,]+)*on\b\s*|unique\b[\s:,]*)`)
	indexRemark = lazily(`(?i)\(\s*(?:(?:unique|partial|composite|btree|gin|gist|brin|index|asc|desc|pk|fk)[\s,]*)+\)`)
	// "by_owner on", "by_owner on items", "idx_owner", "items_owner_idx"
	indexName = lazily(`(?i)^(?:unique\s+)?(?:index\s+)?(?:([a-z_]\w*)\s+on(?:\s+[a-z_]\w*)?|((?:idx|ix|uq|uniq)_\w+|[a-z]\w*_(?:idx|index|uniq))\s*:?)$`)
)

// indexes reads a line such as "(projectId, createdAt DESC) UNIQUE (where x IS NOT NULL)".
func (r *modelReader) indexes(l line, e *Entity) {
	if index, ok := r.index(l, e); ok {
		e.Indexes = append(e.Indexes, index)
		return
	}
	r.note(l.at, "no index is made of %q: it names no columns", shorten(plain(l.text)))
}

// index reads the columns in the first parentheses, with the name before them, or a single column.
func (r *modelReader) index(l line, e *Entity) (Index, bool) {
	text := plain(l.text)
	index := Index{Place: r.place(l.at), Unique: uniqueWord.MatchString(text)}
	text = beforeDash(bracketed(text))
	inside, rest := "", ""
	if name, columns, behind := named(text, e); columns != "" {
		index.Name, inside, rest = name, columns, behind
	} else if m := indexColumns.FindStringSubmatchIndex(text); m != nil {
		inside, rest = text[m[2]:m[3]], text[m[1]:]
		head := strings.TrimSpace(text[:m[0]])
		if named := indexName.FindStringSubmatch(head); named != nil && Key(named[1]+named[2]) != Key(e.Name) && !indexWord(named[1]+named[2]) {
			index.Name = named[1] + named[2]
		} else if bareIndex.MatchString(head) && Key(head) != Key(e.Name) && !uniqueWord.MatchString(head) && !indexWord(head) {
			inside, rest = head, text // "email (unique)"
		}
	} else {
		inside, rest, _ = strings.Cut(text, " for ")
		inside = strings.TrimSpace(regexp.MustCompile(`(?i)\b(partial|unique|index|composite|on|btree|constraint)\b\s*:?`).ReplaceAllString(inside, ""))
		if before, where, found := cutFold(" "+inside, " where "); found {
			inside, rest = strings.TrimSpace(before), "where "+where
		}
		inside = strings.ReplaceAll(inside, " + ", ", ")
	}
	if inside == "" {
		return Index{}, false
	}
	for part := range strings.SplitSeq(inside, ",") {
		part = strings.TrimSpace(part)
		m := bareIndex.FindStringSubmatch(part)
		if m == nil {
			return Index{}, false
		}
		index.Columns = append(index.Columns, IndexColumn{Name: m[1], Descending: strings.EqualFold(m[2], "desc")})
	}
	if m := whereClause.FindStringSubmatch(rest); m != nil {
		index.Where = m[1]
	}
	return index, true
}

// named reads "idx_owner: owner_id + created_at DESC (UNIQUE)" and "idx_owner: UNIQUE (owner_id)". What stands before columns in
// parentheses may be a kind of index or the table; a column with a remark in parentheses looks the same.
func named(text string, e *Entity) (name, columns, rest string) {
	m := namedIndex.FindStringSubmatch(strings.ReplaceAll(strings.ReplaceAll(text, "B-tree", "btree"), "b-tree", "btree"))
	if m == nil {
		return "", "", ""
	}
	text = kindBefore.ReplaceAllString(m[3], "")
	list, first := "", ""
	if found := bareList.FindStringSubmatch(text); found != nil {
		list, first = found[0], found[1]
	}
	about := indexKind.MatchString(first) || Key(first) == Key(e.Name) || e.Table != "" && Key(first) == Key(e.Table)
	if at := indexColumns.FindStringSubmatchIndex(text); at != nil && columnList.MatchString(text[at[0]:at[1]]) && !indexRemark.MatchString(text[at[0]:at[1]]) {
		inside := text[at[2]:at[3]]
		beside := list == first && strings.TrimSpace(text[len(list):at[0]]) == ""
		outside, within := e.has(first), e.has(strings.Split(inside, ",")...)
		if about || beside && m[2] != ":" {
			within = within || !outside
		} else {
			within = beside && !outside && (first == "" || within || at[0] == len(list)) // lower(owner)
		}
		if within {
			return m[1], inside, text[at[1]:]
		}
	}
	if list == "" || about && !e.has(first) {
		return "", "", ""
	}
	return m[1], strings.ReplaceAll(list, "+", ","), indexRemark.ReplaceAllString(text[len(list):], "")
}

// has tells whether all are fields. "made DESC" is made.
func (e *Entity) has(columns ...string) bool {
	return !slices.ContainsFunc(columns, func(column string) bool {
		name, _, _ := strings.Cut(strings.TrimSpace(column), " ")
		return !slices.ContainsFunc(e.Fields, func(f Field) bool { return Key(f.Name) == Key(name) })
	})
}

// bracketed takes columns in brackets for those in parentheses: "[user_id, name] (unique)".
func bracketed(text string) string {
	if open := strings.IndexAny(text, "[("); open < 0 || text[open] != '[' {
		return text
	}
	return strings.Replace(strings.Replace(text, "[", "(", 1), "]", ")", 1)
}

func indexWord(s string) bool {
	switch strings.ToLower(s) {
	case "index", "composite", "btree", "on", "partial", "constraint", "primary", "foreign":
		return true
	}
	return false
}

func cutFold(s, word string) (before, after string, found bool) {
	i := strings.Index(strings.ToLower(s), word)
	if i < 0 || len(strings.ToLower(s)) != len(s) {
		return s, "", false
	}
	return s[:i], s[i+len(word):], true
}

var (
	comparison   = lazily(`^[A-Za-z_][A-Za-z0-9_]*(\s+(?:must|should) be)?\s*(>=|<=|>|<|≥|≤)\s*(-?\d+(?:\.\d+)?|[A-Za-z_][A-Za-z0-9_]*)(?:\s+and\s+(>=|<=|>|<|≥|≤)\s*(-?\d+(?:\.\d+)?|[A-Za-z_][A-Za-z0-9_]*))?\.?$`)
	mustMatch    = lazily("^`?([A-Za-z_][A-Za-z0-9_]*)`?\\s+(?:must\\s+|should\\s+)?match(?:es)?\\s+(?:the )?(?:pattern|regex)?\\s*:?\\s*`(\\^[^`]*\\$)`")
	notEmpty     = lazily(`^([A-Za-z_][A-Za-z0-9_]*) (?:array )?must not be empty`)
	checkCall    = lazily(`^(?i)check\s*\((.*)\)$`)
	primaryWord  = lazily(`(?i)^\(?\s*(composite )?(primary key|pk)\b`)
	uniqueColumn = lazily(`^(?i)([A-Za-z_][A-Za-z0-9_]*) (?:must be |is )?unique\.?$`)
	present      = lazily(`^(?i)now$`)
)

// constraint reads a line of "Constraints": unique and primary keys, comparisons, patterns, checks in
// SQL. Other sentences are noted.
func (r *modelReader) constraint(l line, e *Entity) {
	text := plain(l.text)
	place := r.place(l.at)
	if m := mustMatch.FindStringSubmatch(l.text); m != nil {
		e.Checks = append(e.Checks, Check{Expression: m[1] + " ~ " + Literal(m[2])})
		return
	}
	if m := comparison.FindStringSubmatch(text); m != nil && !present.MatchString(m[3]) {
		name := regexp.MustCompile(`^[A-Za-z0-9_]+`).FindString(text)
		expression := name + " " + sqlOperator(m[2]) + " " + m[3]
		if m[4] != "" {
			expression += " AND " + name + " " + sqlOperator(m[4]) + " " + m[5]
		}
		e.Checks = append(e.Checks, Check{Expression: expression})
		return
	}
	if m := notEmpty.FindStringSubmatch(text); m != nil {
		e.Checks = append(e.Checks, Check{Expression: "cardinality(" + m[1] + ") > 0"})
		return
	}
	if m := checkCall.FindStringSubmatch(text); m != nil {
		e.Checks = append(e.Checks, Check{Expression: m[1]})
		return
	}
	if m := uniqueColumn.FindStringSubmatch(text); m != nil {
		e.Indexes = append(e.Indexes, Index{Place: place, Unique: true, Columns: []IndexColumn{{Name: m[1]}}})
		return
	}
	if uniqueWord.MatchString(text) || primaryWord.MatchString(text) {
		if index, ok := r.index(l, e); ok {
			index.Primary = primaryWord.MatchString(text)
			index.Unique = !index.Primary
			e.Indexes = append(e.Indexes, index)
			return
		}
	}
	r.note(l.at, "nothing is generated of the constraint %q", shorten(text))
}

func sqlOperator(s string) string {
	switch s {
	case "≥":
		return ">="
	case "≤":
		return "<="
	}
	return s
}

var indexOfTable = lazily("^[*`]*([A-Za-z_][A-Za-z0-9_]*)\\s*(\\([^()]+\\))[*`]*\\s*(.*)$")

// "User.email (unique)"
var indexOfField = lazily(`^([A-Za-z_]\w*)\.([A-Za-z_]\w*(?:\s*[,+]\s*[A-Za-z_]\w*)*)\s*((?:\(.*|[-–—:].*)?)$`)

// indexOf reads an index that names its table: `design_tokens(name)` unique index.
func (r *modelReader) indexOf(l line, always bool) {
	m := indexOfTable.FindStringSubmatch(strings.ReplaceAll(l.text, "` (", "(")) // `users` (email)
	if dotted := indexOfField.FindStringSubmatch(plain(l.text)); m == nil && always && dotted != nil {
		m = []string{"", dotted[1], "(" + strings.ReplaceAll(dotted[2], "+", ",") + ")", dotted[3]}
	}
	if m == nil || !always && !uniqueWord.MatchString(m[3]) {
		if always {
			r.note(l.at, "no index is made of %q: it names no table and columns", shorten(plain(l.text)))
		}
		return
	}
	e := Entity{Place: r.place(l.at), Notation: Bullets, Name: m[1], IndexOf: true}
	e.IsTable = strings.ToLower(m[1]) == m[1]
	if strings.Contains(strings.ToLower(m[3]), "partial") && !strings.Contains(strings.ToLower(m[3]), "where") {
		r.note(l.at, "the partial index of %s says no condition in SQL: none is made", m[1])
		return
	}
	r.indexes(line{m[2] + " " + m[3], l.at}, &e)
	r.model.Entities = append(r.model.Entities, e)
}

var relationLine = lazily("^[*`]*([A-Za-z_][A-Za-z0-9_]*)(?:\\.([A-Za-z0-9_]+))?[*`]*\\s*(?:\\(?(1|one|\\*|n|m|many|0\\.\\.1|0\\.\\.\\*|1\\.\\.\\*)\\)?)?\\s*(?:[—–:-]|--+|→|->|<->|↔|to|-to-)+>?\\s*(?:\\(?(1|one|\\*|n|m|many|0\\.\\.1|0\\.\\.\\*|1\\.\\.\\*)\\)?)?\\s*[*`]*([A-Z][A-Za-z0-9_]*)(?:\\.([A-Za-z0-9_]+))?[*`]*(.*)$")

var cardinality = lazily(`^\s*\(?(1|one|\*|n|m|many|0\.\.1|0\.\.\*|1\.\.\*)\b\)?`)

// relation reads "Project 1—* Environment" and "`DesignToken.version` → `Snapshot.version`".
func (r *modelReader) relation(l line) {
	m := relationLine.FindStringSubmatch(l.text)
	if m == nil || m[3] == "" && m[4] == "" && (m[2] == "" || m[6] == "") {
		return
	}
	many := func(s string) bool { return s != "" && s != "1" && s != "one" && s != "0..1" }
	from, to := m[3], m[4]
	if behind := cardinality.FindStringSubmatch(m[7]); to == "" && behind != nil { // Project (1) → Task (many)
		to = behind[1]
	}
	relation := Relation{Place: r.place(l.at), From: m[1], Field: m[2], To: m[5], ToField: m[6], FromMany: many(from), ToMany: many(to)}
	if relation.Field == "" && (from == "" || to == "") && !relation.FromMany && !relation.ToMany {
		return // how many there are on the other side is not said
	}
	r.model.Relations = append(r.model.Relations, relation)
}
