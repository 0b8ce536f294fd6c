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
	add(f.AnyCase, "any-case")
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
		{"alternatives to null", "| Field | Type | Notes |\n|---|---|---|\n| a | `string \\| null` | |\n| b | `str \\| None` | max 9 |\n| c | `'x' \\| 'y' \\| null` | |\n| d | `string \\| number` | |\n| e | text | x|y|null |",
			[]string{"a text optional", "b text ..9 optional", "c enum x|y optional", "d jsonb string | number", "e text x|y optional"}},
		{"alternatives to null in bullets", "- a: string | null\n- b: 'x' | 'y' | null\n- c: str | None",
			[]string{"a text optional", "b enum x|y optional", "c text optional"}},
		{"values that are called none", "| Field | Type | Notes |\n|---|---|---|\n| a | none \\| daily \\| weekly | |\n| b | `none \\| daily` | |\n| c | text | none|daily |\n| d | text | 'None' | 'All' |\n| e | `'nil' \\| 'x'` | |\n| f | None \\| Inline \\| Full | |\n| g | text | Inline|None|null |\n| h | `'x' \\| 'y' \\| undefined` | |\n| i | `Status \\| None` | |\n| j | `email \\| none` | |\n| k | text | `'null'`|`'x'` |",
			[]string{"a enum none|daily|weekly", "b enum none|daily", "c text none|daily", "d text None|All", "e enum nil|x", "f enum None|Inline|Full", "g text Inline|None optional", "h enum x|y optional", "i Status optional", "j text email|none", "k text null|x"}},
		{"values that are called none, in bullets", "- a: none|daily|weekly\n- b (none | daily)\n- c (text, none|daily|null)\n- d: 'none' | 'undefined' | null\n- e: none|daily, default none\n- f: Status | None",
			[]string{"a enum none|daily|weekly", "b enum none|daily", "c text none|daily optional", "d enum none|undefined optional", "e enum none|daily default='none'", "f Status optional"}},
		{"what a reference's parentheses say", "| Field | Type | Notes |\n|---|---|---|\n| a | uuid | FK to users (single-user stub) |\n| b | uuid | FK → users (id) |\n| c | uuid | FK (users.id), NOT NULL |\n| d | text | Planned (default) → Active → Done |",
			[]string{"a uuid →users./", "b uuid →users.id/", "c uuid required →users.id/", "d text"}},
		{"chains of arrows", "| Field | Type | Notes |\n|---|---|---|\n| a | uuid | FK → users.id → cascade |\n| b | uuid | FK -> users -> on delete cascade |\n| c | uuid | References users(id) → set null |\n| d | text | → active → done |\n| e | text | draft → active → done |\n| f | uuid | → users.id |\n| g | uuid | → FK users → cascade |\n| h | uuid | FK → users.id → orgs.id |",
			[]string{"a uuid →users.id/", "b uuid →users./cascade", "c uuid optional →users.id/", "d text", "e text", "f uuid →users.id/", "g uuid →users./", "h uuid →users.id/"}},
		{"chains of arrows in a column for references", "| Field | Type | References |\n|---|---|---|\n| a | uuid | users(id) → cascade |\n| b | uuid | FK → users.id |\n| c | uuid | → users.id |\n| d | uuid | users.id, on delete cascade |\n| e | uuid | refunds |\n| f | uuid | References `users`(`id`) |",
			[]string{"a uuid →users.id/", "b uuid →users.id/", "c uuid →users.id/", "d uuid →users.id/cascade", "e uuid →refunds./", "f uuid →users.id/"}},
		{"unique within something", "| Field | Type | Notes |\n|---|---|---|\n| a | int | unique within ProjectId. Defines the order |\n| b | text | unique per user (case-insensitive) |",
			[]string{"a integer per=ProjectId", "b text per=user any-case"}},
		{"times of other languages", "- a: LocalDateTime\n- b: DateTimeOffset?\n- c: LocalDate\n- d: BigDecimal",
			[]string{"a timestamptz", "b timestamptz optional", "c date", "d numeric"}},
		{"a computed property", "- `a` (DateTime?) - Revoked\n- `b` (bool) - Computed property based on a", []string{"a timestamptz optional"}},
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
		{"a comment of Prisma", "```prisma\nmodel X {\n  id String @id // the key\n  // n Int\n  url String @default(\"https://example.com\") // where\n}\n```",
			[]string{"id text required primary", "url text required default='https://example.com'"}},
		{"a key of Prisma over several columns", "```prisma\nmodel X {\n  id String @id\n  userId String\n  orgId String\n  user User @relation(fields: [userId, orgId], references: [id, orgId])\n}\n```",
			[]string{"id text required primary", "userId text required", "orgId text required"}},
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

