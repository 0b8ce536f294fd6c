package migration

import (
	"fmt"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	maxFindings = 100 // of one set of migrations
	maxChanges  = 20  // DELETE and UPDATE in one statement: each is looked at up to the end
)

// Destructive names, in their order, the statements of pending migrations that lose data, that fail
// on rows that exist, or that break code which still runs: what, why, and what to do instead. What
// the same set has created may be changed freely. At most 100 are named.
//
// A statement of a kind that it does not know, or that runs code it can't read, is named too.
func Destructive(format preview.MigrationFormat, pending []Script) []preview.Problem {
	d := &detector{made: map[string]bool{}}
	var problems []preview.Problem
	for _, s := range pending {
		for _, st := range s.Statements(format) {
			d.found = nil
			d.statement(newCursor(st.Text))
			for _, f := range d.found {
				if len(problems) == maxFindings {
					return problems
				}
				problems = append(problems, preview.Problem{Path: s.Path, Line: s.Line(st.Offset + f.at), Message: f.message, Hint: f.hint})
			}
		}
	}
	return problems
}

// finding is one thing to say of a statement.
type finding struct {
	at            int // offset in the statement's text
	message, hint string
}

// detector reads statements one after the other.
type detector struct {
	made  map[string]bool // what the set has created: its kind and name, such as "TABLE items"
	found []finding       // of the current statement
}

func (d *detector) add(t token, hint, format string, args ...any) {
	if len(d.found) == maxFindings {
		return
	}
	d.found = append(d.found, finding{at: t.at, message: fmt.Sprintf(format, args...), hint: hint})
}

const (
	hintDrop   = "First deploy code that no longer uses it; drop it in a later pull request, with a backup at hand."
	hintRename = "Add the new name beside the old one, move the code over, and remove the old one later."
	hintOpaque = "Write the change as plain statements, or have a person read it."
	hintWhere  = "Name the rows in a WHERE clause."
)

// statement looks at one statement.
func (d *detector) statement(c *cursor) {
	first := c.peek(0)
	c.at++
	switch strings.ToUpper(first.text) {
	case "DROP":
		d.drop(c, first)
	case "TRUNCATE":
		d.truncate(c, first)
	case "ALTER":
		d.alter(c, first)
	case "CREATE":
		d.create(c, first)
	case "SET", "RESET", "DISCARD", "ROLLBACK":
		clear(d.made) // a name may mean another thing from here on
	case "SELECT", "VALUES", "TABLE", "(", "EXPLAIN":
		d.rows(c)
		d.calls(c)
	case "WITH":
		d.rows(c)
		if !c.has("INSERT") && !c.has("UPDATE") && !c.has("DELETE") && !c.has("MERGE") { // it is a SELECT
			d.calls(c)
		}
	case "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "DECLARE", "PREPARE":
		d.rows(c)
	case "COMMENT", "GRANT", "REVOKE", "ANALYZE", "NOTIFY", "LISTEN", "UNLISTEN", "SAVEPOINT", "RELEASE", "LOCK", "VACUUM",
		"REINDEX", "CLUSTER", "REFRESH", "SECURITY", "SHOW", "FETCH", "MOVE", "CLOSE", "DEALLOCATE", "CHECKPOINT", "LOAD", "":
	case "DO", "CALL", "EXECUTE":
		d.add(first, hintOpaque, "%s runs code that is not read here: it may change or remove anything.", strings.ToUpper(first.text))
	default:
		d.add(first, hintOpaque, "Begins with %s, which is not known here: it may change or remove anything.", show(first.text))
	}
}

// kinds are what can be created and dropped by name; longer ones come before their beginnings.
func kinds() [][]string {
	return [][]string{{"FOREIGN", "TABLE"}, {"TABLE"}, {"MATERIALIZED", "VIEW"}, {"VIEW"}, {"SCHEMA"}, {"TYPE"}, {"DOMAIN"},
		{"SEQUENCE"}, {"INDEX"}, {"DATABASE"}, {"EXTENSION"}, {"FUNCTION"}, {"PROCEDURE"}, {"ROUTINE"}, {"AGGREGATE"}, {"TRIGGER"},
		{"POLICY"}, {"RULE"}, {"ROLE"}, {"USER"}, {"OWNED"}}
}

// kind moves over what a statement creates, changes or drops, as in "MATERIALIZED VIEW"; empty: none of kinds.
func (c *cursor) kind() string {
	for _, words := range kinds() {
		if c.take(words...) {
			return strings.Join(words, " ")
		}
	}
	return ""
}

func (d *detector) drop(c *cursor, first token) {
	kind := c.kind()
	if kind == "" {
		d.add(first, hintDrop, "Drops something: what depends on it fails.")
		return
	}
	c.take("CONCURRENTLY")
	c.take("IF", "EXISTS")
	for _, part := range c.split() {
		at := part.peek(0)
		name := part.name()
		if d.made[kind+" "+name] {
			delete(d.made, kind+" "+name)
			continue
		}
		what := strings.ToLower(kind) + " " + show(name)
		switch kind {
		case "TABLE", "FOREIGN TABLE", "SCHEMA", "DATABASE", "MATERIALIZED VIEW", "OWNED", "EXTENSION":
			d.add(at, hintDrop, "Drops the %s: what it holds is lost, and code that still uses it fails.", what)
		case "INDEX":
			d.add(at, "Check that no query needs it; a unique index also kept duplicates out.", "Drops the %s: queries that used it become slow.", what)
		case "TRIGGER", "POLICY", "RULE":
			d.add(at, "Check what takes over what it did.", "Drops the %s: what it did or forbade no longer happens.", what)
		default:
			d.add(at, hintDrop, "Drops the %s: columns and code that still use it fail or go with it.", what)
		}
	}
}

