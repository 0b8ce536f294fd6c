package spec

import (
	"strings"
)

// label is what a line such as "**Indexes**:" says of the list behind it.
type label uint8

const (
	noLabel label = iota
	fieldsLabel
	indexesLabel
	constraintsLabel
	relationsLabel
	otherLabel // prose, examples, seeds
)

var computedThings = lazily(`(?i)^(new )?(computed|derived|virtual|calculated) (properties|fields|attributes|columns|values)\b`)

var labels = []struct { //nolint:gochecknoglobals // a constant table, of words in several languages
	label label
	words pattern
}{
	{indexesLabel, lazily(`(?i)^(suggested |recommended |database )?((index|indexes|indices|indexing)( strategy)?|索引|インデックス|인덱스|índices|индексы)$`)},
	{constraintsLabel, lazily(`(?i)^(unique |check |table |database |business )?(constraints?|validations?|validation rules|rules|checks)$`)},
	{relationsLabel, lazily(`(?i)^(entity |key )?((relationships?|relations|associations)( summary)?|关系|関係|관계|relaciones|relações|связи)$`)},                                                                                                                                                                            //nolint:misspell // not English
	{fieldsLabel, lazily(`(?i)^((new|additional|added|key|core|extended) )?(fields?|attributes?|columns?|properties|schema|(field|attribute|column|property) (specifications?|definitions?|descriptions?|details|list)|字段(定义)?|属性|フィールド(定義)?|項目|필드( 정의)?|속성|campos|atributos|champs|attributs|felder|поля|атрибуты)$`)}, //nolint:misspell // not English
	{otherLabel, computedThings},
	{otherLabel, lazily(`(?i)^(state( transitions?| machine)?s?|states|lifecycle|notes?|examples?|description|purpose|retention|usage|seeds?|seed data|default .*)$`)},
}

func labelOf(s string) label {
	s = strings.TrimSpace(strings.TrimSuffix(plain(s), ":"))
	for _, l := range labels {
		if l.words.MatchString(s) {
			return l.label
		}
	}
	return noLabel
}

// notTables are headings above which things are described that no database holds.
var notTables = lazily(`(?i)\b(api|requests?|responses?|[a-z]*dtos?|payloads?|zod|messages?|conventions?|security|performance|migrations?|out of scope|enhancements|errors?|value objects|enums?|enumerations?)\b`)

var (
	headingNumber = lazily(`^\d+(\.\d+)*[.):]?\s+`)
	headingWord   = lazily(`(?i)^(new |modified |extended )?(entity|table|model|collection)\s*\d*\s*[:：-]?\s+`)
	headingChange = lazily(`(?i)^(new|added?|modify|modified|changed?|updated?|extend(ed)?)\s*[:：]\s+|^(new|additional|added) (columns?|fields?) (for|of|in|on|to)\s+`)
	headingEnd    = lazily(`(?i)\s+(table|entity|model)$`)
	entityWords   = lazily(`^[A-Z][A-Za-z0-9]*( [A-Z][A-Za-z0-9]*){0,3}$`)
	entityIdent   = lazily(`^[A-Za-z_][A-Za-z0-9_]*$`)
	remark        = lazily(`^(.*?)\s*[（(]([^()（）]*)[)）]\s*$`)
	tableRemark   = lazily(`^(?i)(?:(?:db |sql |database )?table(?: name)?\s*:?\s*)?([a-z][a-z0-9]*_[a-z0-9_]+|[a-z][a-z0-9]*s)$`)
	extends       = lazily(`(?i)\b(modify|modified|changed?|extended|extends|extension|existing|additions? to|changes to|(new|additional|added) (columns?|fields?))\b`)
	otherTitle    = lazily(`^(.*?)\s+(?:[—–-]|→|->|=>|:)\s+(.*)$`)
)

