package migration_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/migration"
	"github.com/flaresmith/flaresmith/app/preview"
)

// TestDestructive compares the beginnings of messages; none means that nothing is said.
func TestDestructive(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, sql string
		want      []string
	}{
		{"new tables", `CREATE TABLE "a" ("id" serial PRIMARY KEY); ALTER TABLE "a" ADD COLUMN b int NOT NULL; ALTER TABLE a DROP COLUMN id; DROP TABLE a`, nil},
		{"harmless", `ALTER TABLE a ADD COLUMN b int; CREATE INDEX i ON a (b); COMMENT ON TABLE a IS 'DROP TABLE a'; ALTER TABLE a ALTER b SET DEFAULT 1, ALTER b DROP NOT NULL;
			INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET b = 1; ALTER TYPE mood ADD VALUE 'x'; CREATE VIEW v AS SELECT * FROM a; GRANT DELETE, UPDATE ON a TO PUBLIC;
			ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0) NOT VALID; ALTER TABLE a VALIDATE CONSTRAINT c; SELECT setval('a_id_seq', (SELECT max(id) FROM a));
			WITH s (x) AS (SELECT lower(b) FROM a) INSERT INTO a SELECT x FROM s;
			CREATE TABLE z (a int REFERENCES a ON UPDATE CASCADE ON DELETE SET NULL)`, nil},
		{"only text", `SELECT 'DROP TABLE a', $$TRUNCATE a$$, $x$DELETE FROM a$x$, "drop table" FROM b -- DROP TABLE a
			/* DROP TABLE a; /* nested */ DELETE FROM a */`, nil},
		{"drop table", "drop /* x */ Table if exists A, \"B;c\".\"d\"\"e\" cascade", []string{"Drops the table a:", `Drops the table B;c.d"e:`}},
		{"drop others", "DROP SCHEMA s; DROP VIEW v; DROP MATERIALIZED VIEW m; DROP TYPE t; DROP DATABASE d; DROP INDEX CONCURRENTLY i; DROP TRIGGER g ON a; DROP OWNED BY x; DROP ROLE r; DROP CAST (a AS b)",
			[]string{"Drops the schema s:", "Drops the view v:", "Drops the materialized view m:", "Drops the type t:", "Drops the database d:", "Drops the index i:", "Drops the trigger g:", "Drops the owned by", "Drops the role r:", "Drops something:"}},
		{"drop column", "ALTER TABLE ONLY a DROP COLUMN b, DROP c CASCADE, DROP CONSTRAINT d", []string{"Drops the column b of the table a:", "Drops the column c", "Drops the constraint d"}},
		{"truncate", "TRUNCATE TABLE ONLY a, b RESTART IDENTITY", []string{"Empties the table a:", "Empties the table b:"}},
		{"delete", "DELETE FROM a; DELETE FROM a WHERE id = 1; DELETE FROM a USING (SELECT 1 WHERE true) x; DELETE FROM a WHERE TRUE", []string{"Deletes every row", "Deletes every row", "Deletes every row"}},
		{"update", `UPDATE a SET b = 1; UPDATE ONLY a x SET b = (SELECT 1 FROM c WHERE d = 1) WHERE x.id = 1; UPDATE "set" SET b = 'WHERE'; SELECT 1 FROM a FOR UPDATE`, []string{"Overwrites every row of the table a.", "Overwrites every row of the table set."}},
		{"inside WITH", "WITH d AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM d WHERE id > 1", []string{"Deletes every row of the table a."}},
		{"inside a rule", "CREATE RULE r AS ON INSERT TO b DO ALSO (DELETE FROM a; SELECT 1 WHERE true)", []string{"Deletes every row of the table a."}},
		{"types", `ALTER TABLE "a" ALTER COLUMN "b" SET DATA TYPE varchar(10), ALTER c TYPE int USING c::int`, []string{"Changes the type of the column b of the table a to varchar:", "Changes the type of the column c"}},
		{"not null", "ALTER TABLE a ALTER b SET NOT NULL", []string{"Makes the column b"}},
		{"new column", `ALTER TABLE a ADD b int NOT NULL; ALTER TABLE a ADD COLUMN IF NOT EXISTS c int DEFAULT 1 NOT NULL; ALTER TABLE a ADD d bigserial NOT NULL;
			ALTER TABLE a ADD e int NOT NULL GENERATED ALWAYS AS IDENTITY; ALTER TABLE a ADD f int DEFAULT NULL NOT NULL; ALTER TABLE a ADD g int CHECK (g IS NOT NULL)`,
			[]string{"Adds the column b", "Adds the column f"}},
		{"own column", "ALTER TABLE a ADD COLUMN b int; ALTER TABLE a ALTER b TYPE text; ALTER TABLE a RENAME b TO c; ALTER TABLE a DROP COLUMN b", nil},
		{"own column filled", `ALTER TABLE "p" ADD COLUMN "a" int, ADD b int; UPDATE "p" SET "a" = 10, b = coalesce((SELECT 1, 2 FROM x), 2) FROM y; UPDATE p SET a = 1, c = 2; UPDATE p SET (a) = (1); UPDATE q SET a = 1`,
			[]string{"Overwrites every row of the table p.", "Overwrites every row of the table p.", "Overwrites every row of the table q."}},
		{"renames", "ALTER TABLE a RENAME TO b; ALTER TABLE a RENAME COLUMN b TO c; ALTER TABLE a RENAME CONSTRAINT b TO c; ALTER TYPE t RENAME VALUE 'a' TO 'b'; ALTER VIEW v RENAME TO w; ALTER SCHEMA s RENAME TO u",
			[]string{"Gives the table a another name:", "Renames the column b", "Renames a part of the type t:", "Gives the view v", "Gives the schema s"}},
		{"constraints", `ALTER TABLE a ADD CONSTRAINT c UNIQUE (b), ADD CHECK (b > 0); CREATE UNIQUE INDEX "i" ON "a" USING btree ("b"); ALTER DOMAIN d ADD CHECK (VALUE > 0)`,
			[]string{"Adds a constraint to the existing table a:", "Adds a constraint", "Makes values of the existing table a unique:", "Adds a constraint to the existing domain d:"}},
		{"drop default", "ALTER TABLE a ALTER b DROP DEFAULT, ALTER c DROP IDENTITY", []string{"Takes the value that the column b", "Takes the value that the column c"}},
		{"may be there already", "CREATE TABLE IF NOT EXISTS a (id int); DROP TABLE a", []string{"Drops the table a:"}},
		{"dropped twice", "CREATE TEMP TABLE a (id int); DROP TABLE a; DROP TABLE a", []string{"Drops the table a:"}},
		{"another search path", "CREATE TABLE a (id int); SET search_path = b; DROP TABLE a", []string{"Drops the table a:"}},
		{"other name by escapes", `CREATE TABLE u (id int); DROP TABLE U&"\0061"`, []string{`Drops the table U&`}},
		{"case in quotes", `CREATE TABLE "A" (id int); DROP TABLE A`, []string{"Drops the table a:"}},
		{"new parent of old rows", "CREATE TABLE p (LIKE a); ALTER TABLE a INHERIT p; TRUNCATE p", []string{"Empties the table p:"}},
		{"renamed on the way", "CREATE TABLE s.a (id int); ALTER TABLE s.a RENAME TO b; DROP TABLE s.b; DROP TABLE s.a", []string{"Drops the table s.a:"}},
		{"not read", "DO $$ BEGIN EXECUTE 'DROP TABLE a'; END $$; CALL p(); SELECT wipe(); SELECT x.max(1); WITH a AS (SELECT wipe()) SELECT 1; FROBNICATE a", []string{"DO runs code", "CALL runs code", "Calls wipe,", "Calls max,", "Calls wipe,", "Begins with FROBNICATE,"}},
		{"bodies do not run", "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC DELETE FROM a; END; CREATE OR REPLACE FUNCTION g() RETURNS void AS $$ DELETE FROM a $$ LANGUAGE sql", nil},
		{"escape string", `INSERT INTO a VALUES (E'\'; DROP TABLE a; --'); TRUNCATE b`, []string{"Empties the table b:"}},
		{"unfinished", `DROP TABLE "a`, []string{"Drops the table a:"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for i, p := range migration.Destructive(preview.MigrationsSQL, []migration.Script{{Path: "m.sql", Text: tt.sql}}) {
				message := p.Message
				if i < len(tt.want) && strings.HasPrefix(message, tt.want[i]) {
					message = tt.want[i]
				}
				got = append(got, message)
				if p.Path != "m.sql" || p.Line < 1 || p.Hint == "" || !strings.HasSuffix(p.Message, ".") {
					t.Errorf("%+v", p)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDestructiveLines(t *testing.T) {
	t.Parallel()
	scripts := []migration.Script{
		{Path: "a.sql", Text: "CREATE TABLE n (id int);--> statement-breakpoint\nALTER TABLE x\n  ADD a int,\n  DROP b;\n"},
		{Path: "b.sql", Text: "-- é\n\n  DROP TABLE n;\nTRUNCATE x"},
	}
	var got []string
	for _, p := range migration.Destructive(preview.MigrationsDrizzle, scripts) {
		got = append(got, strings.SplitN(p.String(), " ", 3)[0]+" "+strings.Fields(p.Message)[0])
	}
	if diff := cmp.Diff([]string{"a.sql:4: Drops", "b.sql:4: Empties"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestDestructiveBounds gives what is long on purpose.
func TestDestructiveBounds(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"many drops":      "DROP TABLE " + strings.Repeat("a, ", 200_000) + "a",
		"many statements": strings.Repeat("DROP TABLE a;\n", 50_000),
		"many deletes":    strings.Repeat("DELETE FROM a ", 100_000) + "WHERE id = 1",
		"deep":            "SELECT " + strings.Repeat("in(", 300_000),
		"a long name":     `DROP TABLE "` + strings.Repeat("é", 100_000) + `"`,
	} {
		problems := migration.Destructive(preview.MigrationsSQL, []migration.Script{{Path: "m.sql", Text: sql}})
		if len(problems) > 100 || (len(problems) == 0 && name != "deep") {
			t.Errorf("%s: %d problems", name, len(problems))
		}
		for _, p := range problems {
			if len(p.Message) > 400 {
				t.Errorf("%s: a message of %d bytes", name, len(p.Message))
			}
		}
	}
}

func FuzzDestructive(f *testing.F) {
	for _, seed := range []string{"DROP TABLE a", "ALTER TABLE a ADD b int NOT NULL, DROP \"c", "WITH x AS (DELETE FROM a) SELECT f(", "ALTER", "DROP", "CREATE UNIQUE INDEX ON", "U&\"", "UPDATE", "\x80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		for _, p := range migration.Destructive(preview.MigrationsSQL, []migration.Script{{Path: "m.sql", Text: sql}}) {
			if p.Line < 1 || p.Line > strings.Count(sql, "\n")+1 || p.Message == "" || strings.ContainsAny(p.Message, "\n\r\x1b") {
				t.Fatalf("%q: %+v", sql, p)
			}
		}
	})
}
