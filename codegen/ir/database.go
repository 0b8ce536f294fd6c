package ir

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// Database is what the data models of all features say together.
type Database struct {
	Enums     []*Enum
	Tables    []*TableModel // in the order in which the features describe them
	Notes     spec.Problems // what was inferred, and what is not generated
	Conflicts spec.Problems // where notations or features disagree; the more trusted one counts here
}

// Enum is a type of Postgres with a list of values.
type Enum struct {
	Name, Ident string
	Values      []string
}

// TableModel is one table.
type TableModel struct {
	Name, Ident  string // projects, projects
	Row          string // the name of a row's type: Project
	Doc          string
	File         string // the data-model.md that describes it first
	Columns      []*Column
	PrimaryKey   []*Column // of several columns; a single one is the column's own
	Indexes      []TableIndex
	Checks       []spec.Check // all named
	Relations    []TableRelation
	Requirements []string // ids that name the entity
	merged       *merged
}

// Column is a column of a table.
type Column struct {
	Name, Ident string
	Type        spec.Type // its name is one of Postgres; Enum is unused
	Enum        *Enum
	Values      []string // of a text that holds only these; a check says so, too
	NotNull     bool
	Primary     bool
	Unique      string // the constraint's name, or empty
	Identity    bool
	Always      bool   // with Identity: nobody else may give the number
	Default     string // an expression of SQL, or empty
	OnUpdate    bool
	References  *ForeignKey
	Doc         string
	place       spec.Problem // where it is said, without a message
}

// ForeignKey is a column's reference. Cyclic says that the tables refer to each other.
type ForeignKey struct {
	Table              *TableModel
	Column             *Column
	OnDelete, OnUpdate string // in small letters, or empty
	Cyclic             bool
}

// TableIndex is an index, or a unique constraint of several columns.
type TableIndex struct {
	Name    string
	Unique  bool
	Columns []IndexPart
	Where   string
	Using   string
}

// IndexPart is a column, or else an expression.
type IndexPart struct {
	Column     *Column
	Expression string
	Descending bool
	NullsLast  bool
}

// TableRelation is one direction of a foreign key, as queries follow it.
type TableRelation struct {
	Name     string
	Many     bool
	Table    *TableModel // the other one
	Column   *Column     // of this table, if it holds the key; nil in the other direction
	Foreign  *Column     // what it refers to
	Pairwise string      // names the key where two tables have several; or empty
}

// BuildDatabase makes one database of the data models of all features, in their order.
func BuildDatabase(models []*spec.DataModel) *Database {
	b := &databaseBuilder{db: &Database{}, byKey: map[string]*merged{}, enums: map[string]*Enum{}, idents: map[string]bool{}}
	for _, m := range models {
		b.db.Notes = append(b.db.Notes, m.Notes...)
		for i := range m.Enums {
			b.statedEnum(m, &m.Enums[i])
		}
		for i := range m.Entities {
			b.collect(m, &m.Entities[i])
		}
	}
	for _, g := range b.groups {
		b.merge(g)
	}
	for _, g := range b.groups {
		b.table(g)
	}
	for _, t := range b.db.Tables {
		b.references(t)
	}
	for _, t := range b.db.Tables {
		b.indexes(t)
		b.checks(t)
	}
	for _, m := range models {
		for _, r := range m.Relations {
			b.statedRelation(m, r)
		}
	}
	b.relations()
	b.cycles()
	b.db.Notes = b.db.Notes.Sorted()
	b.db.Conflicts = b.db.Conflicts.Sorted()
	return b.db
}

type databaseBuilder struct {
	db     *Database
	groups []*merged
	byKey  map[string]*merged
	enums  map[string]*Enum // by key of the stated name
	idents map[string]bool
}

// at makes a note's place.
func at(file string, p spec.Place, format string, args ...any) spec.Problem {
	return spec.Problem{File: file, Line: p.Line, Column: p.Column, Message: fmt.Sprintf(format, args...)}
}

func (b *databaseBuilder) note(p spec.Problem, format string, args ...any) {
	p.Message = fmt.Sprintf(format, args...)
	b.db.Notes = append(b.db.Notes, p)
}

// conflict tells of two places that disagree. The first is the one that counts.
func (b *databaseBuilder) conflict(counts, other spec.Problem, format string, args ...any) {
	other.Message = fmt.Sprintf(format, args...)
	if counts.File != "" {
		other.Message += fmt.Sprintf(" (%s:%d:%d)", counts.File, counts.Line, counts.Column)
	}
	b.db.Conflicts = append(b.db.Conflicts, other)
}

func (b *databaseBuilder) statedEnum(m *spec.DataModel, e *spec.Enum) {
	if len(e.Values) == 0 {
		return
	}
	key := spec.Key(e.Name)
	if other, ok := b.enums[key]; ok {
		if !slices.Equal(other.Values, e.Values) {
			b.conflict(spec.Problem{}, at(m.File, e.Place, ""), "the enum %s has other values elsewhere: %s", e.Name, strings.Join(other.Values, ", "))
		}
		return
	}
	b.enums[key] = b.enum(Snake(e.Name), e.Values)
}

// enum makes an enum with a name of its own.
func (b *databaseBuilder) enum(name string, values []string) *Enum {
	taken := func(n string) bool {
		return slices.ContainsFunc(b.db.Enums, func(e *Enum) bool { return e.Name == n })
	}
	e := &Enum{Name: numbered(limited(name), taken), Values: values}
	e.Ident = b.ident(Camel(e.Name)+"Enum", "")
	b.db.Enums = append(b.db.Enums, e)
	return e
}

// numbered adds a number to a name that is taken.
func numbered(name string, taken func(string) bool) string {
	for n, base := 2, name; taken(name); n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	return name
}

// ident makes an identifier that nothing else in the module has.
func (b *databaseBuilder) ident(name, suffix string) string {
	ident := name
	if slices.Contains(drizzleNames, ident) || slices.Contains(reserved, ident) {
		ident += suffix
	}
	if slices.Contains(drizzleNames, ident) || slices.Contains(reserved, ident) {
		ident += "_"
	}
	for n, base := 2, ident; b.idents[ident]; n++ {
		ident = fmt.Sprintf("%s%d", base, n)
	}
	b.idents[ident] = true
	return ident
}

// drizzleNames are what a module of tables imports.
var drizzleNames = strings.Fields( //nolint:gochecknoglobals // a constant table
	`relations sql Record Date Error Map Promise AnyPgColumn bigint boolean bytea char check cidr customType date doublePrecision index inet integer interval json jsonb macaddr numeric
	pgEnum pgTable primaryKey real smallint text time timestamp unique uniqueIndex uuid varchar vector`)
