package ir

import (
	"slices"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// Condition is if, then and else; Then and Else may be nil: an if alone says which members are described. The keywords that make members depend on another are conditions, too.
type Condition struct{ If, Then, Else *Schema }

// Unevaluated constrains the members of an object that no keyword describes, not even one of a branch that the object fits.
type Unevaluated struct {
	Rest  *Schema // what such a member must fit
	Known Members
}

// Members are the members that a schema describes.
type Members struct {
	All      bool // every one, whatever its name is
	Names    []string
	Patterns []Pattern
	When     []MembersWhen
}

// MembersWhen are further members, if the object fits a schema.
type MembersWhen struct {
	Fits *Schema
	Members
}

// conditions reads what JSON Schema asks of a value that fits another schema.
func (b *builder) conditions(n *spec.Node, s *Schema, outer Types) {
	if found := n.Get("if"); found != nil {
		c := Condition{If: b.schema(found, outer)}
		if then := n.Get("then"); then != nil {
			c.Then = b.schema(then, outer)
		}
		if otherwise := n.Get("else"); otherwise != nil {
			c.Else = b.schema(otherwise, outer)
		}
		s.Conditions = append(s.Conditions, c)
	}
	for _, keyword := range []string{"dependentRequired", "dependentSchemas", "dependencies"} { // the last one is both, before 2019-09
		found := n.Get(keyword)
		if found != nil && !found.Is(spec.Object) {
			b.doc.Problem(found, "%s should be an object, not %s", keyword, found.Kind)
			continue
		}
		for i := 0; found != nil && i < len(found.Children); i++ {
			s.Conditions = append(s.Conditions, b.dependent(keyword, &found.Children[i]))
		}
	}
}

// dependent reads what is asked of an object that has the member with the key of n.
func (b *builder) dependent(keyword string, n *spec.Node) Condition {
	here := &spec.Node{Line: n.Line, Column: n.Column}
	has := Condition{If: &Schema{Types: Object, Properties: []Property{{Name: n.Key, Required: true, Schema: &Schema{Node: here}}}, Node: here}}
	if keyword == "dependentSchemas" || keyword == "dependencies" && !n.Is(spec.Array) {
		has.Then = b.schema(n, Object)
		return has
	}
	has.Then = &Schema{Types: Object, Node: here}
	if !n.Is(spec.Array) {
		b.doc.Problem(n, "%s should hold lists of names, not %s", keyword, n.Kind)
		return has
	}
	for i := range n.Children {
		name := &n.Children[i]
		if !name.Is(spec.String) {
			b.doc.Problem(name, "%s should list names, not %s", keyword, name.Kind)
			continue
		}
		has.Then.Properties = append(has.Then.Properties, Property{Name: name.Text, Required: true, Schema: &Schema{Node: name}})
	}
	return has
}

const (
	// maxMembers is how many names and patterns one unevaluatedProperties may know, branches within branches included.
	maxMembers = 1000
	// maxKnown is how much of a document, in bytes, all of them may know: what a component describes is written for each that
	// refers to it.
	maxKnown = 4 << 20
)

// evaluate finds, for each unevaluatedProperties, the members that other keywords describe. All components are filled, and nothing
// is flattened yet.
func (b *builder) evaluate() {
	e := evaluator{known: map[*Schema]Members{}, size: map[*Schema]int{}, left: maxKnown}
	var within func(*Schema)
	within = func(s *Schema) {
		if u := s.Unevaluated; u != nil {
			size := 0
			if e.left > 0 {
				u.Known, size = e.keywords(s)
				e.spend(&u.Known)
			}
			if size > maxMembers || e.left <= 0 {
				s.Unevaluated = nil
				b.note(u.Rest.Node, "unevaluatedProperties is not checked by the generated schemas: branches describe more than %d members, or all such branches are larger than %d MB", maxMembers, maxKnown>>20)
			}
		}
		for child := range s.Children {
			within(child)
		}
	}
	for _, c := range b.found {
		within(c.Schema)
	}
	for _, s := range b.loose {
		within(s)
	}
}

// evaluator knows the members of the components that it met: there may be very many ways to one.
type evaluator struct {
	known map[*Schema]Members
	size  map[*Schema]int
	left  int // of maxKnown
}

// spend counts what is written of members.
func (e *evaluator) spend(m *Members) {
	for _, name := range m.Names {
		e.left -= len(name)
	}
	for i := range m.Patterns {
		e.left -= len(m.Patterns[i].Source)
	}
	for i := range m.When {
		e.text(m.When[i].Fits.Node)
		e.spend(&m.When[i].Members)
	}
}

func (e *evaluator) text(n *spec.Node) {
	e.left -= 1 + len(n.Key) + len(n.Text)
	for i := 0; i < len(n.Children) && e.left > 0; i++ {
		e.text(&n.Children[i])
	}
}

// members are those that a schema describes, with their number.
func (e *evaluator) members(s *Schema) (Members, int) {
	if s.Ref != nil {
		s = s.Ref.Schema
	}
	if known, there := e.known[s]; there {
		return known, e.size[s]
	}
	known, size := Members{All: true}, 1
	if s.Node.Get("additionalProperties") == nil && s.Node.Get("unevaluatedProperties") == nil {
		if known, size = e.keywords(s); size > maxMembers {
			known, size = Members{}, maxMembers+1
		}
	}
	e.known[s], e.size[s] = known, size
	return known, size
}

func (e *evaluator) keywords(s *Schema) (known Members, size int) {
	if s.Ref != nil {
		return e.members(s)
	}
	known.All = s.Node.Get("additionalProperties") != nil
	if properties := s.Node.Get("properties"); properties.Is(spec.Object) { // what is only required is not described
		for i := range properties.Children {
			known.Names = append(known.Names, properties.Children[i].Key)
		}
	}
	for i := range s.Patterns {
		known.All = known.All || s.Patterns[i].Pattern.Source == "" // it can't be told which
		known.Patterns = append(known.Patterns, s.Patterns[i].Pattern)
	}
	size = 1 + len(known.Names) + len(s.Patterns)
	for _, branch := range s.All {
		more, n := e.members(branch)
		if size += n; size > maxMembers {
			return known, size
		}
		known.add(more)
	}
	for _, branch := range slices.Concat(s.Any, s.One) {
		if size += e.when(&known, branch, branch); size > maxMembers {
			return known, size
		}
	}
	for _, c := range s.Conditions {
		if size > maxMembers {
			break
		}
		size += e.when(&known, c.If, c.If, c.Then)
		size += e.when(&known, &Schema{Not: c.If, Node: c.If.Node}, c.Else)
	}
	return known, size
}

func (m *Members) add(more Members) {
	m.All = m.All || more.All
	m.Names, m.Patterns, m.When = append(m.Names, more.Names...), append(m.Patterns, more.Patterns...), append(m.When, more.When...)
}

// when adds what schemas describe that are not known yet, for objects that fit one; it tells how many members that may be.
func (e *evaluator) when(known *Members, fits *Schema, schemas ...*Schema) (size int) {
	var more Members
	for _, s := range schemas {
		if s != nil {
			found, n := e.members(s)
			size += n
			more.add(found)
		}
	}
	more.Names = slices.DeleteFunc(more.Names, func(name string) bool { return slices.Contains(known.Names, name) })
	if more.All || len(more.Names)+len(more.Patterns)+len(more.When) > 0 {
		known.When = append(known.When, MembersWhen{fits, more})
	}
	return size
}

// closes makes additionalProperties of unevaluatedProperties where nothing but the object's own properties counts.
func (s *Schema) closes() {
	u := s.Unevaluated
	if u == nil || s.Types != Object || s.Additional != nil || s.combined() || u.Known.All || len(u.Known.When) > 0 || len(u.Known.Patterns) > len(s.Patterns) {
		return
	}
	for i := range s.Properties {
		if !slices.Contains(u.Known.Names, s.Properties[i].Name) {
			return
		}
	}
	s.Additional, s.Unevaluated = u.Rest, nil
}
