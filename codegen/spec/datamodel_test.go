package spec

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// summary writes a field the way the tests below expect it.
func summary(f Field) string {
	words := []string{f.Name, f.Type.Name + f.Type.Enum}
	add := func(when bool, word string) {
		if when {
			words = append(words, word)
		}
	}
	add(f.Type.Array, "array")
	add(f.Type.Length != "", "length="+f.Type.Length)
	add(f.Min+f.Max != "", f.Min+".."+f.Max)
	add(len(f.Values) > 0, strings.Join(f.Values, "|"))
	add(f.Optional == Yes, "optional")
	add(f.Optional == No, "required")
	add(f.Primary, "primary")
	add(f.Unique, "unique")
	add(f.Identity, "identity")
	add(f.HasDefault, "default="+f.Default)
	add(f.Scoped != "", "per="+f.Scoped)
	for _, c := range f.Checks {
		words = append(words, "check="+c.Expression)
	}
	if f.Ref != nil {
		words = append(words, "→"+f.Ref.Entity+"."+f.Ref.Field+"/"+f.Ref.OnDelete)
	}
	add(f.Type.Shape != "", f.Type.Shape)
	return strings.Join(words, " ")
}

func TestFields(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []string
	}{
		{"bullets with parentheses", "- id (uuid) REQUIRED PRIMARY KEY\n- name (string, 3..64) REQUIRED, unique per org\n- branch (string, default \"main\")\n- kind (enum: a|b) default a\n- orgId (uuid) REQUIRED → Organization.id (who owns it)\n- tags (string[], values: x|y) OPTIONAL",
			[]string{"id uuid required primary", "name text 3..64 required per=org", "branch text default='main'", "kind enum a|b default='a'", "orgId uuid required →Organization.id/", "tags text array x|y optional"}},
		{"bullets with colons", "- id: uuid (pk)\n- userId: uuid (fk → User)\n- kind: enum('a','b')\n- text: text (nullable)\n- **email**: String, required, unique\n- `size`: integer (min 1, max 9, default 3)",
			[]string{"id uuid primary", "userId uuid →User./", "kind enum a|b", "text text optional", "email text required unique", "size integer 1..9 default=3"}},
		{"prose is no fact", "- id (uuid) REQUIRED (hash of the value, NOT the value itself)\n- a (integer) – null for some\n- b (string) unique identifier of nothing\n- c: string - required for login",
			[]string{"id uuid required", "a integer", "b text", "c text"}},
		{"members of an object", "- id (uuid)\n- box (object) OPTIONAL\n  - w (integer) REQUIRED\n  - kind (enum: a|b) OPTIONAL\n- list (json)\n  - [{name: string, at?: datetime (utc)}]",
			[]string{"id uuid", `box jsonb optional { w: number; kind?: "a" | "b" }`, "list jsonb Array<{ name: string; at?: string }>"}},
		{"a table without its line of dashes", "| Field | Type | Notes |\n| id | uuid | PK |\n| mode | text | light|dark |\n| by | uuid nullable | who |\n| `a` / `b` | timestamptz | |",
			[]string{"id uuid primary", "mode text light|dark", "by uuid optional", "a timestamptz", "b timestamptz"}},
		{"a table with more columns", "| Column | Type | Required | Default | References |\n|---|---|:-:|---|---|\n| id | serial | yes | | |\n| n | varchar(20) | no | 'x' | |\n| t | bigint | no | 0 | things(id) |",
			[]string{"id integer required identity", "n varchar length=20 optional default='x'", "t bigint optional default=0 →things.id/"}},
		{"constraints of a table", "| name | type | constraints |\n|---|---|---|\n| id | uuid | PK, default gen_random_uuid() |\n| user_id | uuid | FK->users(id) on delete cascade, not null |\n| n | int | not null default 0 |",
			[]string{"id uuid primary default=gen_random_uuid()", "user_id uuid required →users.id/cascade", "n integer required default=0"}},
		{"titles in another language", "| 字段名 | 类型 | 约束 |\n|---|---|---|\n| id | uuid | PK |", []string{"id uuid primary"}},
		{"titles that nobody knows", "| Nimi | Tüüp |\n|---|---|\n| id | uuid |\n| n | int |", []string{"id uuid", "n integer"}},
		{"SQL", "```sql\nCREATE TABLE xs (\n id BIGSERIAL PRIMARY KEY,\n a VARCHAR(9) NOT NULL DEFAULT 'it''s',\n b NUMERIC(10, 2) CHECK (b > 0),\n c TEXT[] DEFAULT '{}', -- a comment, NOT NULL\n d UUID REFERENCES s.ys (id) ON DELETE SET NULL,\n e TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()\n);\n```",
			[]string{"id bigint required primary identity", "a varchar length=9 required default='it''s'", "b numeric optional check=b > 0", "c text array optional default='{}'", "d uuid optional →ys.id/set null", "e timestamptz required default=now()"}},
		{"what looks like SQL", "```\nusers (\n id UUID PK\n role TEXT CHECK (role IN ('a', 'b')) NOT NULL\n ip INET NULL\n)\n```",
			[]string{"id uuid required primary", "role text required check=role IN ('a', 'b')", "ip inet optional"}},
		{"what looks like SQL, on one line", "```\nusers ( id UUID PK, role TEXT CHECK (role IN ('a', 'b')) NOT NULL )\n```\nRLS: owner only\nIndex: (role)",
			[]string{"id uuid required primary", "role text required check=role IN ('a', 'b')"}},
		{"Prisma", "```prisma\nmodel X {\n  id String @id @default(uuid()) @db.Uuid\n  n Int?\n  userId String\n  user User @relation(fields: [userId], references: [id], onDelete: SetNull)\n}\n```",
			[]string{"id uuid required primary default=gen_random_uuid()", "n integer optional", "userId text required →User.id/set null"}},
		{"an interface", "```ts\ninterface X {\n  id: string; // PK\n  kind: 'a' | 'b';\n  at?: Date | null\n  meta: Record<string, number>\n}\n```",
			[]string{"id text required primary", "kind enum a|b required", "at timestamptz optional", "meta jsonb required Record<string, number>"}},
		{"Drizzle", "```ts\nexport const xs = pgTable('xs', {\n  id: uuid('id').primaryKey().defaultRandom(),\n  yId: integer('y_id').notNull().references(() => ys.id, { onDelete: 'cascade' }),\n  at: timestamp('at', { withTimezone: true }).defaultNow(),\n});\n```",
			[]string{"id uuid required primary default=gen_random_uuid()", "yId integer required →ys.id/cascade", "at timestamptz optional default=now()"}},
		{"a diagram", "```mermaid\nerDiagram\n  X {\n    uuid id PK\n    string name UK \"the name\"\n  }\n```", []string{"id uuid primary", "name text unique"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, problems := ParseDataModel("data-model.md", []byte("# Data model\n\n## Entities\n\n### X\nSomething.\n\n"+tt.text+"\n"))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			var got []string
			for _, e := range m.Entities {
				for _, f := range e.Fields {
					got = append(got, summary(f))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s\nnotes: %v", diff, m.Notes)
			}
		})
	}
}

