package ir

import (
	"slices"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// direction is which way a value goes.
type direction int

const (
	intoTable direction = iota
	outOfTable
)

// partOf tells whether a column holds what a schema describes, in the form that the contract has, and why not.
func partOf(name string, s *Schema, c *Column, way direction) (CRUDPart, string) {
	part := CRUDPart{Name: name, Column: c}
	target, nullable := scalar(s)
	part.Nullable = nullable
	if c.Type.Array {
		return part, listOf(target, c, way)
	}
	why := ""
	part.Number, why = holds(target, c, way)
	return part, why
}

// scalar follows to what says something, past a choice of that and null.
func scalar(s *Schema) (*Schema, bool) {
	nullable := s.TakesNull()
	for range maxRefs {
		s = s.Deref()
		branches := append(slices.Clone(s.Any), s.One...)
		rest := slices.DeleteFunc(branches, func(b *Schema) bool { return b.Ref == nil && b.Types == Null })
		if len(rest) != 1 || len(s.All) > 0 {
			break
		}
		nullable = nullable || len(s.Any)+len(s.One) > 1
		s = rest[0]
		nullable = nullable || s.TakesNull()
	}
	return s, nullable
}

func listOf(s *Schema, c *Column, way direction) string {
	if s.Types != Array || s.Items == nil || len(s.Prefix) > 0 || s.combined() {
		return "the column holds a list"
	}
	item, nullable := scalar(s.Items)
	if nullable {
		return "its items may be null"
	}
	number, why := holds(item, c, way)
	if number || why == "" && temporal(c) {
		why = "lists of " + c.Type.Name + " are not converted"
	}
	return why
}

func temporal(c *Column) bool { return c.Type.Name == "timestamp" || c.Type.Name == "timestamptz" }

// holds compares a schema with the type of a column, or of its items.
func holds(s *Schema, c *Column, way direction) (number bool, why string) {
	if s.combined() || s.ruled() || s.Never {
		return false, "it is one of several things"
	}
	values := c.Values
	if c.Enum != nil {
		values = c.Enum.Values
	}
	types := s.Types
	if types == 0 && s.Enum != nil && !slices.ContainsFunc(s.Enum, func(v *spec.Node) bool { return v.Kind != spec.String }) {
		types = String
	}
	text := types == String
	kind := c.Type.Name
	if c.Enum != nil {
		kind = "text"
	}
	switch kind {
	case "json", "jsonb":
		return false, jsonHolds(types)
	case "integer", "smallint", "bigint", "serial", "bigserial", "smallserial":
		if types != Integer && (types != Number || way == intoTable) {
			return false, "the column holds whole numbers"
		}
	case "real", "double precision":
		if types != Number && (types != Integer || way == outOfTable) {
			return false, "the column holds numbers"
		}
	case "numeric":
		if number = types == Number || types == Integer && way == intoTable; !number && !text {
			return false, "the column holds exact numbers"
		}
	case "boolean":
		if types != Boolean {
			return false, "the column holds true or false"
		}
	case "timestamp", "timestamptz":
		if !text || s.Format != "date-time" {
			return false, "the column holds a time, which wants the format date-time"
		}
	case "date":
		if !text || s.Format != "date" {
			return false, "the column holds a day, which wants the format date"
		}
	case "time":
		if !text || s.Format == "time" || s.Format == "binary" {
			return false, "the column holds a time of day without an offset, which the format time wants"
		}
	case "uuid", "text", "varchar", "char", "inet", "cidr", "macaddr", "":
		if !text || s.Format == "binary" {
			return false, "the column holds text"
		}
	default:
		return false, "values of " + c.Type.Name + " are not converted"
	}
	return number, enumHolds(s, values, way)
}

// jsonHolds: a text or a number as JSON would be a column of that type.
func jsonHolds(types Types) string {
	if types&^(Object|Array) != 0 {
		return "the column holds JSON"
	}
	return ""
}

// enumHolds compares lists of values: what is written must be among the column's, what is read among the contract's.
func enumHolds(s *Schema, values []string, way direction) string {
	var said []string
	for _, v := range s.Enum {
		said = append(said, v.Text)
	}
	within := func(some, all []string) bool {
		return !slices.ContainsFunc(some, func(v string) bool { return !slices.Contains(all, v) })
	}
	switch {
	case way == intoTable && len(values) > 0 && (len(said) == 0 || !within(said, values)):
		return "the contract takes values that the column does not"
	case way == outOfTable && len(said) > 0 && (len(values) == 0 || !within(values, said)):
		return "the column holds values that the contract has not"
	}
	return ""
}
