package migration

import "strings"

// alter looks at ALTER of anything.
func (d *detector) alter(c *cursor, first token) {
	kind := c.kind()
	if kind == "TABLE" || kind == "FOREIGN TABLE" {
		d.alterTable(c)
		return
	}
	c.take("IF", "EXISTS")
	name := c.name()
	if kind != "" && d.made[kind+" "+name] {
		if c.is("RENAME") || c.is("SET", "SCHEMA") {
			delete(d.made, kind+" "+name)
		}
		return
	}
	what := strings.ToLower(kind) + " " + show(name)
	switch kind {
	case "TYPE":
		d.alterType(c, what)
	case "DOMAIN":
		d.alterDomain(c, what)
	case "INDEX":
	case "SEQUENCE":
		if c.has("RESTART") || c.has("AS") {
			d.add(first, "Set a value above all that were given out, with setval.", "Restarts or narrows the %s: numbers that are taken may be given out again.", what)
		}
		d.renames(c, what)
	case "DATABASE", "ROLE", "USER":
		d.add(first, "Leave it to the operator.", "Changes the %s, which is more than this database's own.", what)
	default:
		d.renames(c, what)
	}
}

// renames looks for the new name or schema of a thing that code may know by its old one.
func (d *detector) renames(c *cursor, what string) {
	if at := c.peek(0); c.is("RENAME") || c.is("SET", "SCHEMA") {
		d.add(at, hintRename, "Gives the %s another name: running code that knows the old one fails.", what)
	}
}

func (d *detector) alterType(c *cursor, what string) {
	for _, part := range c.split() {
		at := part.peek(0)
		switch {
		case part.take("RENAME", "VALUE"), part.take("RENAME", "ATTRIBUTE"):
			d.add(at, hintRename, "Renames a part of the %s: running code that knows the old name fails.", what)
		case part.take("DROP", "ATTRIBUTE"):
			d.add(at, hintDrop, "Drops a part of the %s: its values are lost in every row.", what)
		case part.take("ALTER", "ATTRIBUTE"):
			d.add(at, "Add an attribute of the new type beside it.", "Changes a part of the %s: values may be cut or refused.", what)
		}
		d.renames(part, what)
	}
}

func (d *detector) alterDomain(c *cursor, what string) {
	at := c.peek(0)
	switch {
	case c.take("ADD"):
		if !c.has("NOT", "VALID") {
			d.constraint(at, what)
		}
	case c.take("SET", "NOT", "NULL"):
		d.add(at, "Fill the rows first.", "Forbids empty values of the %s: it fails on rows that have them.", what)
	case c.is("DROP", "CONSTRAINT"), c.is("DROP", "DEFAULT"):
		d.add(at, "Check that no code counts on it.", "Takes a rule or default off the %s: running code may count on it.", what)
	}
	d.renames(c, what)
}

func (d *detector) constraint(at token, what string) {
	d.add(at, "Add it as NOT VALID, correct the rows, and VALIDATE it in a later migration.",
		"Adds a constraint to the existing %s: it fails on rows that break it, and so do writes of running code.", what)
}

// alterTable looks at each of the table's changes.
func (d *detector) alterTable(c *cursor) {
	c.take("IF", "EXISTS")
	c.take("ONLY")
	name := c.name()
	if c.peek(0).text == "*" {
		c.at++
	}
	if d.made["TABLE "+name] {
		switch {
		case c.take("RENAME", "TO"):
			delete(d.made, "TABLE "+name)
			d.made["TABLE "+renamed(name, c.name())] = true
		case c.is("SET", "SCHEMA"):
			delete(d.made, "TABLE "+name)
		}
		if c.has("ATTACH") || c.has("INHERIT") { // old rows are in it from here on
			clear(d.made)
		}
		return
	}
	for _, part := range c.split() {
		if part.is("ATTACH") || part.is("INHERIT") { // a new table may hold this one's rows from here on
			clear(d.made)
		}
		d.action(part, name)
	}
}

// renamed is the table's name after RENAME TO, in the same schema.
func renamed(name, to string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i+1] + to
	}
	return to
}