// entityTitle reads the name of an entity out of a heading.
func entityTitle(title string) (name, table string, ok bool) {
	title = headingNumber.ReplaceAllString(title, "")
	code := strings.Contains(title, "`")
	title = headingWord.ReplaceAllString(headingChange.ReplaceAllString(plain(title), ""), "")
	if m := otherTitle.FindStringSubmatch(title); m != nil {
		title = m[1]
		if t := tableRemark.FindStringSubmatch(m[2]); t != nil {
			table = t[1]
		}
	}
	for {
		m := remark.FindStringSubmatch(title)
		if m == nil {
			break
		}
		if t := tableRemark.FindStringSubmatch(strings.TrimSpace(m[2])); t != nil && (code || strings.Contains(m[2], "_") || strings.Contains(strings.ToLower(m[2]), "table")) {
			table = t[1]
		} else if entityIdent.MatchString(strings.TrimSpace(m[2])) && !isASCII(m[1]) {
			return strings.TrimSpace(m[2]), table, true // 用户 (User)
		}
		title = m[1]
	}
	title = headingEnd.ReplaceAllString(strings.TrimSpace(title), "")
	switch {
	case entityIdent.MatchString(title):
		return title, table, true
	case entityWords.MatchString(title):
		return strings.ReplaceAll(title, " ", ""), table, true
	}
	return "", "", false
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// section reads one section: an entity, indexes or relations of several, or only fences.
func (r *modelReader) section(s *section) {
	before := len(r.model.Entities)
	for i := range s.blocks {
		if f := s.blocks[i].fence; f != nil {
			r.fenced(s, f)
		}
	}
	own := labelOf(s.title.text)
	switch own {
	case relationsLabel, indexesLabel, constraintsLabel, fieldsLabel:
		r.labelled(s, own)
		return
	case otherLabel:
		if computedThings.MatchString(plain(s.title.text)) {
			r.note(s.title.at, "%q are not stored: they get no columns", shorten(plain(s.title.text)))
		}
		return
	case noLabel:
	}
	name, table, ok := entityTitle(s.title.text)
	if !ok {
		r.unnamed(s)
		return
	}
	e := Entity{Place: r.place(s.title.at), Name: name, Table: table}
	e.IsTable = strings.ToLower(name) == name && strings.Contains(name, "_")
	e.Extends = extends.MatchString(s.title.text)
	for _, above := range s.above {
		e.Extends = e.Extends || extends.MatchString(above)
	}
	r.body(s, &e, noLabel)
	if strings.HasSuffix(strings.ToLower(name), "dto") && len(e.Fields) > 0 {
		r.note(s.title.at, "%s is not read as a table: what is passed on is none", name)
		return
	}
	if len(e.Fields) == 0 {
		if fenced := r.model.Entities[before:]; len(fenced) == 1 && len(e.Indexes) > 0 { // "Index: (a, b)" behind a block
			e.Name, e.Table, e.IsTable, e.IndexOf, e.Notation = fenced[0].Name, "", fenced[0].IsTable, true, Bullets
			r.model.Entities = append(r.model.Entities, e)
		}
		return
	}
	for _, above := range s.above {
		if notTables.MatchString(above) {
			r.note(s.title.at, "%s is not read as a table: it stands under %q", name, shorten(plain(above)))
			return
		}
	}
	r.model.Entities = append(r.model.Entities, e)
}

// labelled reads a section "Indexes" or alike: of the entity that it stands below, or of those that
// its lines name.
func (r *modelReader) labelled(s *section, own label) {
	if s.parent != nil {
		if name, table, ok := entityTitle(s.parent.title.text); ok {
			e := Entity{Place: r.place(s.title.at), Name: name, Table: table, Notation: Bullets, IndexOf: own != fieldsLabel}
			for _, above := range s.parent.above {
				if notTables.MatchString(above) {
					return
				}
			}
			r.body(s, &e, own)
			e.IndexOf = len(e.Fields) == 0
			if len(e.Fields)+len(e.Indexes)+len(e.Checks) > 0 {
				r.model.Entities = append(r.model.Entities, e)
				return
			}
		}
	}
	for _, b := range s.blocks {
		for _, i := range b.list {
			switch own {
			case relationsLabel:
				r.relation(i.line)
			case indexesLabel, constraintsLabel:
				r.indexOf(i.line, own == indexesLabel)
			}
		}
		if own == relationsLabel {
			for _, l := range b.prose {
				r.relation(l)
			}
		}
	}
}

// unnamed tells of fields below a heading that is no name.
func (r *modelReader) unnamed(s *section) {
	var e Entity
	before := len(r.model.Notes)
	r.body(s, &e, noLabel)
	r.model.Notes = r.model.Notes[:before]
	if e.Notation == Table && len(e.Fields) > 1 && s.title.text != "" {
		for _, above := range append(s.above, s.title.text) {
			if notTables.MatchString(above) {
				return
			}
		}
		r.note(s.title.at, "%q is no name for an entity: its table is not read", shorten(plain(s.title.text)))
	}
}

// body reads the blocks of an entity's section.
func (r *modelReader) body(s *section, e *Entity, current label) {
	for _, b := range s.blocks {
		switch {
		case b.prose != nil:
			if l, ok := r.prose(b.prose, e); ok {
				current = l
			}
		case b.list != nil:
			r.list(b.list, e, current)
			if s.title.text == "" || labelOf(s.title.text) == noLabel {
				current = noLabel
			}
		}
	}
}

// prose reads a run of lines: a table, a description, a label of what follows.
func (r *modelReader) prose(lines []line, e *Entity) (label, bool) {
	var table, text []line
	for _, l := range lines {
		if strings.HasPrefix(l.text, "|") || len(table) > 0 && strings.Contains(l.text, "|") {
			table = append(table, l)
		} else if len(table) == 0 {
			text = append(text, l)
		}
	}
	if len(table) == 0 && len(text) > 1 && separator.MatchString(text[1].text) { // without outer bars
		table, text = text, nil
	}
	if len(table) > 1 {
		if e.Doc == "" && len(e.Fields) == 0 && len(text) > 0 && labelOf(text[len(text)-1].text) == noLabel {
			e.Doc = joined(text)
		}
		r.table(table, e)
		return noLabel, true
	}
	if len(text) == 0 {
		return noLabel, false
	}
	last := text[len(text)-1].text
	if l := labelOf(last); l != noLabel && (strings.HasSuffix(plain(last), ":") || strings.HasPrefix(last, "**")) {
		return l, true
	}
	for _, l := range text {
		before, after, found := strings.Cut(plain(l.text), ":")
		switch {
		case found && (strings.EqualFold(before, "RLS") || strings.EqualFold(before, "row level security")):
			r.note(l.at, "policies are not generated: %q", shorten(plain(l.text)))
		case found && len(text) > 1 && strings.TrimSpace(after) != "" && labelOf(before) == indexesLabel:
			r.indexes(line{strings.TrimSpace(after), l.at}, e)
		}
	}
	if before, after, found := strings.Cut(plain(last), ":"); found && len(text) == 1 {
		switch labelOf(before) {
		case indexesLabel:
			r.indexes(line{strings.TrimSpace(after), text[0].at}, e)
			return noLabel, true
		case noLabel:
		default:
			return otherLabel, false
		}
	}
	if strings.HasSuffix(plain(last), ":") || strings.HasPrefix(last, "**") {
		return otherLabel, true
	}
	if e.Doc == "" && len(e.Fields) == 0 {
		e.Doc = joined(text)
	}
	return noLabel, false
}

func joined(lines []line) string {
	var words []string
	for _, l := range lines {
		words = append(words, l.text)
	}
	return strings.Join(words, " ")
}
