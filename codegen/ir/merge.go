package ir

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// merged is an entity with everything that is said of it, the most trusted first.
type merged struct {
	key   string
	parts []part
	facts []*fieldFacts
	byKey map[string]*fieldFacts
	table *TableModel
}

// part is an entity as one notation at one place describes it.
type part struct {
	file string
	*spec.Entity
}

func (p part) place() spec.Problem { return at(p.file, p.Place, "") }

// fieldFacts is a field with what notations say of it, and where.
type fieldFacts struct {
	spec.Field
	place                                                spec.Problem // where it is said first
	column                                               *Column      // that it became
	typed, lengths, listed, asked, defaulted, referenced *saidAt
	explicit                                             bool // the list says REQUIRED elsewhere: saying nothing means optional
}

// saidAt is where a fact stands.
type saidAt struct {
	spec.Problem
	notation spec.Notation
}

func fieldKey(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// collect sorts an entity to what else is said of it.
func (b *databaseBuilder) collect(m *spec.DataModel, e *spec.Entity) {
	keys := []string{spec.Key(e.Name)}
	if e.Table != "" {
		keys = append(keys, spec.Key(e.Table))
	}
	var g *merged
	for _, key := range keys {
		if g == nil {
			g = b.byKey[key]
		}
	}
	if g == nil {
		g = &merged{key: keys[0], byKey: map[string]*fieldFacts{}}
		b.groups = append(b.groups, g)
	}
	for _, key := range keys {
		if b.byKey[key] == nil {
			b.byKey[key] = g
		}
	}
	g.parts = append(g.parts, part{m.File, e})
}

// merge takes the facts of all parts, in the order of trust.
func (b *databaseBuilder) merge(g *merged) {
	slices.SortStableFunc(g.parts, func(x, y part) int { return cmp.Compare(x.Notation, y.Notation) })
	var referring []*fieldFacts // ALTER TABLE … ADD FOREIGN KEY says nothing else of its column
	for _, p := range g.parts {
		if first := g.parts[0]; p.file != first.file && !p.Extends && len(p.Fields) > 0 {
			b.note(p.place(), "%s is described in %s:%d:%d, too, and this does not say that it extends it: their fields are joined", p.Name, first.file, first.Line, first.Column)
		}
		explicit := p.Notation == spec.Bullets && slices.ContainsFunc(p.Fields, func(f spec.Field) bool { return f.Optional == spec.No })
		written := make(map[string]string, len(p.Fields)) // the name of each field of this part, by its key
		for i := range p.Fields {
			f := &p.Fields[i]
			key := fieldKey(f.Name)
			if name := written[key]; name != "" && name != f.Name {
				b.note(at(p.file, f.Place, ""), "%s is read as the column %s: names that capitals and underscores alone tell apart are one", f.Name, name)
			}
			written[key] = cmp.Or(written[key], f.Name)
			if p.Extends && p.Notation == spec.SQL && f.Ref != nil && f.Type == (spec.Type{}) {
				referring = append(referring, newFacts(p, f))
				continue
			}
			old := g.byKey[key]
			if old == nil && f.Column != "" {
				old = g.byKey[fieldKey(f.Column)]
			}
			if old == nil && !b.another(g, p, f) {
				continue
			}
			if old == nil {
				facts := newFacts(p, f)
				facts.explicit = explicit
				g.facts = append(g.facts, facts)
				g.byKey[key] = facts
				if f.Column != "" {
					g.byKey[fieldKey(f.Column)] = facts
				}
				continue
			}
			if f.Type.Name != "" || f.Type.Enum != "" || len(f.Values) > 0 || f.Ref != nil || f.Optional != spec.Unsaid || f.HasDefault {
				b.join(g, old, newFacts(p, f))
			}
		}
	}
	for _, f := range referring {
		if old := g.byKey[fieldKey(f.Name)]; old != nil {
			b.join(g, old, f)
		} else {
			b.note(f.place, "the foreign key is of a column %s that nothing describes: it is not generated", f.Name)
		}
	}
}

// another tells whether a field that is not known yet becomes one. One that code of the same file lacks
// is a conflict, as code says all columns; beside a table or list it is only noted.
func (b *databaseBuilder) another(g *merged, p part, f *spec.Field) bool {
	if p.Extends {
		return true
	}
	for _, other := range g.parts {
		if other.Notation < p.Notation && other.file == p.file && !other.Extends && len(other.Fields) > 0 {
			if other.Notation <= spec.Drizzle {
				b.conflict(other.place(), at(p.file, f.Place, ""), "%s of %s says a field %s that %s does not have", p.Notation, p.Name, f.Name, other.Notation)
				return false
			}
			b.note(at(p.file, f.Place, ""), "the field %s of %s is in %s only", f.Name, p.Name, p.Notation)
			return true
		}
	}
	return true
}

func newFacts(p part, f *spec.Field) *fieldFacts {
	place := at(p.file, f.Place, "")
	said := &saidAt{place, p.Notation}
	facts := &fieldFacts{Field: *f, place: place}
	if f.Type.Name != "" || f.Type.Enum != "" {
		facts.typed = said
	}
	if f.Type.Length != "" || f.Max != "" || f.Min != "" {
		facts.lengths = said
	}
	if len(f.Values) > 0 {
		facts.listed = said
	}
	if f.Optional != spec.Unsaid {
		facts.asked = said
	}
	if f.HasDefault {
		facts.defaulted = said
	}
	if f.Ref != nil {
		facts.referenced = said
	}
	return facts
}

// join adds what a less trusted place says of a field, and tells where it disagrees.
func (b *databaseBuilder) join(g *merged, f, other *fieldFacts) {
	name := g.parts[0].Name + "." + f.Name
	disagree := func(counts, said *saidAt, what, first, second string) {
		if counts.notation == said.notation && counts.File == said.File && counts.Line == said.Line {
			return
		}
		b.conflict(counts.Problem, said.Problem, "%s: %s says %s %s, but %s says %s, which counts", name, said.notation, what, second, counts.notation, first)
	}
	b.joinType(f, other, disagree)
	if f.listed == nil {
		f.listed, f.Values = other.listed, other.Values
	} else if other.listed != nil && !sameSet(f.Values, other.Values) {
		disagree(f.listed, other.listed, "the values", strings.Join(f.Values, ", "), strings.Join(other.Values, ", "))
	}
	if f.asked == nil {
		f.asked, f.Optional, f.explicit = other.asked, other.Optional, other.explicit
	} else if other.asked != nil && f.Optional != other.Optional && !f.Primary {
		words := map[spec.Said]string{spec.Yes: "optional", spec.No: "required"}
		disagree(f.asked, other.asked, "it is", words[f.Optional], words[other.Optional])
	}
	if f.defaulted == nil {
		f.defaulted, f.HasDefault, f.Default = other.defaulted, other.HasDefault, other.Default
	} else if other.defaulted != nil && !sameSQL(f.Default, other.Default) {
		disagree(f.defaulted, other.defaulted, "the default", f.Default, other.Default)
	}
	if f.referenced == nil {
		f.referenced, f.Ref = other.referenced, other.Ref
	} else if other.referenced != nil && spec.Key(f.Ref.Entity) != spec.Key(other.Ref.Entity) {
		disagree(f.referenced, other.referenced, "it refers to", f.Ref.Entity, other.Ref.Entity)
	}
	f.Primary, f.Unique = f.Primary || other.Primary, f.Unique || other.Unique
	f.Identity, f.OnUpdate, f.Indexed = f.Identity || other.Identity, f.OnUpdate || other.OnUpdate, f.Indexed || other.Indexed
	f.Checks = append(f.Checks, other.Checks...)
	f.Doc, f.Scoped = cmp.Or(f.Doc, other.Doc), cmp.Or(f.Scoped, other.Scoped)
	f.AnyCase, f.OrNull = f.AnyCase || other.AnyCase, f.OrNull || other.OrNull
	if strings.ToLower(f.Name) == f.Name && other.Column == "" && f.Column == "" && f.Name != other.Name {
		f.Column, f.Name = f.Name, other.Name // TypeScript keeps the name that people use
	}
}

func (b *databaseBuilder) joinType(f, other *fieldFacts, disagree func(counts, said *saidAt, what, first, second string)) {
	if f.Type.Shape == "" {
		f.Type.Shape = other.Type.Shape
	}
	if f.typed == nil {
		shape := f.Type.Shape
		f.typed, f.Type = other.typed, other.Type
		f.Type.Shape = cmp.Or(f.Type.Shape, shape)
	} else if other.typed != nil {
		switch values := len(f.Values)+len(other.Values) > 0; {
		case !compatible(f.Type, other.Type, values):
			disagree(f.typed, other.typed, "the type", typeText(f.Type), typeText(other.Type))
		case f.typed.notation >= spec.Interface && imprecise(f.Type) && !imprecise(other.Type) && other.Type.Name != "" && !values:
			f.typed, other.Type.Shape = other.typed, f.Type.Shape
			f.Type = other.Type
		}
	}
	mine, theirs := cmp.Or(f.Type.Length, f.Max), cmp.Or(other.Type.Length, other.Max)
	switch {
	case f.lengths == nil:
		if other.lengths != nil {
			f.lengths, f.Min, f.Max = other.lengths, other.Min, theirs
		}
	case other.lengths != nil && mine != "" && theirs != "" && mine != theirs:
		disagree(f.lengths, other.lengths, "at most", mine, theirs)
	case other.lengths != nil:
		f.Min, f.Max = cmp.Or(f.Min, other.Min), cmp.Or(f.Max, theirs)
	}
}

// families are types that a vague word may mean.
var families = map[string]string{ //nolint:gochecknoglobals // a constant table
	"text": "text", "varchar": "text", "char": "text", "citext": "text", "integer": "number", "bigint": "number", "smallint": "number", "numeric": "number",
	"double precision": "number", "real": "number", "timestamp": "timestamp", "timestamptz": "timestamp", "date": "timestamp", "json": "json", "jsonb": "json", "enum": "text",
}

// compatible tells whether two types can be the same, one of them said more exactly.
func compatible(a, b spec.Type, values bool) bool {
	if a.Array != b.Array {
		return a.Name == "jsonb" || b.Name == "jsonb" // a list of anything
	}
	if a.Name == "" || b.Name == "" { // named after an enum or an entity
		return a.Enum == "" || b.Enum == "" || spec.Key(a.Enum) == spec.Key(b.Enum)
	}
	if a.Exact && b.Exact {
		return a.Name == b.Name || families[a.Name] == "text" && families[b.Name] == "text"
	}
	if a.Name == b.Name {
		return true
	}
	family := families[a.Name]
	written := func(as, t spec.Type) bool { // a text may stand for what is written as one
		return !as.Exact && as.Name == "text" && t.Name != "boolean" && families[t.Name] != "number" && !values
	}
	return family != "" && family == families[b.Name] || written(a, b) || written(b, a)
}

// imprecise tells a type that is only said to be a text or a number.
func imprecise(t spec.Type) bool {
	return !t.Exact && (t.Name == "text" || t.Name == "double precision") && t.Length == ""
}

func typeText(t spec.Type) string {
	text := cmp.Or(t.Name, t.Enum)
	if inside := cmp.Or(t.Length, t.Precision); inside != "" {
		text += "(" + inside + ")"
	}
	if t.Array {
		text += "[]"
	}
	return text
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// sameSQL compares expressions without regard to blanks, case and casts.
func sameSQL(a, b string) bool { return normalSQL(a) == normalSQL(b) }

func normalSQL(s string) string {
	s, _, _ = strings.Cut(s, "::")
	var b strings.Builder
	for _, piece := range sqlPiece().FindAllString(s, -1) {
		if piece[0] != '\'' {
			piece = strings.ToLower(strings.Join(strings.Fields(piece), ""))
		}
		b.WriteString(piece)
	}
	return strings.Trim(b.String(), "()")
}

// quoted lists names in a message.
func quoted(names []string) string {
	const most = 40
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
