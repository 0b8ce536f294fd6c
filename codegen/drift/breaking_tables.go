package drift

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// tables tells of tables that are gone, and of other primary keys.
func (c *comparison) tables() {
	removed, added := c.removed(TablePromise), c.added(TablePromise)
	for _, name := range removed {
		note := fmt.Sprintf("Deploy code that does not use the table first, keep a copy of its rows, then: DROP TABLE %s;", quoteName(name))
		if len(removed) == 1 && len(added) == 1 {
			note += fmt.Sprintf(" If it only has a new name: ALTER TABLE %s RENAME TO %s;", quoteName(name), quoteName(added[0]))
		}
		c.add(TablePromise, name, note)
	}
	for _, name := range c.kept(TablePromise) {
		was, is := c.old[TablePromise][name], c.next[TablePromise][name]
		if was == "" || was == is {
			continue
		}
		note := fmt.Sprintf("It had %s, and has %s: references to the old key and upserts by it fail.", was, is)
		if columns, found := strings.CutPrefix(is, "primary key "); found {
			note += fmt.Sprintf(" Make sure that the new one is there once in each row, drop the constraint of the old one, then: ALTER TABLE %s ADD PRIMARY KEY %s;", quoteName(name), quoteNames(columns))
		}
		c.add(TablePromise, name, note)
	}
}

// columns tells of columns that are gone, new ones that rows have no value for, and types and NOT NULL that values
// may not fit.
func (c *comparison) columns() {
	removed, added := c.removed(ColumnPromise), c.added(ColumnPromise)
	for _, name := range removed {
		table, column, _ := strings.Cut(name, ".")
		if c.old.has(TablePromise, table) && !c.next.has(TablePromise, table) {
			continue
		}
		note := fmt.Sprintf("Deploy code that does not use the column first, keep a copy of its values, then: ALTER TABLE %s DROP COLUMN %s;", quoteName(table), quoteName(column))
		of := func(name string) bool { return !strings.HasPrefix(name, table+".") }
		went, came := slices.DeleteFunc(slices.Clone(removed), of), slices.DeleteFunc(slices.Clone(added), of)
		if len(went) == 1 && len(came) == 1 {
			note += fmt.Sprintf(" If it only has a new name: ALTER TABLE %s RENAME COLUMN %s TO %s;", quoteName(table), quoteName(column), quoteName(strings.TrimPrefix(came[0], table+".")))
		}
		c.add(ColumnPromise, name, note)
	}
	for _, name := range added {
		table, column, _ := strings.Cut(name, ".")
		kind, notNull, filled := columnFact(c.next[ColumnPromise][name])
		if c.old[TablePromise][table] != "" && c.next.has(TablePromise, table) && notNull && !filled {
			c.add(ColumnPromise, name, fmt.Sprintf("Rows that are there have no value for this new column. Give it a default, or: ALTER TABLE %[1]s ADD COLUMN %[2]s %[3]s; fill it in every row; then: ALTER TABLE %[1]s ALTER COLUMN %[2]s SET NOT NULL;", quoteName(table), quoteName(column), kind))
		}
	}
	for _, name := range c.kept(ColumnPromise) {
		c.column(name)
	}
}

func (c *comparison) column(name string) {
	if c.old[ColumnPromise][name] == "" {
		return
	}
	table, column, _ := strings.Cut(name, ".")
	was, wasNotNull, _ := columnFact(c.old[ColumnPromise][name])
	is, notNull, _ := columnFact(c.next[ColumnPromise][name])
	var notes []string
	if !holds(is, was) {
		notes = append(notes, fmt.Sprintf("It was %s, and is %s. Look for values that don't fit and change them, deploy code that takes both, then: ALTER TABLE %s ALTER COLUMN %s TYPE %s USING %s::%s;",
			was, is, quoteName(table), quoteName(column), is, quoteName(column), is))
	}
	if notNull && !wasNotNull {
		notes = append(notes, fmt.Sprintf("It may not be null any more. Give it a value in the rows without one (SELECT count(*) FROM %[1]s WHERE %[2]s IS NULL;), then: ALTER TABLE %[1]s ALTER COLUMN %[2]s SET NOT NULL;", quoteName(table), quoteName(column)))
	}
	if len(notes) > 0 {
		c.add(ColumnPromise, name, strings.Join(notes, " "))
	}
}

// columnFact splits what is promised of a column.
func columnFact(fact string) (kind string, notNull, filled bool) {
	fact, filled = strings.CutSuffix(fact, DefaultFact)
	fact, notNull = strings.CutSuffix(fact, NotNullFact)
	return fact, notNull, filled
}

// larger are types that hold every value of the one, without loss.
var larger = map[string][]string{ //nolint:gochecknoglobals // a constant table
	"smallint": {"integer", "bigint", "numeric"}, "integer": {"bigint", "numeric"}, "bigint": {"numeric"},
	"real": {"double precision"}, "varchar": {"text"}, "char": {"text", "varchar"},
}