func TestEntityTitle(t *testing.T) {
	t.Parallel()
	tests := []struct{ title, name, table string }{
		{"User", "User", ""}, {"1. User", "User", ""}, {"Entity: User", "User", ""}, {"`User`", "User", ""}, {"Secret Mapping", "SecretMapping", ""},
		{"drift_queue (optional optimization)", "drift_queue", ""}, {"Session (server-side short-lived)", "Session", ""}, {"User (`users`)", "User", "users"},
		{"Table: order_items", "order_items", ""}, {"User (from platform bootstrap, extended fields)", "User", ""}, {"用户 (User)", "User", ""}, {"User table", "User", ""},
		{"Validation rules of everything", "", ""}, {"State Machines and so on", "", ""},
	}
	for _, tt := range tests {
		name, table, _ := entityTitle(tt.title)
		if name != tt.name || table != tt.table {
			t.Errorf("%q: got %q and %q, want %q and %q", tt.title, name, table, tt.name, tt.table)
		}
	}
}

// TestPlacesOfFields counts lines and columns by hand.
func TestPlacesOfFields(t *testing.T) {
	t.Parallel()
	m, problems := ParseDataModel("a.md", []byte("### X\n\n- id (uuid)\n\n```sql\nCREATE TABLE xs (\n  id UUID,\n  n INT\n);\n```\n\n| Field | Type |\n| é | uuid |\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, e := range m.Entities {
		for _, f := range e.Fields {
			got = append(got, fmt.Sprintf("%s %d:%d", f.Name, f.Line, f.Place.Column))
		}
	}
	for _, n := range m.Notes {
		got = append(got, n.String())
	}
	want := []string{"id 7:3", "n 8:3", "id 3:3", `a.md:13:1: "é" is no name for a field: the row is not read`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKeyEntities(t *testing.T) {
	t.Parallel()
	got := KeyEntities([]byte("## A\n- **No**: x\n### Key Entities *(include)*\n- **Secret Mapping**: what maps\n* **User**\n- prose\n### B\n- **Neither**: y\n"))
	want := []KeyEntity{{Place{4, 1}, "SecretMapping", "what maps"}, {Place{5, 1}, "User", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestDataModelRefused also bounds the time that hostile input takes.
func TestDataModelRefused(t *testing.T) {
	t.Parallel()
	fence := func(language, body string) string { return "### X\n```" + language + "\n" + body + "\n```\n" }
	many := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	tests := []struct{ name, text, want string }{
		{"too large", strings.Repeat("a\n", maxMarkdown/2+1), "larger than 4 MB"},
		{"not UTF-8", "### X\n\xff", "a.md:2:1: the file is not UTF-8"},
		{"a long line", strings.Repeat("a", maxLineLength+2), "a.md:1:1: the line is longer than 64 KB"},
		{"a zero", "a\x00", "a.md:1:1: the line has a character of value 0"},
		{"deep quotes", strings.Repeat(">", 1000), "nested deeper than 60 levels"},
		{"deep lists", strings.Repeat("- ", 1000) + "x", "nested deeper than 60 levels"},
		{"too many entities", many(maxEntities+1, func(i int) string { return fmt.Sprintf("### X%d\n- id (uuid)\n", i) }), "more than 2000 entities"},
		{"too many fields", "### X\n" + many(maxFields+1, func(i int) string { return fmt.Sprintf("- f%d (uuid)\n", i) }), "a.md:1:5: X has more than 2000 fields"},
		{"open parentheses in SQL", fence("sql", "CREATE TABLE x ("+strings.Repeat("(\n", 10_000)), ""},
		{"an open text in SQL", fence("sql", "CREATE TABLE x (a text DEFAULT '"+strings.Repeat("x\n", 10_000)), ""},
		{"statements without end", fence("sql", strings.Repeat("CREATE TABLE x ( a int,\n", 10_000)), ""},
		{"braces in an interface", fence("ts", "interface X {\n a: "+strings.Repeat("{\n a: ", 25_000)), ""},
		{"arrays in an interface", fence("ts", "interface X {\n a: "+strings.Repeat("Array<\n", 15_000)), ""},
		{"parentheses in Drizzle", fence("ts", "const x = pgTable('x', {\n a: text('a')"+strings.Repeat(".default((\n", 15_000)+"\n"), ""},
		{"models without end", fence("prisma", strings.Repeat("model X {\n", 15_000)), ""},
		{"interfaces without end", fence("ts", strings.Repeat("interface X {\n", 10_000)), ""},
		{"bars", "### X\n| a | type |\n" + strings.Repeat(strings.Repeat("|", 60_000)+"\n", 4), ""},
		{"parentheses in a list", "### X\n- id (uuid)\n- a (string" + strings.Repeat("(", 60_000), ""},
		{"commas in a list", "### X\n- id (uuid)\n" + strings.Repeat("- a (string"+strings.Repeat(",", 60_000)+")\n", 2), ""},
		{"headings", strings.Repeat("# a\n###### b\n", 15_000), ""},
		{"indented further and further", many(60, func(i int) string { return strings.Repeat("  ", i) + "- a (object)\n" }), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			done := make(chan Problems, 1)
			go func() {
				_, problems := ParseDataModel("a.md", []byte(tt.text))
				done <- problems
			}()
			select {
			case problems := <-done:
				if !strings.Contains(problems.Error(), tt.want) || (tt.want == "") != (len(problems) == 0) {
					t.Errorf("got %.300q, want %q", problems.Error(), tt.want)
				}
			case <-time.After(time.Minute):
				t.Fatal("it takes too long")
			}
		})
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"string", "string"}, {`"a" | 'b' | null`, `"a" | "b" | null`}, {"{a: string, b?: number (minutes)}", "{ a: string; b?: number }"}, {"Array<{ x: Date; y: any }>", "Array<{ x: string; y: unknown }>"},
		{"Record<string, boolean>[]", "Record<string, boolean>[]"}, {`("a" | "b")[]`, `("a" | "b")[]`}, {"{}", "Record<string, unknown>"},
		{"process.exit()", ""}, {"{a: `x`}", ""}, {"Foo", ""}, {"{a: string", ""}, {"string; evil()", ""},
	}
	for _, tt := range tests {
		got, rest, ok := parseShape(tt.text)
		if !ok || rest != "" {
			got = ""
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.text, got, tt.want)
		}
	}
}