// Indexes beside a table whose fields another notation describes.
func TestIndexBesideSQL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"uq_a: UNIQUE (owner)": "owner", "idx_a: lower(owner)": "owner", "idx_a: app_items(owner)": "owner", "idx_a: items (owner)": "owner", "idx_a: owner (lookup)": "owner", "idx_a on app_items (owner)": "owner"} {
		model, problems := ParseDataModel("data-model.md", []byte("## Item\n\n```sql\nCREATE TABLE items (id uuid PRIMARY KEY, owner uuid);\n```\n\n**Indexes**:\n- "+text+"\n"))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		var got []string
		for _, e := range model.Entities {
			for _, index := range e.Indexes {
				got = append(got, index.Columns[0].Name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s, notes: %v", text, got, want, model.Notes)
		}
	}
}

// A line that says no columns makes no index, and a note.
func TestIndexWithoutColumns(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"idx_tags: GIN", "uq_items: UNIQUE", "idx_a on items (lower(owner))", "idx_a: items"} {
		model, problems := ParseDataModel("data-model.md", []byte("## Item (items)\n\n- id (uuid)\n- owner (uuid)\n\n**Indexes**:\n- "+text+"\n"))
		if len(problems) > 0 || len(model.Entities[0].Indexes) > 0 || !strings.Contains(model.Notes.Error(), "it names no columns") {
			t.Errorf("%s: %+v, %v", text, model, problems)
		}
	}
}