// holds tells whether a type has room for every value of another.
func holds(is, was string) bool {
	if is == was {
		return true
	}
	kind, size, _ := strings.Cut(strings.TrimSuffix(is, ")"), "(")
	old, oldSize, _ := strings.Cut(strings.TrimSuffix(was, ")"), "(")
	if slices.Contains(larger[old], kind) && size == "" {
		return true
	}
	if kind != old && (old != "char" || kind != "varchar") || kind == "vector" {
		return false
	}
	if size == "" {
		return true
	}
	digits, scale, _ := strings.Cut(size, ",")
	oldDigits, oldScale, _ := strings.Cut(oldSize, ",")
	return strings.TrimSpace(scale) == strings.TrimSpace(oldScale) && atLeast(digits, oldDigits)
}

func atLeast(size, old string) bool {
	now, err := strconv.Atoi(size)
	before, oldErr := strconv.Atoi(old)
	return err == nil && oldErr == nil && now >= before
}

// uniques tells of rows that must be different now, and of those that need not be any more.
func (c *comparison) uniques() {
	for _, name := range c.removed(UniquePromise) {
		table, columns := uniqueParts(name)
		if !c.next.has(TablePromise, table) || slices.ContainsFunc(columns, func(column string) bool { return !c.next.has(ColumnPromise, table+"."+column) }) {
			continue // that is told
		}
		c.add(UniquePromise, name, "There may be several such rows now: code that upserts by it (ON CONFLICT), or expects one row, fails. Change that code first.")
	}
	for _, name := range c.added(UniquePromise) {
		table, columns := uniqueParts(name)
		if c.old[TablePromise][table] == "" || !c.next.has(TablePromise, table) || slices.ContainsFunc(columns, func(column string) bool { return !c.old.has(ColumnPromise, table+"."+column) }) {
			continue // no row has a value in it
		}
		note := "Rows that are there may be equal in it: make them different first."
		if len(columns) > 0 {
			list := quoteNames("(" + strings.Join(columns, ", ") + ")")
			list = list[1 : len(list)-1]
			note += fmt.Sprintf(" They are found by: SELECT %[1]s FROM %[2]s GROUP BY %[1]s HAVING count(*) > 1;", list, quoteName(table))
		}
		c.add(UniquePromise, name, note)
	}
}

// uniqueParts are the table of a name such as products (shop, name), and the columns if they are no expressions.
func uniqueParts(name string) (table string, columns []string) {
	table, rest, _ := strings.Cut(name, " (")
	rest, where, _ := strings.Cut(rest, ")")
	if where != "" && !strings.HasPrefix(where, " where ") || strings.Contains(rest, "(") {
		return table, nil
	}
	return table, strings.Split(rest, ", ")
}

// quoteNames does it for a list in parentheses.
func quoteNames(list string) string {
	names := strings.Split(strings.Trim(list, "()"), ", ")
	for i := range names {
		names[i] = quoteName(names[i])
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// enums tells of values that columns can't have any more.
func (c *comparison) enums() {
	removed, added, choices := c.removed(EnumPromise), c.added(EnumPromise), c.next.choices(EnumPromise)
	for _, name := range removed {
		owner, value := chosen(name)
		if !choices[owner] {
			continue // the column has another type, or there is no check any more
		}
		note := "Give the rows that have this value another one first; then replace the check of the column."
		if !strings.Contains(owner, ".") {
			note = fmt.Sprintf("Give the rows that have this value another one first. Postgres can't take a value out of a type: make a new type, ALTER TABLE … ALTER COLUMN … TYPE the new one USING …::text::…, then: DROP TYPE %s;", quoteName(owner))
			of := func(name string) bool { other, _ := chosen(name); return other != owner }
			went, came := slices.DeleteFunc(slices.Clone(removed), of), slices.DeleteFunc(slices.Clone(added), of)
			if len(went) == 1 && len(came) == 1 {
				_, renamed := chosen(came[0])
				note += fmt.Sprintf(" If it only has a new name: ALTER TYPE %s RENAME VALUE %s TO %s;", quoteName(owner), quoteText(value), quoteText(renamed))
			}
		}
		c.add(EnumPromise, name, note)
	}
}

// chosen splits the name of a value into what has it, and the value.
func chosen(name string) (owner, value string) {
	owner, value, _ = strings.Cut(name, ": ")
	return owner, value
}

// choices is what lists its values.
func (p Promises) choices(kind string) map[string]bool {
	owners := map[string]bool{}
	for name := range p[kind] {
		owner, _ := chosen(name)
		owners[owner] = true
	}
	return owners
}

func quoteText(value string) string { return "'" + strings.ReplaceAll(value, "'", "''") + "'" }
