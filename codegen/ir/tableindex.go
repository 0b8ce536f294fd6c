package ir

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// indexes makes the indexes and unique constraints of a table.
func (b *databaseBuilder) indexes(t *TableModel) {
	for _, f := range t.merged.facts {
		if f.column == nil {
			continue
		}
		if f.Unique && !f.column.Primary {
			f.column.Unique = limited(t.Name + "_" + f.column.Name + "_unique")
		}
	}
	from := map[string]part{} // by columns
	for _, p := range t.merged.parts {
		for _, i := range p.Indexes {
			if i.Primary {
				continue
			}
			index, ok := b.index(t, p, i)
			if !ok {
				continue
			}
			key := columnsKey(index)
			if other, ok := from[key]; ok {
				b.sameColumns(t, index, other, p, i.Place)
				continue
			}
			from[key] = p
			if full := fullStatement(t, p); full != nil {
				b.note(at(p.file, i.Place, ""), "the index of %s is in %s only, not in %s", t.Name, p.Notation, full.Notation)
			}
			b.addIndex(t, index)
		}
	}
	for _, f := range t.merged.facts {
		if f.column != nil && f.Indexed && !f.column.Primary && f.column.Unique == "" {
			index := TableIndex{Columns: []IndexPart{{Column: f.column}}}
			if _, ok := from[columnsKey(index)]; !ok {
				b.addIndex(t, index)
			}
		}
		b.scoped(t, f)
		b.anyCase(t, f)
	}
}

// fullStatement is a more trusted notation of the same file that says all of a table.
func fullStatement(t *TableModel, p part) *part {
	for i := range t.merged.parts {
		other := &t.merged.parts[i]
		if other.Notation < p.Notation && other.Notation <= spec.Drizzle && other.file == p.file && len(other.Fields) > 0 {
			return other
		}
	}
	return nil
}

// anyCase notes what is said to be unique whatever the case: the constraint tells cases apart.
func (b *databaseBuilder) anyCase(t *TableModel, f *fieldFacts) {
	if f.AnyCase && f.column != nil && (f.Unique || f.Scoped != "") {
		b.note(f.place, "%s.%s is said to be unique case-insensitively, but a and A differ in the constraint that is generated", t.Name, f.column.Name)
	}
}

// scoped looks for the constraint that "unique per org" speaks of.
func (b *databaseBuilder) scoped(t *TableModel, f *fieldFacts) {
	if f.Scoped == "" || f.column == nil {
		return
	}
	for _, i := range t.Indexes {
		if i.Unique && slices.ContainsFunc(i.Columns, func(p IndexPart) bool { return p.Column == f.column }) {
			return
		}
	}
	for _, name := range []string{f.Scoped, f.Scoped + "Id"} {
		if c := t.column(strings.ReplaceAll(name, " ", "")); c != nil {
			b.note(f.place, "inferred: %s and %s of %s are unique together", c.Name, f.column.Name, t.Name)
			b.addIndex(t, TableIndex{Unique: true, Columns: []IndexPart{{Column: c}, {Column: f.column}}})
			return
		}
	}
	b.note(f.place, "%s.%s is unique per %s, which is no column: nothing is generated of it", t.Name, f.column.Name, f.Scoped)
}

func (b *databaseBuilder) index(t *TableModel, p part, i spec.Index) (TableIndex, bool) {
	index := TableIndex{Name: i.Name, Unique: i.Unique, Using: i.Using}
	for _, c := range i.Columns {
		if c.Expression != "" {
			sql, _ := expression(c.Expression, t.columnName)
			index.Columns = append(index.Columns, IndexPart{Expression: sql, Descending: c.Descending, NullsLast: c.NullsLast})
			continue
		}
		column := t.column(c.Name)
		if column == nil {
			b.note(at(p.file, i.Place, ""), "%s has no column %s: its index is not generated", t.Name, c.Name)
			return TableIndex{}, false
		}
		index.Columns = append(index.Columns, IndexPart{Column: column, Descending: c.Descending, NullsLast: c.NullsLast})
	}
	if i.Where != "" {
		sql, unknown := expression(i.Where, t.columnName)
		if len(unknown) > 0 && p.Notation > spec.Drizzle {
			b.note(at(p.file, i.Place, ""), "the condition %q of an index of %s is no SQL: the index is not generated", i.Where, t.Name)
			return TableIndex{}, false
		}
		index.Where = sql
	}
	return index, len(index.Columns) > 0
}

func (t *TableModel) columnName(name string) (string, bool) {
	if c := t.column(name); c != nil {
		return c.Name, true
	}
	return "", false
}

func columnsKey(i TableIndex) string {
	var b strings.Builder
	for _, p := range i.Columns {
		b.WriteString(p.Expression)
		if p.Column != nil {
			b.WriteString(p.Column.Name)
		}
		b.WriteByte(',')
	}
	b.WriteString(normalSQL(i.Where))
	return b.String()
}

// uniqueAnyway tells an index over a column that is unique by itself.
func (t *TableModel) uniqueAnyway(index TableIndex) bool {
	if len(index.Columns) != 1 || index.Columns[0].Column == nil {
		return false
	}
	f := t.merged.byKey[fieldKey(index.Columns[0].Column.Name)]
	return f != nil && (f.Unique || f.Primary)
}

