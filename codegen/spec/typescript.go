package spec

import (
	"strings"
)

var lineRemark = lazily(`^[ \t]*//[^\n]*`)

// members splits what stands in braces into its members: at ; , and line ends that are not nested.
func members(body string, at int) []line {
	var all []line
	depth, angles, from := 0, 0, 0
	quote, last, colon := byte(0), byte(0), false
	add := func(to int) {
		text := body[from:to]
		trimmed := strings.TrimLeft(text, " \t\r\n")
		if trimmed != "" {
			all = append(all, line{strings.TrimSpace(trimmed), at + from + len(text) - len(trimmed)})
		}
		from, angles, last, colon = to+1, 0, 0, false
	}
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case quote != 0:
			switch c {
			case '\\':
				i++
			case quote, '\n':
				quote = 0
			}
		case strings.HasPrefix(body[i:], "//"):
			for i < len(body) && body[i] != '\n' {
				i++
			}
			i--
		case c == '\'' || c == '"' || c == '`':
			quote, last = c, c
		case c == '<':
			angles++
		case c == '>' && last != '=' && angles > 0:
			angles--
		case c == '{' || c == '(' || c == '[':
			depth++
		case c == '}' || c == ')' || c == ']':
			if depth--; depth < 0 {
				add(i)
				return all
			}
		case c == ';' && depth == 0, c == ',' && depth == 0 && angles == 0:
			add(i)
			if remark := lineRemark.FindString(body[i+1:]); remark != "" && len(all) > 0 { // belongs to what stands before it
				all[len(all)-1].text += remark
				from += len(remark)
				i += len(remark)
			}
		case c == '\n' && depth == 0 && angles == 0 && colon && last != '|' && last != ':':
			add(i)
		}
		if c != ' ' && c != '\t' && c != '\n' && quote == 0 {
			last, colon = c, colon || c == ':'
		}
	}
	add(len(body))
	return all
}

// until is where the head behind one begins, or the end of the text.
func until(heads [][]int, i int, text string) int {
	if i+1 < len(heads) {
		return heads[i+1][0]
	}
	return len(text)
}

var wholeNumbers = lazily(`^\d+( \| \d+)*$`)

// passedOn are the ends of names of what functions take and give, and no database holds.
var passedOn = lazily(`(?:Payload|Input|Props|Params|Options|Dto|DTO|Response)$`)

var interfaceMember = lazily(`(?s)^(?:readonly\s+)?([A-Za-z_]\w*)(\?)?\s*:\s*(.+)$`)

// interfaces reads interfaces and object types of TypeScript, in sections that are about tables.
func (r *modelReader) interfaces(s *section, f *fence) {
	for _, above := range append(s.above, s.title.text) {
		if _, _, ok := entityTitle(above); notTables.MatchString(above) && !ok {
			return
		}
	}
	heads := interfaceHead.FindAllStringSubmatchIndex(f.text, -1)
	for i, m := range heads {
		from, to := m[2], m[3]
		if from < 0 {
			from, to = m[4], m[5]
		}
		e := Entity{Place: r.place(f.at + from), Notation: Interface, Name: f.text[from:to]}
		for _, l := range members(f.text[m[1]:until(heads, i, f.text)], f.at+m[1]) {
			r.interfaceField(&e, l)
		}
		switch {
		case len(e.Fields) == 0:
		case passedOn.MatchString(e.Name):
			r.note(f.at+from, "the interface %s is not read as a table, by its name", shorten(e.Name))
		default:
			r.model.Entities = append(r.model.Entities, e)
		}
	}
}

