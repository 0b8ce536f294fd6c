package spec

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Notation is how a data-model.md writes something down. The smaller one is trusted more.
type Notation uint8

// The notations, in the order of trust.
const (
	SQL Notation = iota
	Prisma
	Drizzle
	Interface
	Table
	Bullets
	Diagram
)

func (n Notation) String() string {
	return [...]string{"SQL", "Prisma", "Drizzle", "the interface", "the table", "the list", "the diagram"}[n]
}

// Place is where something is said. Both count from 1, columns in bytes.
type Place struct{ Line, Column int }

// Said is what a notation says to a question of yes or no; Unsaid where it says nothing.
type Said uint8

// The answers.
const (
	Unsaid Said = iota
	Yes
	No
)

// DataModel is what one data-model.md says, notation by notation, nothing of it merged or completed.
type DataModel struct {
	File      string
	Entities  []Entity
	Enums     []Enum
	Relations []Relation
	Notes     Problems // what was not read, and why
}

// Entity is a table as one notation describes it at one place.
type Entity struct {
	Place
	Notation Notation
	Name     string // as it stands there: SecretMapping, or secret_mappings
	IsTable  bool   // the name is that of the table, as in SQL
	Table    string // the table's name, where it stands beside the entity's
	Extends  bool   // it adds to an entity that is described elsewhere
	IndexOf  bool   // only indexes, of a table that is described elsewhere
	Doc      string
	Fields   []Field
	Indexes  []Index
	Checks   []Check
}

// Field is a column, or a member of a JSON object.
type Field struct {
	Place
	Name       string
	Column     string // the column's name, where it stands beside the field's
	Type       Type
	Min, Max   string // lengths of a text, or limits of a number
	Values     []string
	Optional   Said
	OrNull     bool // null stood among values without quotes, as if it were one of them
	Primary    bool
	Unique     bool
	Indexed    bool
	Identity   bool // numbered by the database
	Always     bool // with Identity: nobody else may give the number
	OnUpdate   bool // set to the present time on every update
	Default    string
	HasDefault bool   // Default is an expression of SQL, literals included
	Vague      string // a default that does not say what it is, as "auto"
	Ref        *Reference
	Checks     []Check
	Members    []Field // of a JSON object
	Scoped     string  // "unique per org": unique together with something
	AnyCase    bool    // "case-insensitive", of a unique text
	Doc        string
}

// Reference is a foreign key. Field is empty where only the entity is named.
type Reference struct {
	Schema             string // another one than public, if it is said
	Entity, Field      string
	OnDelete, OnUpdate string // in small letters, or empty
}

// Index is an index, a unique constraint or a primary key over several columns.
type Index struct {
	Place
	Name    string
	Columns []IndexColumn
	Unique  bool
	Primary bool
	Where   string // SQL, with names as the notation writes them
	Using   string
}

// IndexColumn is a column, or else an expression.
type IndexColumn struct {
	Name, Expression string
	Descending       bool
	NullsLast        bool // of a descending one
}

// Check is a condition in SQL, with names as the notation writes them.
type Check struct{ Name, Expression string }

// Enum is a named list of values.
type Enum struct {
	Place
	Name   string
	Values []string
}

// Relation says how many rows belong together: One, to Many or to one.
type Relation struct {
	Place
	From, To         string
	FromMany, ToMany bool
	Field, ToField   string // where the relation names fields
}

// Limits of one data-model.md.
const (
	maxLineLength = 64 << 10
	maxMarks      = 60 // of nesting at the beginning of a line
	maxEntities   = 2000
	maxFields     = 2000 // of an entity
)

// ParseDataModel reads a data-model.md in all notations that it knows. Problems are of the file as a
// whole; what it can't make sense of is noted.
func ParseDataModel(file string, data []byte) (*DataModel, Problems) {
	if problems := checkMarkdown(file, data); len(problems) > 0 {
		return nil, problems
	}
	r := newModelReader(file, data)
	for _, s := range r.sections() {
		r.section(s)
	}
	if len(r.model.Entities) > maxEntities {
		return nil, Problems{{File: file, Line: 1, Column: 1, Message: fmt.Sprintf("the file describes more than %d entities", maxEntities)}}
	}
	for _, e := range r.model.Entities {
		if len(e.Fields) > maxFields {
			return nil, Problems{{File: file, Line: e.Line, Column: e.Column, Message: fmt.Sprintf("%s has more than %d fields", shorten(e.Name), maxFields)}}
		}
	}
	r.model.Notes = r.model.Notes.Sorted()
	return r.model, nil
}

// checkMarkdown refuses what would cost a Markdown parser time without bounds.
func checkMarkdown(file string, data []byte) Problems {
	if len(data) > maxMarkdown {
		return Problems{{File: file, Line: 1, Column: 1, Message: "the file is larger than 4 MB"}}
	}
	if !utf8.Valid(data) {
		return Problems{invalidUTF8(file, data)}
	}
	line := 0
	for text := range strings.Lines(string(data)) {
		line++
		if len(text) > maxLineLength {
			return Problems{{File: file, Line: line, Column: 1, Message: fmt.Sprintf("the line is longer than %d KB", maxLineLength>>10)}}
		}
		if strings.ContainsRune(text, 0) {
			return Problems{{File: file, Line: line, Column: 1, Message: "the line has a character of value 0"}}
		}
		if marks(text) > maxMarks {
			return Problems{{File: file, Line: line, Column: 1, Message: fmt.Sprintf("the line is nested deeper than %d levels", maxMarks)}}
		}
	}
	return nil
}

// marks estimates how many blocks a line opens or continues at most.
func marks(line string) int {
	depth, spaces := 0, 0
	for _, c := range line {
		switch {
		case c == ' ':
			spaces++
		case c == '\t':
			spaces += 4
		case strings.ContainsRune(">-*+.)", c), c >= '0' && c <= '9':
			depth++
		default:
			return depth + spaces/2
		}
	}
	if strings.Trim(line, "-*_= \t\r\n") == "" {
		return 0 // a rule, or an empty line
	}
	return depth + spaces/2
}

// Key is a name without case, separators and the plural: SecretMapping and secret_mappings are one.
func Key(name string) string {
	key := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == '_' || r == '-' || r == ' ' || r == '.':
			return -1
		}
		return r
	}, name)
	switch {
	case len(key) > 4 && strings.HasSuffix(key, "ies"):
		return key[:len(key)-3] + "y"
	case len(key) > 4 && slices.ContainsFunc([]string{"sses", "xes", "ches", "shes", "uses"}, func(end string) bool { return strings.HasSuffix(key, end) }):
		return key[:len(key)-2]
	case len(key) > 2 && strings.HasSuffix(key, "s") && !strings.HasSuffix(key, "ss") && !strings.HasSuffix(key, "us"):
		return key[:len(key)-1]
	}
	return key
}