func (d *detector) truncate(c *cursor, first token) {
	c.take("TABLE")
	for _, part := range c.split() {
		part.take("ONLY")
		if name := part.name(); !d.made["TABLE "+name] {
			d.add(first, "Delete the rows that must go, by a WHERE clause, or keep a copy.", "Empties the table %s: all its rows are lost.", show(name))
		}
	}
}

// create remembers what is new, and looks at what a new thing does to old ones.
func (d *detector) create(c *cursor, first token) {
	replaces := c.take("OR", "REPLACE")
	for {
		if _, ok := c.takeAny("GLOBAL", "LOCAL", "TEMP", "TEMPORARY", "UNLOGGED", "RECURSIVE", "CONSTRAINT", "TRUSTED"); !ok {
			break
		}
	}
	unique := c.take("UNIQUE")
	kind := c.kind()
	if kind == "FUNCTION" || kind == "PROCEDURE" {
		return // its body does not run now
	}
	c.take("CONCURRENTLY")
	maybe := c.take("IF", "NOT", "EXISTS")
	name := ""
	if !c.is("ON") { // an index without a name
		name = c.name()
	}
	if kind == "INDEX" {
		c.take("ON")
		c.take("ONLY")
		if table := c.name(); unique && !d.made["TABLE "+table] {
			d.unique(first, table)
		}
	}
	if name != "" && kind != "" && kind != "EXTENSION" && !replaces && !maybe {
		d.made[kind+" "+name] = true
	}
	d.rows(c)
}

func (d *detector) unique(at token, table string) {
	d.add(at, "Look for duplicates first, and build the index concurrently outside of the migration if the table is large.",
		"Makes values of the existing table %s unique: it fails on rows that are doubled, and blocks writes meanwhile.", show(table))
}

// rows looks for DELETE and UPDATE of all rows, wherever they stand in the statement.
func (d *detector) rows(c *cursor) {
	changes := 0
	for i := range c.tokens {
		t, at := c.tokens[i], &cursor{tokens: c.tokens, at: i + 1}
		if !t.is("DELETE") && !t.is("UPDATE") {
			continue
		}
		if changes++; changes > maxChanges {
			d.add(t, hintOpaque, "Changes rows in more than %d places of one statement, which is not read to its end.", maxChanges)
			return
		}
		before := at.peek(-2)
		switch {
		case t.is("DELETE") && at.take("FROM"):
			at.take("ONLY")
			if name := at.name(); !d.made["TABLE "+name] && !at.where() {
				d.add(t, hintWhere, "Deletes every row of the table %s.", show(name))
			}
		case t.is("UPDATE") && !before.is("ON") && !before.is("FOR") && !before.is("KEY") && !before.is("THEN") &&
			!before.is("OR") && !before.is("BEFORE") && !before.is("AFTER") && (!before.is("DO") || !at.is("SET")):
			at.take("ONLY")
			if name := at.name(); name != "" && !d.made["TABLE "+name] && at.has("SET") && !at.where() && !d.fills(at, name) {
				d.add(t, hintWhere, "Overwrites every row of the table %s.", show(name))
			}
		}
	}
}

// fills reports whether an UPDATE sets nothing but columns that the migrations themselves have added.
func (d *detector) fills(c *cursor, table string) bool {
	for c.at < len(c.tokens) && !c.take("SET") {
		c.at++
	}
	depth := 0
	for expect := true; c.at < len(c.tokens); {
		if expect {
			if !d.made["COLUMN "+table+" "+c.name()] || c.peek(0).text != "=" {
				return false
			}
		}
		t := c.peek(0)
		switch t.text {
		case "(", "[":
			depth++
		case ")", "]":
			depth--
		}
		if depth < 0 || depth == 0 && (t.text == ";" || t.is("FROM") || t.is("RETURNING")) {
			return true
		}
		expect = depth == 0 && t.text == ","
		c.at++
	}
	return true
}

// where reports whether a WHERE clause that chooses comes before the end of the statement, or of
// the parentheses that it is in.
func (c *cursor) where() bool {
	depth := 0
	for i := 0; c.at+i < len(c.tokens); i++ {
		t := c.peek(i)
		switch t.text {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth < 0 || depth == 0 && t.text == ";" {
			return false
		}
		if depth == 0 && t.is("WHERE") {
			end := c.peek(i + 2)
			return !c.peek(i+1).is("TRUE") || (end.text != "" && end.text != ")" && end.text != ";" && !end.is("RETURNING"))
		}
	}
	return false
}

// harmless are the functions that migrations call in a SELECT, and the words that a parenthesis may follow.
const harmless = ` setval nextval currval coalesce max min count sum greatest least now pg_get_serial_sequence nullif cast to_regclass
	current_database current_schema version in values as from and or not exists over select where join using on any all some case when
	then else by having with materialized recursive filter within lateral union except intersect distinct explain analyze table array row
	numeric decimal varchar char character varying timestamp time bit interval `

// calls looks for functions that a SELECT runs.
func (d *detector) calls(c *cursor) {
	known := map[string]bool{}
	for _, name := range strings.Fields(harmless) {
		known[name] = true
	}
	for i, t := range c.tokens {
		if i == 0 || t.text != "(" {
			continue
		}
		called := c.tokens[i-1]
		if called.kind != word && called.kind != quoted || known[called.name()] && plain(c.tokens[:i-1]) {
			continue
		}
		d.add(called, hintOpaque, "Calls %s, which is not read here: it may change or remove anything.", show(called.name()))
		return
	}
}

// plain reports whether what comes next has no qualifier but pg_catalog's.
func plain(before []token) bool {
	n := len(before)
	return n < 2 || before[n-1].text != "." || before[n-2].name() == "pg_catalog"
}