func (r *modelReader) interfaceField(e *Entity, l line) {
	for strings.HasPrefix(l.text, "//") || strings.HasPrefix(l.text, "/*") {
		end := "\n"
		if strings.HasPrefix(l.text, "/*") {
			end = "*/"
		}
		_, after, _ := strings.Cut(l.text, end)
		trimmed := strings.TrimSpace(after)
		l = line{trimmed, l.at + strings.Index(l.text, trimmed)}
	}
	m := interfaceMember.FindStringSubmatch(l.text)
	if m == nil {
		if l.text != "" {
			r.note(l.at, "not read: %q", shorten(l.text))
		}
		return
	}
	f := Field{Place: r.place(l.at), Name: m[1], Optional: No}
	kind, remark, _ := strings.Cut(m[3], "//")
	kind = strings.TrimSpace(kind)
	if m[2] != "" {
		f.Optional = Yes
	}
	var variants []string
	for variant := range strings.SplitSeq(kind, "|") {
		switch variant = strings.TrimSpace(variant); variant {
		case "null", "undefined":
			f.Optional = Yes
		case "":
		default:
			variants = append(variants, variant)
		}
	}
	kind = strings.Join(variants, " | ")
	switch {
	case isLiteral(variants):
		f.Type = Type{Name: "enum"}
		for _, v := range variants {
			f.Values = append(f.Values, v[1:len(v)-1])
		}
	case wholeNumbers.MatchString(kind): // 0 | 1
		f.Type = Type{Name: "integer"}
		f.Checks = append(f.Checks, Check{Expression: f.Name + " IN (" + strings.ReplaceAll(kind, " |", ",") + ")"})
	case kind == "Date":
		f.Type = Type{Name: "timestamptz"}
	default:
		r.interfaceType(&f, kind, l)
	}
	qualify(&f, remark)
	e.Fields = append(e.Fields, f)
}

func isLiteral(variants []string) bool {
	for _, v := range variants {
		if len(v) < 3 || !shapeString.MatchString(v) || shapeString.FindString(v) != v {
			return false
		}
	}
	return len(variants) > 0
}

func (r *modelReader) interfaceType(f *Field, kind string, l line) {
	if element, found := strings.CutSuffix(kind, "[]"); found && entityIdent.MatchString(element) {
		if t, rest, ok := parseType(element, false); ok && rest == "" && t.Name != "jsonb" {
			t.Array = true
			f.Type = t
			return
		}
	}
	if t, rest, ok := parseType(kind, false); ok && rest == "" && t.Name != "jsonb" {
		f.Type = t
		return
	}
	if shape, rest, ok := parseShape(kind); ok && rest == "" {
		f.Type = Type{Name: "jsonb", Shape: shape}
		return
	}
	r.unknownType(f, kind, l)
}

var (
	drizzleHead   = lazily(`(?:export\s+)?const\s+(\w+)\s*=\s*pgTable\(\s*(['"\x60])(\w+)['"\x60]\s*,\s*\{`)
	drizzleEnum   = lazily(`const\s+(\w+)\s*=\s*pgEnum\(\s*['"](\w+)['"]\s*,\s*\[([^\]]*)\]`)
	drizzleColumn = lazily(`(?s)^(\w+)\s*:\s*(\w+)\((?:\s*['"](\w+)['"])?\s*,?\s*(\{[^}]*\})?\s*\)(.*)$`)
	drizzleChain  = lazily(`(?s)\.(\$?\w+)(?:<[^>]*>)?\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)`)
	drizzleRef    = lazily(`(?s)=>\s*(\w+)\.(\w+)`)
	drizzleAction = lazily(`(onDelete|onUpdate)\s*:\s*['"]([a-z ]+)['"]`)
	drizzleIndex  = lazily(`(uniqueIndex|index|unique|primaryKey)\((?:\s*['"](\w+)['"]\s*|\s*\{\s*columns:\s*\[([^\]]*)\]\s*\}\s*)?\)(?:\.on\(((?:[^()]|\([^()]*\))*)\))?`)
	drizzleLength = lazily(`length\s*:\s*(\d+)`)
	drizzleMember = lazily(`\b\w+\.(\w+)(\.desc\(\))?`)
)

