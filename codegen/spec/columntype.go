package spec

import (
	"slices"
	"strings"
)

// Type is the type of a column.
type Type struct {
	Name      string // as Postgres calls it; "enum" of an enum; "" where nothing is said
	Enum      string // the name that an enum, or something unknown, goes by
	Length    string
	Precision string // of numeric, with the scale: "10, 2"
	Array     bool
	Exact     bool   // said in Postgres' own words
	Shape     string // TypeScript of a JSON value
}

var typeWords = map[string]string{ //nolint:gochecknoglobals // a constant table
	"uuid": "uuid", "guid": "uuid", "string": "text", "str": "text", "text": "text", "citext": "citext",
	"varchar": "varchar", "character varying": "varchar", "nvarchar": "varchar", "char": "char", "character": "char", "bpchar": "char",
	"int": "integer", "integer": "integer", "int4": "integer", "int32": "integer", "number": "double precision",
	"bigint": "bigint", "int8": "bigint", "int64": "bigint", "long": "bigint", "smallint": "smallint", "int2": "smallint", "tinyint": "smallint",
	"serial": "integer", "bigserial": "bigint", "smallserial": "smallint",
	"float": "double precision", "float8": "double precision", "double": "double precision", "double precision": "double precision", "real": "real", "float4": "real",
	"decimal": "numeric", "numeric": "numeric", "money": "numeric",
	"bool": "boolean", "boolean": "boolean",
	"datetime": "timestamptz", "timestamp": "timestamp", "timestamptz": "timestamptz", "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp",
	"date": "date", "time": "time", "timetz": "time", "interval": "interval", "duration": "interval", "timespan": "interval", "instant": "timestamptz",
	"localdatetime": "timestamptz", "zoneddatetime": "timestamptz", "offsetdatetime": "timestamptz", "datetimeoffset": "timestamptz",
	"localdate": "date", "dateonly": "date", "localtime": "time", "timeonly": "time", "bigdecimal": "numeric", "short": "smallint", "int16": "smallint",
	"json": "jsonb", "jsonb": "jsonb", "object": "jsonb", "map": "jsonb", "record": "jsonb", "dict": "jsonb", "dictionary": "jsonb", "array": "jsonb", "list": "jsonb",
	"bytea": "bytea", "bytes": "bytea", "binary": "bytea", "blob": "bytea", "buffer": "bytea",
	"inet": "inet", "cidr": "cidr", "macaddr": "macaddr", "tsvector": "tsvector", "vector": "vector",
	"email": "text", "url": "text", "uri": "text", "enum": "enum",
}

// inexact are words that people use for several types of Postgres.
var inexact = strings.Fields("guid string str int number float double datetime timestamp json object map record dict dictionary array list bytes binary blob buffer email url uri enum duration timespan instant localdatetime zoneddatetime offsetdatetime datetimeoffset localdate dateonly localtime timeonly bigdecimal short int16 long money decimal integer") //nolint:gochecknoglobals // a constant table

var (
	typeCall  = lazily(`^(?i)([a-z][a-z0-9]*(?: (?:varying|precision|with time zone|without time zone))?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?`)
	arrayOf   = lazily(`^(?i)(?:(?:array|i?list|set|hashset|i?collection|ienumerable)\s*(?:<|\[|of\s+)\s*([a-z][a-z0-9 ]*?)s?\s*[>\]]?)$`)
	zoneAfter = lazily(`^(?i)\s*(with|without) time zone`)
)

// parseType reads a type at the beginning of a text, and gives what follows it. In SQL, timestamp
// and json are what Postgres takes them for; elsewhere people mean timestamptz and jsonb.
func parseType(text string, sql bool) (Type, string, bool) {
	text = strings.TrimSpace(text)
	if m := arrayOf.FindStringSubmatch(text); m != nil {
		t, rest, ok := parseType(strings.TrimSpace(m[1]), sql)
		if strings.EqualFold(m[1], "string") || ok && rest == "" && t.Name != "jsonb" && t.Name != "enum" {
			t.Array, t.Exact = true, false
			return t, "", true
		}
		if entityIdent.MatchString(m[1]) && m[1][0] < 'a' && !ok { // rows of another table, perhaps
			return Type{Enum: m[1], Array: true, Shape: "unknown[]"}, "", true
		}
		return Type{Name: "jsonb", Shape: "unknown[]"}, "", true
	}
	m := typeCall.FindStringSubmatch(text)
	if m == nil {
		return Type{}, text, false
	}
	word := strings.ToLower(m[1])
	name, ok := typeWords[word]
	if !ok {
		if first, _, found := strings.Cut(word, " "); found { // "string with time zone" is no type
			word = first
			name, ok = typeWords[word]
		}
		if !ok {
			return Type{}, text, false
		}
		m[0] = text[:len(word)]
		m[2], m[3] = "", ""
	}
	rest := text[len(strings.TrimRight(m[0], " \t")):]
	t := Type{Name: name, Exact: sql || !slices.Contains(inexact, word)}
	switch {
	case word == "timestamp" && !sql:
		t.Name = "timestamptz"
	case word == "timestamp" || word == "time":
		if z := zoneAfter.FindStringSubmatch(rest); z != nil { // timestamp(3) with time zone
			if strings.EqualFold(z[1], "with") && word == "timestamp" {
				t.Name = "timestamptz"
			}
			rest = rest[len(z[0]):]
		}
	case word == "json" && sql:
		t.Name = "json"
	}
	switch name {
	case "text", "citext", "varchar", "char":
		t.Length = m[2]
		if t.Length != "" && name == "text" {
			t.Name = "varchar"
		}
	case "numeric":
		if t.Precision = m[2]; m[3] != "" {
			t.Precision += ", " + m[3]
		}
	case "vector":
		t.Length = m[2]
	}
	if word == "array" || word == "list" {
		t.Shape = "unknown[]"
	}
	for strings.HasPrefix(rest, "[]") {
		rest, t.Array = rest[2:], true
	}
	if after := strings.TrimSpace(rest); t.Name != "jsonb" && strings.EqualFold(after, "array") {
		rest, t.Array = "", true
	}
	if t.Array && t.Name == "jsonb" {
		t.Array, t.Shape = false, "unknown[]"
	}
	if rest != "" && isWord(rest[0]) { // integers, uuidv7
		return Type{}, text, false
	}
	return t, strings.TrimSpace(rest), true
}

// isSerial tells whether a type of SQL numbers its rows.
func isSerial(word string) bool {
	return strings.HasSuffix(strings.ToLower(word), "serial")
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}
