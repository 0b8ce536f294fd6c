package ir

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// references follows what columns refer to. What leads nowhere is noted, and is no foreign key.
func (b *databaseBuilder) references(t *TableModel) {
	for _, f := range t.merged.facts {
		if f.Ref == nil || f.column == nil {
			continue
		}
		c, place := f.column, f.place
		if f.referenced != nil {
			place = f.referenced.Problem
		}
		b.reference(t, f, c, place)
		if c.Type.Name == "" {
			b.note(place, "inferred: %s.%s is text: nothing says its type", t.Name, c.Name)
			c.Type = spec.Type{Name: "text"}
		}
	}
}

func (b *databaseBuilder) reference(t *TableModel, f *fieldFacts, c *Column, place spec.Problem) {
	g := b.byKey[spec.Key(f.Ref.Entity)]
	if g == nil || g.table == nil {
		b.note(place, "%s.%s refers to %s, which no data model describes: no foreign key is generated", t.Name, c.Name, f.Ref.Entity)
		return
	}
	if f.Ref.Schema != "" {
		b.note(place, "%s.%s refers to %s in the schema %s: this is read as the table of that name here", t.Name, c.Name, f.Ref.Entity, f.Ref.Schema)
	}
	target := g.table
	foreign := target.column(f.Ref.Field)
	if f.Ref.Field == "" {
		for _, candidate := range target.Columns {
			if candidate.Primary {
				foreign = candidate
			}
		}
	}
	switch {
	case foreign == nil:
		b.note(place, "%s.%s refers to %s, which has no column %s: no foreign key is generated", t.Name, c.Name, target.Name, cmp.Or(f.Ref.Field, "that is its key"))
		return
	case c.Type.Name == "" && c.Enum == nil:
		c.Type = foreign.Type
		c.Enum = foreign.Enum
		if c.Type.Name == "" {
			c.Type.Name = "uuid"
		}
		b.note(place, "inferred: %s.%s is %s, as %s.%s is", t.Name, c.Name, typeText(c.Type), target.Name, foreign.Name)
	case vague(f) && families[foreign.Type.Name] == "number" && !c.Type.Array:
		c.Type = foreign.Type
	case !sameKind(c.Type.Name, foreign.Type.Name) || c.Type.Array || c.Enum != foreign.Enum:
		b.conflict(foreign.place, place, "%s.%s is %s and refers to %s.%s, which is %s: no foreign key is generated", t.Name, c.Name, typeText(c.Type), target.Name, foreign.Name, typeText(foreign.Type))
		return
	}
	if !target.identifies(foreign) {
		b.note(place, "%s.%s refers to %s.%s, which is neither a key nor unique: no foreign key is generated", t.Name, c.Name, target.Name, foreign.Name)
		return
	}
	c.References = &ForeignKey{Table: target, Column: foreign, OnDelete: b.action(f.Ref.OnDelete, t, c, place), OnUpdate: b.action(f.Ref.OnUpdate, t, c, place)}
}

// sameKind tells whether a foreign key may have this type and refer to that one.
func sameKind(a, b string) bool {
	whole := []string{"integer", "bigint", "smallint"}
	return a == b || families[a] == "text" && families[b] == "text" || slices.Contains(whole, a) && slices.Contains(whole, b)
}

var actions = []string{"", "cascade", "set null", "set default", "restrict", "no action"} //nolint:gochecknoglobals // a constant table

func (b *databaseBuilder) action(action string, t *TableModel, c *Column, place spec.Problem) string {
	if !slices.Contains(actions, action) {
		b.note(place, "%q is no action of a foreign key: it is not generated", action)
		return ""
	}
	if action == "set null" && c.NotNull {
		b.note(place, "%s.%s is required, so that ON DELETE SET NULL fails whenever it is used", t.Name, c.Name)
	}
	return action
}

// identifies tells whether a column alone is a key or unique.
func (t *TableModel) identifies(c *Column) bool {
	if c.Primary {
		return true
	}
	for _, f := range t.merged.facts {
		if f.column == c && f.Unique {
			return true
		}
	}
	for _, p := range t.merged.parts {
		for _, i := range p.Indexes {
			if i.Unique && i.Where == "" && len(i.Columns) == 1 && t.column(i.Columns[0].Name) == c {
				return true
			}
		}
	}
	return false
}