// sameColumns tells of a second index over the same columns that is another one. A list of indexes for speed does not
// deny what the table itself says to be unique.
func (b *databaseBuilder) sameColumns(t *TableModel, index TableIndex, other, p part, place spec.Place) {
	for i := range t.Indexes {
		old := &t.Indexes[i]
		if columnsKey(*old) == columnsKey(index) && old.Unique != index.Unique && other.Notation != p.Notation && !t.uniqueAnyway(index) {
			if other.IndexOf && index.Unique && !slices.ContainsFunc(t.merged.parts, func(q part) bool { return q.Notation == other.Notation && len(q.Fields) > 0 }) {
				old.Unique = true
				b.note(at(p.file, place, ""), "inferred: the index %s of %s is unique, as %s says", old.Name, t.Name, p.Notation)
				return
			}
			b.conflict(other.place(), at(p.file, place, ""), "%s says another index over the same columns of %s than %s: only one of them is unique", p.Notation, t.Name, other.Notation)
		}
	}
}

// addIndex names an index. One unique column without a condition is the column's own constraint.
func (b *databaseBuilder) addIndex(t *TableModel, index TableIndex) {
	single := len(index.Columns) == 1 && index.Columns[0].Column != nil && !index.Columns[0].Descending
	if index.Unique && single && index.Where == "" && index.Using == "" {
		c := index.Columns[0].Column
		if c.Primary {
			return
		}
		if index.Name != "" || c.Unique == "" {
			c.Unique = cmp.Or(index.Name, limited(t.Name+"_"+c.Name+"_unique"))
		}
		return
	}
	if index.Name == "" {
		words := []string{t.Name}
		for _, p := range index.Columns {
			if p.Column != nil {
				words = append(words, p.Column.Name)
			} else {
				words = append(words, "expression")
			}
		}
		suffix := "idx"
		if index.Unique {
			suffix = "unique"
		}
		index.Name = strings.Join(append(words, suffix), "_")
	}
	index.Name = numbered(limited(index.Name), b.indexNamed)
	t.Indexes = append(t.Indexes, index)
}

// indexNamed tells whether a name is taken: indexes of all tables share them.
func (b *databaseBuilder) indexNamed(name string) bool {
	return slices.ContainsFunc(b.db.Tables, func(t *TableModel) bool {
		return t.Name == name || slices.ContainsFunc(t.Indexes, func(i TableIndex) bool { return i.Name == name }) ||
			slices.ContainsFunc(t.Columns, func(c *Column) bool { return c.Unique == name })
	})
}

// checks makes the named checks of a table. Conditions in prose count only where every word of them is a
// column or SQL.
func (b *databaseBuilder) checks(t *TableModel) {
	seen := map[string]bool{}
	listed := map[*Column]string{} // the check of a column's values
	add := func(check spec.Check, c *Column, trusted bool, place spec.Problem) {
		sql, unknown := expression(check.Expression, t.columnName)
		if len(unknown) > 0 && !trusted {
			b.note(place, "nothing is generated of the constraint %q: %s has no %s", check.Expression, t.Name, unknown[0])
			return
		}
		if strings.Count(sql, "'")%2 != 0 {
			b.note(place, "a check of %s has a text without an end: it is not generated", t.Name)
			return
		}
		if sql == "" || seen[normalSQL(sql)] {
			return
		}
		seen[normalSQL(sql)] = true
		if c != nil && strings.HasPrefix(sql, c.Name+" IN (") && !strings.Contains(sql, " OR ") {
			if first := listed[c]; first != "" {
				b.conflict(c.place, place, "%s is checked twice: %s, but %s is said first, and counts", c.Name, sql, first)
				return
			}
			listed[c] = sql
		}
		name := check.Name
		if name == "" {
			name = t.Name + checkSuffix(sql)
			if c != nil {
				name = t.Name + "_" + c.Name + checkSuffix(sql)
			}
		}
		name = numbered(limited(name), func(n string) bool {
			return slices.ContainsFunc(t.Checks, func(old spec.Check) bool { return old.Name == n })
		})
		t.Checks = append(t.Checks, spec.Check{Name: name, Expression: sql})
	}
	for _, f := range t.merged.facts {
		if f.column == nil || f.column.Enum != nil && len(f.Checks) == 0 {
			continue
		}
		for _, check := range f.Checks {
			add(check, f.column, f.typed != nil && f.typed.notation <= spec.Drizzle, f.place)
		}
	}
	for _, p := range t.merged.parts {
		for _, check := range p.Checks {
			add(check, firstColumn(t, check.Expression), p.Notation <= spec.Drizzle, p.place())
		}
	}
}

// checkSuffix tells what a check is about, so that a column's checks have names that last.
func checkSuffix(sql string) string {
	switch {
	case strings.HasPrefix(sql, "char_length("), strings.HasPrefix(sql, "cardinality("):
		return "_length_check"
	case strings.Contains(sql, " IN ("), strings.Contains(sql, " <@ ARRAY["):
		return "_values_check"
	case strings.Contains(sql, " ~ "):
		return "_pattern_check"
	}
	return "_check"
}

// firstColumn is the column that a condition begins with.
func firstColumn(t *TableModel, text string) *Column {
	for _, piece := range sqlPiece().FindAllString(text, -1) {
		if c := t.column(piece); c != nil {
			return c
		}
	}
	return nil
}
