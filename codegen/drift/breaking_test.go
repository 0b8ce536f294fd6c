package drift

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestBreaking(t *testing.T) {
	t.Parallel()
	type facts = map[string]string
	tables := func(columns facts) Promises {
		return Promises{TablePromise: {"as": "primary key (id)", "bs": "primary key (id)"}, ColumnPromise: columns}
	}
	fields := func(uses string, fields facts) Promises {
		return Promises{SchemaPromise: {"A": uses}, FieldPromise: fields}
	}
	limits := func(uses string, limits facts) Promises {
		return Promises{SchemaPromise: {"A": uses}, FieldPromise: {"A.x": "string"}, LimitPromise: limits}
	}
	checks := func(checks facts) Promises {
		return Promises{TablePromise: {"as": "no primary key"}, ColumnPromise: {"as.x": "integer"}, CheckPromise: checks}
	}
	tests := []struct {
		name      string
		old, next Promises
		want      []string // kind, name and what the note has
	}{
		{"nothing was promised", nil, Promises{TablePromise: {"a": ""}}, nil},
		{"more is promised", Promises{TablePromise: {"a": ""}}, Promises{TablePromise: {"a": "", "b": ""}}, nil},

		{"a column goes", tables(facts{"as.x": "text", "as.y": "text"}), tables(facts{"as.x": "text"}),
			[]string{"column as.y: Deploy code that does not use the column first, keep a copy of its values, then: ALTER TABLE as DROP COLUMN y;"}},
		{"a column has a new name", tables(facts{"as.x": "text", "bs.x": "text"}), tables(facts{"as.X": "text", "bs.x": "text"}),
			[]string{`column as.x: then: ALTER TABLE as DROP COLUMN x; If it only has a new name: ALTER TABLE as RENAME COLUMN x TO "X";`}},
		{"a column moves to another table", tables(facts{"as.x": "text"}), tables(facts{"bs.x": "text"}), []string{"column as.x: ALTER TABLE as DROP COLUMN x;"}},
		{"a table goes with its columns", tables(facts{"as.x": "text", "bs.x": "text"}), Promises{TablePromise: {"bs": "primary key (id)"}, ColumnPromise: {"bs.x": "text"}},
			[]string{"table as: Deploy code that does not use the table first, keep a copy of its rows, then: DROP TABLE as;"}},
		{"another primary key", Promises{TablePromise: {"as": "primary key (id)"}}, Promises{TablePromise: {"as": "primary key (id, X)"}},
			[]string{`table as: It had primary key (id), and has primary key (id, X): references to the old key and upserts by it fail. Make sure that the new one is there once in each row, drop the constraint of the old one, then: ALTER TABLE as ADD PRIMARY KEY (id, "X");`}},
		{"no primary key any more", Promises{TablePromise: {"as": "primary key (id)"}}, Promises{TablePromise: {"as": "no primary key"}}, []string{"table as: and has no primary key: references"}},
		{"a new column that must be filled", tables(nil), tables(facts{"as.x": "varchar(9) not null"}),
			[]string{"column as.x: Rows that are there have no value for this new column. Give it a default, or: ALTER TABLE as ADD COLUMN x varchar(9); fill it in every row; then: ALTER TABLE as ALTER COLUMN x SET NOT NULL;"}},
		{"new columns that need not be", tables(nil), tables(facts{"as.x": "text not null default", "as.y": "text", "as.z": "bigint default"}), nil},
		{"a new table", tables(nil), Promises{TablePromise: {"as": "primary key (id)", "bs": "primary key (id)", "cs": "no primary key"}, ColumnPromise: {"cs.x": "text not null"}}, nil},
		{"null before", tables(facts{"as.x": "text"}), tables(facts{"as.x": "text not null default"}),
			[]string{"column as.x: It may not be null any more. Give it a value in the rows without one (SELECT count(*) FROM as WHERE x IS NULL;), then: ALTER TABLE as ALTER COLUMN x SET NOT NULL;"}},
		{"null now", tables(facts{"as.x": "text not null"}), tables(facts{"as.x": "text"}), nil},
		{"another type and not null", tables(facts{"as.x": "text"}), tables(facts{"as.x": "uuid not null"}),
			[]string{"column as.x: It was text, and is uuid. Look for values that don't fit and change them, deploy code that takes both, then: ALTER TABLE as ALTER COLUMN x TYPE uuid USING x::uuid; It may not be null"}},
		{"shorter", tables(facts{"as.x": "varchar(80)"}), tables(facts{"as.x": "varchar(40)"}), []string{"column as.x: It was varchar(80), and is varchar(40)."}},
		{"longer, and larger", tables(facts{"as.a": "varchar(80)", "as.b": "varchar(80)", "as.c": "smallint", "as.d": "integer", "as.e": "real", "as.f": "numeric(8, 2)", "as.g": "char(3)", "as.h": "numeric(8, 2)"}),
			tables(facts{"as.a": "varchar(90)", "as.b": "text", "as.c": "bigint", "as.d": "numeric", "as.e": "double precision", "as.f": "numeric(9, 2)", "as.g": "varchar(3)", "as.h": "numeric"}), nil},
		{"smaller, and other", tables(facts{"as.a": "text", "as.b": "bigint", "as.c": "numeric(8, 2)", "as.d": "numeric", "as.e": "text", "as.f": "timestamptz", "as.g": "integer", "as.h": "vector(3)"}),
			tables(facts{"as.a": "varchar(90)", "as.b": "integer", "as.c": "numeric(8, 3)", "as.d": "numeric(9, 2)", "as.e": "text[]", "as.f": "date", "as.g": "double precision", "as.h": "vector(4)"}),
			[]string{"column as.a: ", "column as.b: ", "column as.c: ", "column as.d: ", "column as.e: ", "column as.f: ", "column as.g: ", "column as.h: "}},

		{"a new unique, of columns that were there", Promises{TablePromise: {"as": "no primary key"}, ColumnPromise: {"as.x": "text", "as.y": "text"}},
			Promises{TablePromise: {"as": "no primary key"}, ColumnPromise: {"as.x": "text", "as.y": "text", "as.z": "text"}, UniquePromise: {"as (x, y) where x > 1": "", "as (z)": "", "as (lower(x))": ""}},
			[]string{"unique as (lower(x)): Rows that are there may be equal in it: make them different first.", "unique as (x, y) where x > 1: They are found by: SELECT x, y FROM as GROUP BY x, y HAVING count(*) > 1;"}},
		{"a unique goes, alone and with its column", Promises{TablePromise: {"as": "no primary key"}, ColumnPromise: {"as.x": "text", "as.y": "text"}, UniquePromise: {"as (x)": "", "as (y)": ""}},
			Promises{TablePromise: {"as": "no primary key"}, ColumnPromise: {"as.x": "text"}},
			[]string{"column as.y: ", "unique as (x): There may be several such rows now"}},
		{"a value of a type", Promises{EnumPromise: {"e: a": "", "e: b": ""}}, Promises{EnumPromise: {"e: a": ""}}, []string{"enum e: b: Postgres can't take a value out of a type"}},
		{"a value has a new name", Promises{EnumPromise: {"e: a": "", "e: b": ""}}, Promises{EnumPromise: {"e: a": "", "e: it's": ""}}, []string{"enum e: b: ALTER TYPE e RENAME VALUE 'b' TO 'it''s';"}},
		{"a value of a check", Promises{EnumPromise: {"as.x: a": "", "as.x: b": ""}}, Promises{EnumPromise: {"as.x: a": ""}}, []string{"enum as.x: b: then replace the check"}},
		{"all values, with the type", Promises{EnumPromise: {"e: a": ""}}, nil, nil},

		{"a new check, and a narrower one", checks(facts{"as a": "x > 0", "as b": "x < 9 AND x >= 1", "as c": "x ~ 'a'", "as gone": "x < 1"}), checks(facts{"as a": "x > 1", "as b": "x < 10 AND x >= 2", "as c": "x ~ 'b'", "as d": "x = y"}),
			[]string{"check as a: It was x > 0, and is x > 1. Rows that are there may not hold it: change those first (SELECT count(*) FROM as WHERE NOT (x > 1);), then: ALTER TABLE as DROP CONSTRAINT a, ADD CONSTRAINT a CHECK (x > 1);",
				"check as b: ", "check as c: ", "check as d: then: ALTER TABLE as ADD CONSTRAINT d CHECK (x = y);"}},
		{"checks that only look wider", checks(facts{"as a": "x <> 5", "as b": "CASE WHEN x > 9 THEN y > 1 END", "as c": "(x > 9) = (y > 1)", "as d": "(x > 9) IS FALSE", "as e": "x->5 = y"}),
			checks(facts{"as a": "x <> 4", "as b": "CASE WHEN x > 5 THEN y > 1 END", "as c": "(x > 5) = (y > 1)", "as d": "(x > 5) IS FALSE", "as e": "x->4 = y"}),
			[]string{"check as a: It was x <> 5, and is x <> 4.", "check as b: ", "check as c: ", "check as d: ", "check as e: "}},
		{"wider checks, and those of new columns and tables", checks(facts{"as a": "x > 1", "as b": "char_length(x) <= 80", "as c": "x BETWEEN 1 AND 9"}), Promises{TablePromise: {"as": "no primary key", "bs": "no primary key"}, ColumnPromise: {"as.x": "integer", "as.new": "text"},
			CheckPromise: {"as a": "x > -1", "as b": "char_length(x) <= 90", "as c": "x BETWEEN 1 AND 9", "as d": "new <> ''", "bs e": "x > 1"}}, nil},

		{"narrower limits of requests", limits("request", facts{"A.x maxLength": "80", "A.x minLength": "1", "A.x minimum": "0", "A.x maximum": "9", "A.x pattern": "a", "A.x multipleOf": "0.1"}),
			limits("request", facts{"A.x maxLength": "9", "A.x minLength": "2", "A.x minimum": "more than 0", "A.x maximum": "8.5", "A.x pattern": "b", "A.x multipleOf": "0.25", "A.x uniqueItems": "true", "A additionalProperties": "false"}),
			[]string{"limit A additionalProperties: There was no such limit, and it is false now: clients send what is refused now, and data may hold it.", "limit A.x maxLength: It was 80, and is 9: ", "limit A.x maximum: ", "limit A.x minLength: ",
				"limit A.x minimum: It was 0, and is more than 0: ", "limit A.x multipleOf: ", "limit A.x pattern: ", "limit A.x uniqueItems: "}},
		{"wider limits of requests", limits("request", facts{"A.x maxLength": "9", "A.x minLength": "2", "A.x minimum": "more than 0", "A.x maximum": "less than 9", "A.x pattern": "b", "A.x multipleOf": "0.3", "A additionalProperties": "false"}),
			limits("request", facts{"A.x maxLength": "80", "A.x minLength": "1", "A.x minimum": "0", "A.x maximum": "9.0", "A.x multipleOf": "0.1"}), nil},
		{"wider limits of answers", limits("response", facts{"A.x maxLength": "9", "A.x minimum": "1", "A.x multipleOf": "0.3", "A additionalProperties": "false"}), limits("response", facts{"A.x maxLength": "80", "A.x minimum": "more than -1", "A.x multipleOf": "0.1"}),
			[]string{"note .flaresmith.json: A additionalProperties: It was false, and there is no such limit now: clients may get values that they have no room for; tell them before", "note .flaresmith.json: A.x maxLength: It was 9, and is 80", "note .flaresmith.json: A.x minimum: ", "note .flaresmith.json: A.x multipleOf: "}},
		{"narrower limits of answers", limits("response", facts{"A.x maxLength": "80"}), limits("response", facts{"A.x maxLength": "9", "A.x minLength": "1"}), nil},
		{"the same limits in other words", limits("request response", facts{"A.x maximum": "10"}), limits("request response", facts{"A.x maximum": "1e1"}), nil},
		{"a limit goes with its field, and comes with one", limits("request response", facts{"A.y maxLength": "9"}), limits("request response", facts{"A.z maxLength": "9"}), nil},
		{"a limit of a parameter", Promises{ParameterPromise: {"GET /a query x": "integer"}, LimitPromise: {}}, Promises{ParameterPromise: {"GET /a query x": "integer", "GET /a query y": "integer"}, LimitPromise: {"GET /a query x maximum": "100", "GET /a query y maximum": "100"}},
			[]string{"limit GET /a query x maximum: There was no such limit, and it is 100 now"}},
		{"no limits were known", fields("request", facts{"A.x": "string"}), limits("request", facts{"A.x maxLength": "9"}), nil},

		{"a required field goes", fields("response", facts{"A.x": "string required", "A.y": "string"}), fields("response", nil), []string{"field A.x: Clients rely on this field: keep it, marked as deprecated"}},
		{"with what is in it", fields("response", facts{"A.x": "object required", "A.x.y": "string required"}), fields("response", nil), []string{"field A.x: "}},
		{"a field of answers may be missing", fields("response", facts{"A.x": "string required"}), fields("response", facts{"A.x": "string"}), []string{"field A.x: It may be missing now"}},
		{"a field of requests may", fields("request", facts{"A.x": "string required"}), fields("request", facts{"A.x": "string"}), nil},
		{"a new field that requests need", fields("request response", nil), fields("request response", facts{"A.x": "string required"}), []string{"field A.x: Requests without this field are refused now."}},
		{"a new field in a new one", fields("request", nil), fields("request", facts{"A.x": "object", "A.x.y": "string required"}), nil},
		{"a new field of answers", fields("response", nil), fields("response", facts{"A.x": "string required"}), nil},
		{"a field of a new schema", Promises{SchemaPromise: {}}, fields("request", facts{"A.x": "string required"}), nil},
		{"requests need a field now", fields("", facts{"A.x.y": "string", "A.x": "object"}), fields("", facts{"A.x.y": "string required", "A.x": "object"}), []string{"field A.x.y: Requests without it are refused now"}},
		{"another type", fields("request response", facts{"A.x": "string required"}), fields("request response", facts{"A.x": "integer|null required"}),
			[]string{"field A.x: It was string, and is integer or null: clients send what is refused now, and get what they don't know."}},
		{"null in answers", fields("response", facts{"A.x": "string"}), fields("response", facts{"A.x": "string|null"}), []string{"field A.x: clients get what they don't know"}},
		{"null in requests", fields("request", facts{"A.x": "string"}), fields("request", facts{"A.x": "string|null"}), nil},
		{"not null in requests", fields("request", facts{"A.x": "string|null"}), fields("request", facts{"A.x": "string"}), []string{"field A.x: clients send what is refused now."}},
		{"a narrower type", fields("request", facts{"A.x": "string", "A.y": "number", "A.z[]": "any", "A.z": "array"}), fields("request", facts{"A.x": "string:uuid", "A.y": "integer", "A.z[]": "string", "A.z": "array"}), []string{"field A.x: ", "field A.y: ", "field A.z[]: "}},
		{"a wider type", fields("request", facts{"A.x": "string:uuid", "A.y": "integer", "A.z": "string"}), fields("request", facts{"A.x": "string", "A.y": "number", "A.z": "any"}), nil},
		{"a value", Promises{ValuePromise: {"A.x: a": "", "A.x: b": "", "B: c": ""}}, Promises{ValuePromise: {"A.x: a": ""}}, []string{"value A.x: b: Clients send this value"}},

		{"a parameter that requests need", Promises{OperationPromise: {"GET /a": "a"}, ParameterPromise: {"GET /a query x": "string"}},
			Promises{OperationPromise: {"GET /a": "a", "GET /b": "b"}, ParameterPromise: {"GET /a query x": "integer required", "GET /a query y": "string required", "GET /b query y": "string required", "GET /a query z": "string"}},
			[]string{"parameter GET /a query y: Requests without this new parameter are refused.", "parameter GET /a query x: Requests without it are refused now: make it required when every client sends it. It was string, and is integer: clients send what is refused now."}},
		{"an operation goes", Promises{OperationPromise: {"GET /a": "a"}}, Promises{OperationPromise: {"GET /b": "b"}}, []string{"operation GET /a: Clients call this operation: keep it, marked as deprecated, until none does, and answer 410 Gone after that."}},
		{"an operation moves", Promises{OperationPromise: {"GET /a": "a"}}, Promises{OperationPromise: {"POST /b": "a"}}, []string{"operation GET /a: The operation a is POST /b now."}},
		{"a parameter of the path is renamed", Promises{OperationPromise: {"GET /a/{x}": "a"}}, Promises{OperationPromise: {"GET /a/{y}": "a"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, notes := Breaking(Manifest{Promises: tt.old}, Manifest{Promises: tt.next})
			for _, n := range notes {
				got = append(got, BreakingChange{"note", n.File, n.Message})
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %+v", got)
			}
			for i, want := range tt.want {
				prefix, note := got[i].Kind+" "+got[i].Name+": ", got[i].Note
				if rest, found := strings.CutPrefix(want, prefix); !found || !strings.Contains(note, rest) {
					t.Errorf("got %s%s, want %s", prefix, note, want)
				}
			}
			if again, notes := Breaking(Manifest{Promises: tt.next}, Manifest{Promises: tt.next}); len(again)+len(notes) > 0 {
				t.Errorf("nothing changed, but %+v, %+v", again, notes)
			}
		})
	}
}

// TestBreakingOfOldManifest: older manifests list tables, columns, required fields and operations without facts: what
// is gone is told, and nothing is made up.
func TestBreakingOfOldManifest(t *testing.T) {
	t.Parallel()
	old, err := ReadManifest(fstest.MapFS{ManifestPath: {Data: []byte(`{"generation": 3, "inputs": "i", "files": {"a": {"target": "t", "sha256": "s"}},
		"promises": {"table": ["as", "bs"], "column": ["as.x", "as.y"], "field": ["A.x", "A.y"], "operation": ["GET /a", "GET /b"]}}`)}})
	if err != nil || old.Generation != 3 || old.Files["a"].SHA256 != "s" {
		t.Fatalf("%v, %+v", err, old)
	}
	next := Promises{
		TablePromise: {"as": "primary key (x)"}, ColumnPromise: {"as.x": "uuid not null", "as.z": "text not null"}, UniquePromise: {"as (x)": ""},
		SchemaPromise: {"A": "request response"}, FieldPromise: {"A.x": "string required", "A.y": "string", "A.z": "string required"},
		OperationPromise: {"GET /a": "a"}, ParameterPromise: {"GET /a query x": "string required"},
		LimitPromise: {"A.x maxLength": "9"}, CheckPromise: {"as as_x_check": "x > 0"},
	}
	var got []string
	changes, notes := Breaking(old, Manifest{Promises: next})
	if len(notes) > 0 {
		t.Errorf("notes: %+v", notes)
	}
	for _, b := range changes {
		got = append(got, b.Kind+" "+b.Name)
	}
	if diff := cmp.Diff([]string{"table bs", "column as.y", "field A.y", "operation GET /b"}, got); diff != "" {
		t.Error(diff)
	}
}