// drizzle reads tables and enums that are written for Drizzle already.
func (r *modelReader) drizzle(f *fence) {
	enums := map[string]string{}
	for _, m := range drizzleEnum.FindAllStringSubmatchIndex(f.text, -1) {
		e := Enum{Place: r.place(f.at + m[2]), Name: f.text[m[4]:m[5]], Values: splitValues(f.text[m[6]:m[7]])}
		enums[f.text[m[2]:m[3]]] = e.Name
		r.model.Enums = append(r.model.Enums, e)
	}
	tables := map[string]string{}
	for _, m := range drizzleHead.FindAllStringSubmatch(f.text, -1) {
		tables[m[1]] = m[3]
	}
	heads := drizzleHead.FindAllStringSubmatchIndex(f.text, -1)
	for i, m := range heads {
		end := until(heads, i, f.text)
		e := Entity{Place: r.place(f.at + m[6]), Notation: Drizzle, Name: f.text[m[6]:m[7]], IsTable: true}
		for _, l := range members(f.text[m[1]:end], f.at+m[1]) {
			r.drizzleField(&e, l, enums, tables)
		}
		for _, at := range drizzleIndex.FindAllStringSubmatchIndex(f.text[m[1]:end], -1) {
			e.Indexes = append(e.Indexes, r.drizzleIndex(f.text[m[1]:end], f.at+m[1], at)...)
		}
		if len(e.Fields) > 0 {
			r.model.Entities = append(r.model.Entities, e)
		}
	}
}

func (r *modelReader) drizzleIndex(text string, base int, m []int) []Index {
	part := func(i int) string {
		if m[2*i] < 0 {
			return ""
		}
		return text[m[2*i]:m[2*i+1]]
	}
	columns := part(4) + part(3)
	if columns == "" {
		return nil
	}
	index := Index{Place: r.place(base + m[0]), Name: part(2), Unique: strings.HasPrefix(part(1), "unique"), Primary: part(1) == "primaryKey"}
	for _, c := range drizzleMember.FindAllStringSubmatch(columns, -1) {
		index.Columns = append(index.Columns, IndexColumn{Name: c[1], Descending: c[2] != ""})
	}
	return []Index{index}
}

func (r *modelReader) drizzleField(e *Entity, l line, enums, tables map[string]string) {
	m := drizzleColumn.FindStringSubmatch(l.text)
	if m == nil {
		if !strings.HasPrefix(l.text, "//") {
			r.note(l.at, "not read: %q", shorten(l.text))
		}
		return
	}
	f := Field{Place: r.place(l.at), Name: m[1], Column: m[3], Optional: Yes}
	words := strings.ToLower(strings.ReplaceAll(camelBreak.ReplaceAllString(m[2], "$1 $2"), "double precision", "double precision"))
	if length := drizzleLength.FindStringSubmatch(m[4]); length != nil {
		words += "(" + length[1] + ")"
	}
	t, rest, ok := parseType(words, true)
	switch {
	case enums[m[2]] != "":
		t = Type{Enum: enums[m[2]], Exact: true}
	case !ok || rest != "":
		r.note(l.at, "%q is no type that is known; %s is read as text", shorten(m[2]), f.Name)
		t = Type{}
	case strings.Contains(m[4], "withTimezone: true"):
		t.Name = "timestamptz"
	}
	f.Type, f.Identity = t, isSerial(m[2])
	for _, call := range drizzleChain.FindAllStringSubmatch(m[5], -1) {
		drizzleCall(&f, call[1], call[2], tables)
	}
	e.Fields = append(e.Fields, f)
}

func drizzleCall(f *Field, name, argument string, tables map[string]string) {
	switch name {
	case "notNull":
		f.Optional = No
	case "primaryKey":
		f.Primary, f.Optional = true, No
	case "unique":
		f.Unique = true
	case "array":
		f.Type.Array = true
	case "defaultNow":
		f.HasDefault, f.Default = true, "now()"
	case "defaultRandom":
		f.HasDefault, f.Default = true, "gen_random_uuid()"
	case "default":
		defaultValue(f, []string{"", strings.ReplaceAll(argument, "'", `"`)})
	case "generatedAlwaysAsIdentity", "generatedByDefaultAsIdentity":
		f.Identity, f.Always = true, name == "generatedAlwaysAsIdentity"
	case "$onUpdate":
		f.OnUpdate = true
	case "references":
		if m := drizzleRef.FindStringSubmatch(argument); m != nil {
			table := m[1]
			if tables[table] != "" {
				table = tables[table]
			}
			f.Ref = &Reference{Entity: table, Field: m[2]}
			for _, action := range drizzleAction.FindAllStringSubmatch(argument, -1) {
				if action[1] == "onDelete" {
					f.Ref.OnDelete = action[2]
				} else {
					f.Ref.OnUpdate = action[2]
				}
			}
		}
	}
}