// action is one of the changes of an existing table.
func (d *detector) action(c *cursor, name string) {
	at, table := c.peek(0), "table "+show(name)
	switch {
	case c.take("DROP"):
		d.dropPart(c, at, name)
	case c.take("ADD"):
		d.addPart(c, at, name)
	case c.take("ALTER"):
		d.alterColumn(c, at, name)
	case c.take("RENAME", "CONSTRAINT"):
	case c.take("RENAME", "TO"), c.is("SET", "SCHEMA"):
		d.add(at, hintRename, "Gives the %s another name: running code that knows the old one fails.", table)
	case c.take("RENAME"):
		c.take("COLUMN")
		column := c.name()
		if d.made["COLUMN "+name+" "+column] {
			return
		}
		d.add(at, hintRename, "Renames the column %s of the %s: running code that knows the old name fails.", show(column), table)
	case c.is("DETACH", "PARTITION"), c.is("NO", "INHERIT"):
		d.add(at, "Check that no query expects these rows.", "Takes a part off the %s: its rows are no longer found there.", table)
	case c.is("SET", "UNLOGGED"):
		d.add(at, "Leave it logged.", "Makes the %s unlogged: its rows are lost when the server crashes.", table)
	case c.is("DISABLE"), c.is("NO", "FORCE"):
		d.add(at, "Check what takes over what it did.", "Turns a trigger, a rule or row security of the %s off: what it forbade is allowed.", table)
	}
}

func (d *detector) dropPart(c *cursor, at token, name string) {
	if c.take("CONSTRAINT") {
		c.take("IF", "EXISTS")
		d.add(at, "Check that nothing counts on it, and that it comes back if it is only replaced.",
			"Drops the constraint %s of the table %s: rows that it kept out may come in.", show(c.name()), show(name))
		return
	}
	c.take("COLUMN")
	c.take("IF", "EXISTS")
	column := c.name()
	if d.made["COLUMN "+name+" "+column] {
		delete(d.made, "COLUMN "+name+" "+column)
		return
	}
	d.add(at, hintDrop, "Drops the column %s of the table %s: its values are lost, and code that still uses it fails.", show(column), show(name))
}

func (d *detector) addPart(c *cursor, at token, name string) {
	table := "table " + show(name)
	if c.is("CONSTRAINT") || c.is("CHECK") || c.is("UNIQUE") || c.is("PRIMARY", "KEY") || c.is("FOREIGN", "KEY") || c.is("EXCLUDE") || c.is("NOT", "NULL") {
		if !c.has("NOT", "VALID") && !c.has("USING", "INDEX") {
			d.constraint(at, table)
		}
		return
	}
	c.take("COLUMN")
	maybe := c.take("IF", "NOT", "EXISTS")
	column := c.name()
	if !maybe {
		d.made["COLUMN "+name+" "+column] = true
	}
	serial := strings.HasSuffix(typeName(c), "serial") || strings.HasPrefix(typeName(c), "serial")
	required := c.has("NOT", "NULL") || c.has("PRIMARY", "KEY")
	if required && !serial && !c.has("GENERATED") && (!c.has("DEFAULT") || c.has("DEFAULT", "NULL")) {
		d.add(at, "Give it a default, or add it without NOT NULL, fill the rows, and require it later.",
			"Adds the column %s to the existing %s as NOT NULL without a default: it fails if there are rows, and so do inserts of running code.", show(column), table)
	}
}

// typeName is the type that comes next, in lower case and without its schema.
func typeName(c *cursor) string {
	name := (&cursor{tokens: c.tokens, at: c.at}).name()
	return strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
}

func (d *detector) alterColumn(c *cursor, at token, name string) {
	if c.take("CONSTRAINT") {
		return
	}
	c.take("COLUMN")
	column := c.name()
	ours := d.made["COLUMN "+name+" "+column]
	where := "the column " + show(column) + " of the table " + show(name)
	switch {
	case c.take("TYPE"), c.take("SET", "DATA", "TYPE"):
		if !ours {
			d.add(at, "Add a column of the new type beside it, fill it, move the code over, and drop the old one later.",
				"Changes the type of %s to %s: it may cut, round or refuse values, and rewrites the table under a lock.", where, show(typeName(c)))
		}
	case c.take("SET", "NOT", "NULL"):
		d.add(at, "Fill the rows first, and deploy code that always sets it.",
			"Makes %s NOT NULL: it fails on rows that have none, and so do writes of running code that leaves it out.", where)
	case c.is("DROP", "DEFAULT"), c.is("DROP", "IDENTITY"), c.is("DROP", "EXPRESSION"):
		if !ours {
			d.add(at, "First deploy code that sets the value itself.",
				"Takes the value that %s gets by itself away: inserts of running code that count on it fail or write nothing.", where)
		}
	}
}