// A name before the columns of an index is its own, unless it is that of the table, or the column itself.
func TestIndexNames(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"- (owner, made DESC)", " owner,made-"},
		{"- `by_owner` on (owner)", "by_owner owner"},
		{"- by_owner on items (owner, made)", "by_owner owner,made"},
		{"- UNIQUE INDEX idx_items_owner (owner)", "idx_items_owner owner unique"},
		{"- items_owner_idx (owner)", "items_owner_idx owner"},
		{"- items (owner)", " owner"},
		{"- Index on (owner)", " owner"},
		{"- owner (unique)", " owner unique"},
		{"- `idx_items_owner`: owner (for lookups)", "idx_items_owner owner"},
		{"- `idx_items_unique`: owner + made (UNIQUE)", "idx_items_unique owner,made unique"},
		{"- `idx_items_made` on made DESC", "idx_items_made made-"},
		{"- `idx_items_owner` on `items` (owner, made)", "idx_items_owner owner,made"},
		{"- `idx_items_owner`: (owner, made DESC)", "idx_items_owner owner,made-"},
		{"- `idx_items_owner` on owner (UNIQUE)", "idx_items_owner owner unique"},
		{"- [owner, made] (unique)", " owner,made unique"},
		{"- UNIQUE INDEX on [owner, made]", " owner,made unique"},
		{"- `uq_items_owner`: UNIQUE (owner)", "uq_items_owner owner unique"},
		{"- uq_items_owner: UNIQUE(owner, made)", "uq_items_owner owner,made unique"},
		{"- uq_items_owner: UNIQUE INDEX ON items (owner)", "uq_items_owner owner unique"},
		{"- uq_items_owner: UNIQUE CONSTRAINT (owner)", "uq_items_owner owner unique"},
		{"- uq_items_owner: UNIQUE owner", "uq_items_owner owner unique"},
		{"- uq_items_owner: unique on owner, made", "uq_items_owner owner,made unique"},
		{"- uq_items_owner: UNIQUE, (owner)", "uq_items_owner owner unique"},
		{"- idx_tags: GIN (owner)", "idx_tags owner"},
		{"- idx_tags: GIN index on owner", "idx_tags owner"},
		{"- idx_tags: B-tree (owner, made)", "idx_tags owner,made"},
		{"- idx_tags: HASH (owner)", "idx_tags owner"},
		{"- idx_tags: USING gin (owner)", "idx_tags owner"},
		{"- idx_tags ON items USING btree (owner, made DESC)", "idx_tags owner,made-"},
		{"- idx_tags: composite index (owner, made)", "idx_tags owner,made"},
		{"- idx_tags: partial index on (owner) where made is null", "idx_tags owner where made is null"},
		{"- idx_a: items (owner)", "idx_a owner"},
		{"- `idx_a`: `items(owner, made)`", "idx_a owner,made"},
		{"- idx_a: on items (owner)", "idx_a owner"},
		{"- idx_a: app_items (owner)", "idx_a owner"},
		{"- idx_a on items (owner) UNIQUE", "idx_a owner unique"},
		{"- idx_a on `items`(`owner`, made DESC) (UNIQUE)", "idx_a owner,made- unique"},
		{"- idx_a on app_items (owner)", "idx_a owner"},
		{"- idx_a: CREATE INDEX idx_a ON items (owner)", "idx_a owner"},
		{"- idx_a: (owner) (unique)", "idx_a owner unique"},
		{"- idx_a: (owner) where made is null", "idx_a owner where made is null"},
		{"- idx_a: owner (unique, where made is null)", "idx_a owner unique where made is null"},
		{"- idx_a: owner WHERE made IS NULL (partial)", "idx_a owner where made IS NULL"},
		{"- idx_a: owner (lookup)", "idx_a owner"},
		{"- idx_a: owner, made (composite)", "idx_a owner,made"},
		{"- idx_a on owner (lookup)", "idx_a owner"},
		{"- idx_a: hash", "idx_a hash"},
		{"- idx_a: hash (unique)", "idx_a hash unique"},
		{"- idx_a: hash, made", "idx_a hash,made"},
		{"- idx_a: items (hash)", "idx_a hash"},
		{"- idx_a: hash for lookups", "idx_a hash"},
		{"- idx_a: lower(owner)", "idx_a owner"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			model, problems := ParseDataModel("data-model.md", []byte("# Data model\n\n## Item (items)\n\n- id (uuid) REQUIRED PRIMARY KEY\n- owner (uuid)\n- made (timestamp)\n- hash (text)\n\n**Indexes**:\n"+tt.text+"\n"))
			if len(problems) > 0 || len(model.Entities) != 1 || len(model.Entities[0].Indexes) != 1 {
				t.Fatalf("%+v, %v", model, problems)
			}
			index := model.Entities[0].Indexes[0]
			var columns []string
			for _, c := range index.Columns {
				name := c.Name
				if c.Descending {
					name += "-"
				}
				columns = append(columns, name)
			}
			got := index.Name + " " + strings.Join(columns, ",")
			if index.Unique {
				got += " unique"
			}
			if index.Where != "" {
				got += " where " + index.Where
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestPrisma: comments are no values of an enum, and indexes have arguments in any order.
func TestPrisma(t *testing.T) {
	t.Parallel()
	text := "```prisma\nenum Status {\n  DRAFT // not yet seen\n  /// words of a comment\n  SENT @map(\"sent\")\n}\nenum Side { LEFT RIGHT }\n" +
		"model X {\n  id String @id\n  a Int\n  b Int\n  @@unique(name: \"ab\", fields: [a, b])\n  @@index(fields: [b], map: \"b\")\n}\n```\n"
	m, problems := ParseDataModel("data-model.md", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, e := range m.Enums {
		got = append(got, e.Name+" "+strings.Join(e.Values, "|"))
	}
	for _, e := range m.Entities {
		for _, i := range e.Indexes {
			got = append(got, fmt.Sprintf("%s %t %d", e.Name, i.Unique, len(i.Columns)))
		}
	}
	for _, note := range m.Notes {
		got = append(got, note.String())
	}
	want := []string{"Status DRAFT|SENT", "Side LEFT|RIGHT", "X true 2", "X false 1", `data-model.md:5:3: not read: the name in the database in "SENT @map(\"sent\")"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