// statedRelation checks a relation that a data model states against the foreign keys that there are.
func (b *databaseBuilder) statedRelation(m *spec.DataModel, r spec.Relation) {
	place := at(m.File, r.Place, "")
	from, to := b.tableOf(r.From), b.tableOf(r.To)
	if from == nil || to == nil {
		return // of things that are no tables
	}
	switch {
	case r.Field != "":
		if c := from.column(r.Field); c != nil && c.References == nil {
			b.note(place, "%s.%s relates to %s.%s, but is said to be no reference: no foreign key is generated", from.Name, c.Name, to.Name, Snake(r.ToField))
		}
	case r.FromMany && r.ToMany:
		b.note(place, "the relation of many %s to many %s is not generated: it names no table for its pairs", r.From, r.To)
	case !refers(to, from) && !refers(from, to):
		b.note(place, "the relation of %s to %s is not generated: no field of either refers to the other", r.From, r.To)
	case !r.FromMany && !r.ToMany:
		b.oneToOne(from, to, place)
	}
}

func (b *databaseBuilder) tableOf(name string) *TableModel {
	if g := b.byKey[spec.Key(name)]; g != nil {
		return g.table
	}
	return nil
}

func refers(from, to *TableModel) bool {
	return slices.ContainsFunc(from.Columns, func(c *Column) bool { return c.References != nil && c.References.Table == to })
}

// oneToOne makes the only reference from one table to the other unique.
func (b *databaseBuilder) oneToOne(from, to *TableModel, place spec.Problem) {
	for _, pair := range [][2]*TableModel{{to, from}, {from, to}} {
		var keys []*Column
		for _, c := range pair[0].Columns {
			if c.References != nil && c.References.Table == pair[1] {
				keys = append(keys, c)
			}
		}
		if len(keys) != 1 {
			continue
		}
		if c := keys[0]; !c.Primary && c.Unique == "" {
			c.Unique = limited(pair[0].Name + "_" + c.Name + "_unique")
			b.note(place, "inferred: %s.%s is unique, as the relation is one to one", pair[0].Name, c.Name)
		}
		return
	}
}

// relations names both directions of every foreign key.
func (b *databaseBuilder) relations() {
	for _, t := range b.db.Tables {
		for _, c := range t.Columns {
			if c.References == nil {
				continue
			}
			target := c.References.Table
			pairwise := ""
			if manyKeys(t, target) {
				pairwise = t.Name + "_" + c.Name
			}
			name := strings.TrimSuffix(c.Ident, "Id")
			if name == c.Ident {
				name = strings.ToLower(target.Row[:1]) + target.Row[1:]
			}
			t.relate(TableRelation{Name: name, Table: target, Column: c, Foreign: c.References.Column, Pairwise: pairwise}, c.Ident)
			// Drizzle knows no way back by name to one row that may be missing: it is a list of one, or none
			back := TableRelation{Name: Camel(t.Name), Many: c.Unique == "" && !c.Primary || pairwise != "", Table: t, Pairwise: pairwise}
			if !back.Many {
				back.Name = Camel(Singular(t.Name))
			}
			target.relate(back, "by"+Pascal(strings.TrimSuffix(c.Ident, "Id")))
		}
	}
}

// manyKeys tells whether a relation needs a name to be told from others between the same tables.
func manyKeys(t, target *TableModel) bool {
	keys := 0
	for _, pair := range [][2]*TableModel{{t, target}, {target, t}} {
		for _, c := range pair[0].Columns {
			if c.References != nil && c.References.Table == pair[1] {
				keys++
			}
		}
		if t == target {
			return true
		}
	}
	return keys > 1
}

// relate adds a relation under a name that neither a column nor another relation has.
func (t *TableModel) relate(r TableRelation, otherwise string) {
	taken := func(name string) bool {
		return slices.ContainsFunc(t.Columns, func(c *Column) bool { return c.Ident == name }) ||
			slices.ContainsFunc(t.Relations, func(other TableRelation) bool { return other.Name == name })
	}
	if taken(r.Name) {
		r.Name += Pascal(otherwise)
	}
	r.Name = numbered(r.Name, taken)
	t.Relations = append(t.Relations, r)
}

// cycles marks the references whose types TypeScript can't infer: those within a cycle of tables.
func (b *databaseBuilder) cycles() {
	for _, t := range b.db.Tables {
		for _, c := range t.Columns {
			if c.References != nil {
				c.References.Cyclic = reaches(c.References.Table, t, map[*TableModel]bool{})
			}
		}
	}
}

func reaches(from, to *TableModel, seen map[*TableModel]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, c := range from.Columns {
		if c.References != nil && reaches(c.References.Table, to, seen) {
			return true
		}
	}
	return false
}