var (
	diagramRelation = lazily(`^([A-Za-z_][\w-]*)\s+([|}o][|o])(?:--|\.\.)([|o][|{o])\s+([A-Za-z_][\w-]*)\s*(?::.*)?$`)
	diagramEntity   = lazily(`^([A-Za-z_][\w-]*)\s*\{$`)
	diagramField    = lazily(`^([A-Za-z_][\w\[\]()]*)\s+([A-Za-z_]\w*)\s*((?:PK|FK|UK)(?:\s*,\s*(?:PK|FK|UK))*)?\s*(?:"([^"]*)")?$`)
)

// diagram reads a mermaid erDiagram: entities with fields, and relations.
func (r *modelReader) diagram(f *fence) {
	at := f.at
	var e *Entity
	var keys []diagramKey
	relations := len(r.model.Relations)
	for raw := range strings.Lines(f.text) {
		text := strings.TrimSpace(raw)
		here := at + len(raw) - len(strings.TrimLeft(raw, " \t"))
		at += len(raw)
		switch {
		case e != nil && text == "}":
			if len(e.Fields) > 0 {
				r.model.Entities = append(r.model.Entities, *e)
			}
			e = nil
		case e != nil:
			if m := diagramField.FindStringSubmatch(text); m != nil {
				field := Field{Place: r.place(here), Name: m[2], Primary: strings.Contains(m[3], "PK"), Unique: strings.Contains(m[3], "UK")}
				r.rowType(&field, m[1], line{text, here})
				qualify(&field, m[4])
				if strings.Contains(m[3], "FK") && field.Ref == nil {
					keys = append(keys, diagramKey{len(r.model.Entities), len(e.Fields), here})
				}
				e.Fields = append(e.Fields, field)
			}
		default:
			if m := diagramEntity.FindStringSubmatch(text); m != nil {
				e = &Entity{Place: r.place(here), Notation: Diagram, Name: m[1]}
			} else if m := diagramRelation.FindStringSubmatch(text); m != nil {
				r.model.Relations = append(r.model.Relations, Relation{Place: r.place(here), From: m[1], To: m[4],
					FromMany: strings.Contains(m[2], "}"), ToMany: strings.Contains(m[3], "{")})
			}
		}
	}
	r.diagramReferences(keys, r.model.Relations[relations:])
}

// diagramKey is a field that is marked FK, which does not say of what.
type diagramKey struct{ entity, field, at int }

// diagramReferences finds what foreign keys refer to: the entity that a field is named after, or else the only one
// that its entity belongs to, if that has no other such field.
func (r *modelReader) diagramReferences(keys []diagramKey, relations []Relation) {
	owners, entities, fields := map[string][]string{}, map[string]string{}, map[int]int{}
	for _, relation := range relations {
		if from, to := Key(relation.From), Key(relation.To); !relation.FromMany {
			owners[to] = append(owners[to], relation.From)
		} else if !relation.ToMany {
			owners[from] = append(owners[from], relation.To)
		}
	}
	for _, e := range r.model.Entities {
		entities[Key(e.Name)] = e.Name
	}
	for _, key := range keys {
		fields[key.entity]++
	}
	for _, key := range keys {
		if key.entity == len(r.model.Entities) {
			continue // an entity that is never closed is none
		}
		e := &r.model.Entities[key.entity]
		f := &e.Fields[key.field]
		found := entities[strings.TrimSuffix(Key(f.Name), "id")]
		if belongs := owners[Key(e.Name)]; found == "" && len(belongs) == 1 && fields[key.entity] == 1 {
			found = belongs[0]
		}
		if found == "" {
			r.note(key.at, "%s.%s is marked FK, and nothing says of what: no foreign key is generated", e.Name, f.Name)
			continue
		}
		f.Ref = &Reference{Entity: found}
		r.note(key.at, "inferred: %s.%s refers to %s", e.Name, f.Name, found)
	}
}
