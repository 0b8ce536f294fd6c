package ir

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// usualLimit is how many rows a page has where the contract has pages, and says nothing more.
const usualLimit = 50

// CRUDList is how a list of rows is asked for and answered.
type CRUDList struct {
	Filters []CRUDPart
	Limit   string // names of parameters, or empty
	Offset  string
	Page    string // counted from 1
	Cursor  string
	Usual   int // the limit where none is given and the contract has no default; 0: there always is one
	Order   []*Column
	Envelope
}

// Envelope is what rows are answered in.
type Envelope struct {
	Plain   bool // the list itself
	Members []EnvelopeMember
}

// EnvelopeMember is a member of an answer that is a list. Kind is rows, total, limit, offset, page, cursor, more,
// or object, which has Members.
type EnvelopeMember struct {
	Name, Kind         string
	Optional, Nullable bool
	Members            []EnvelopeMember
}

// word compares names as people write them: pageSize, page_size.
func word(name string, choices ...string) bool {
	return slices.Contains(choices, strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name)))
}

// query gives a parameter of a list its meaning.
func (f *crudFinder) query(c *CRUD, p *Parameter, facts *[]string) error {
	l := c.List
	s := p.Schema.Deref()
	var target *string
	switch {
	case word(p.Name, "limit", "pagesize", "perpage"):
		target = &l.Limit
	case word(p.Name, "offset", "skip"):
		target = &l.Offset
	case word(p.Name, "page") && s.Types == Integer:
		target = &l.Page
	case word(p.Name, "cursor", "after", "pagetoken"):
		if s.Types != String || l.Cursor != "" {
			return refuse("the cursor %s is no text", p.Name)
		}
		l.Cursor = p.Name
		return nil
	}
	if target != nil {
		if s.Types != Integer || *target != "" {
			return refuse("the query parameter %s is no whole number", p.Name)
		}
		*target = p.Name
		if target == &l.Limit && !p.Required && p.Schema.Meta.Default == nil {
			l.Usual = usualLimit
			if most, err := strconv.Atoi(s.Maximum); err == nil {
				l.Usual = min(l.Usual, most)
			}
			*facts = append(*facts, fmt.Sprintf("%s is %d where it is not given", p.Name, l.Usual))
		}
		return nil
	}
	column := c.Table.member(p.Name)
	if column == nil {
		return refuse("the query parameter %s is no column of %s", p.Name, c.Table.Name)
	}
	many := s.Types == Array && !column.Type.Array
	asked := *p
	if many && s.Items != nil {
		asked.Schema = s.Items
	}
	part, err := f.parameterPart(&asked, column)
	if err != nil {
		return err
	}
	part.Many = many
	part.Optional = !p.Required && p.Schema.Meta.Default == nil
	l.Filters = append(l.Filters, part)
	*facts = append(*facts, fmt.Sprintf("%s chooses by %s", p.Name, column.Name))
	return nil
}

// envelope reads what rows are answered in: the list itself, or an object with it and numbers about it.
func (f *crudFinder) envelope(c *CRUD, s *Schema, facts *[]string) error {
	l := c.List
	if (l.Offset != "" || l.Page != "") && l.Limit == "" && l.Page == "" || l.Page != "" && (l.Limit == "" || l.Offset != "") || l.Cursor != "" && (l.Limit == "" || l.Offset != "" || l.Page != "") {
		return refuse("its parameters for pages do not go together")
	}
	target := s.Deref()
	items := target.Items
	if target.Types == Array && items != nil && !target.combined() && len(target.Prefix) == 0 && l.Cursor == "" {
		l.Plain = true
	} else {
		body, why := object(s)
		if why != "" {
			return refuse("the answer is %s", why)
		}
		items = nil
		members, err := l.members(c, body, &items, facts)
		if err != nil {
			return err
		}
		if l.Members = members; items == nil {
			return refuse("the answer has no list of rows")
		}
	}
	var err error
	var members []string
	for _, m := range l.Members {
		if m.Kind == "rows" {
			members = []string{m.Name}
		}
	}
	c.Answer = rowType(s, items, members...)
	if c.Row, err = f.row(c.Table, items, facts); err != nil {
		return err
	}
	return l.order(c.Table, facts)
}

// members gives each member of an answer its meaning.
func (l *CRUDList) members(c *CRUD, body *Schema, items **Schema, facts *[]string) ([]EnvelopeMember, error) {
	var all []EnvelopeMember
	for _, p := range body.Properties {
		s, nullable := scalar(p.Schema)
		m := EnvelopeMember{Name: p.Name, Optional: !p.Required, Nullable: nullable}
		whole := s.Types == Integer || s.Types == Number
		switch {
		case s.Types == Array && items != nil && *items == nil && s.Items != nil && s.Items.Deref().Types == Object &&
			(word(p.Name, "items", "data", "results", "rows", "records") || spec.Key(p.Name) == spec.Key(c.Table.Name)):
			m.Kind, *items = "rows", s.Items
		case whole && word(p.Name, "total", "totalcount", "count", "totalitems"):
			m.Kind = "total"
		case whole && word(p.Name, "limit", "pagesize", "perpage") && l.Limit != "":
			m.Kind = "limit"
		case whole && word(p.Name, "offset", "skip") && l.Offset != "":
			m.Kind = "offset"
		case whole && word(p.Name, "page") && l.Page != "":
			m.Kind = "page"
		case s.Types == String && word(p.Name, "nextcursor", "next", "cursor", "nextpagetoken") && l.Cursor != "" && (nullable || !p.Required):
			m.Kind = "cursor"
		case s.Types == Boolean && word(p.Name, "hasmore", "more") && l.Limit != "":
			m.Kind = "more"
		case s.Types == Object && items != nil && word(p.Name, "pagination", "meta", "page", "paging"):
			inner, err := l.members(c, s, nil, facts)
			if err != nil {
				return nil, err
			}
			m.Kind, m.Members = "object", inner
		case p.Required:
			return nil, refuse("nothing says what the answer's %s is", p.Name)
		default:
			*facts = append(*facts, "the answer leaves out "+p.Name)
			continue
		}
		all = append(all, m)
	}
	return all, nil
}

// order makes pages come in one order: by time of creation where that is known, and by key.
func (l *CRUDList) order(t *TableModel, facts *[]string) error {
	var key []*Column
	for _, c := range t.Columns {
		if c.Primary {
			key = []*Column{c}
		}
	}
	if len(key) == 0 {
		key = t.PrimaryKey
	}
	if l.Cursor != "" && len(key) != 1 {
		return refuse("a cursor needs a key of one column, which %s has not", t.Name)
	}
	if created := t.column("createdAt"); created != nil && created.NotNull && temporal(created) && l.Cursor == "" {
		l.Order = append(l.Order, created)
	}
	l.Order = append(l.Order, key...)
	if len(l.Order) == 0 {
		return refuse("%s has no key to order by", t.Name)
	}
	names := make([]string, len(l.Order))
	for i, c := range l.Order {
		names[i] = c.Name
	}
	*facts = append(*facts, "the order is that of "+strings.Join(names, ", "))
	return nil
}

// Has tells whether a member of this kind is answered.
func (e Envelope) Has(kind string) bool { return has(e.Members, kind) }

func has(members []EnvelopeMember, kind string) bool {
	return slices.ContainsFunc(members, func(m EnvelopeMember) bool { return m.Kind == kind || has(m.Members, kind) })
}
