package codegen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/flaresmith/flaresmith/codegen"
)

// FuzzDataModel takes any data-model.md through to a module of tables, which must be TypeScript whatever the
// file says, and the same again.
func FuzzDataModel(f *testing.F) {
	for _, pattern := range []string{golden + "/table*/in/specs/*/data-model.md", sharedSpecs + "/*/data-model.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Add([]byte("### X\n- a (uuid) → X.a, default `${1}\n- __proto__ (json)\n  - [{a: \"*/\"}]\n"))
	f.Add([]byte("```sql\nCREATE TABLE \"a`${b}\" (\"c\\\" text CHECK ('`${x}\\' = ''), check int);\n```\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := fstest.MapFS{"specs/001-a/data-model.md": {Data: data}}
		options := codegen.Options{Targets: []string{"drizzle"}}
		files, err := codegen.Generate(t.Context(), in, options)
		if err != nil {
			if len(files.All) > 0 || err.Error() == "" {
				t.Fatalf("files with an error: %v", err)
			}
			return
		}
		for _, p := range append(files.Notes, files.Mismatches...) {
			if p.Line < 1 || p.Column < 1 || p.File == "" || p.Message == "" {
				t.Errorf("a note without a place: %+v", p)
			}
		}
		again, err := codegen.Generate(t.Context(), in, options)
		if err != nil || len(again.All) != len(files.All) {
			t.Fatalf("the second run: %v", err)
		}
		for i, file := range files.All {
			if string(again.All[i].Content) != string(file.Content) {
				t.Fatal("the second run gave other bytes")
			}
			result := api.Transform(string(file.Content), api.TransformOptions{Loader: api.LoaderTS})
			if len(result.Errors) > 0 {
				t.Fatalf("no TypeScript: %s\n%s", result.Errors[0].Text, file.Content)
			}
		}
	})
}

// TestTablesAreLinked sees to it that the ids of requirements reach the tables that they name, and no others.
func TestTablesAreLinked(t *testing.T) {
	t.Parallel()
	in := fstest.MapFS{
		"specs/001-a/spec.md":       {Data: []byte("- **FR-001**: `Item` has a name.\n- **FR-002**: An item is sold.\n- **SC-003**: Every ItemGroup is listed.\n")},
		"specs/001-a/data-model.md": {Data: []byte("### Item\n- id (uuid)\n\n### ItemGroup\n- id (uuid)\n")},
		"specs/002-b/spec.md":       {Data: []byte("- **FR-009**: `Item` of another feature.\n")},
	}
	files, err := codegen.Generate(t.Context(), in, codegen.Options{Targets: []string{"drizzle"}})
	if err != nil {
		t.Fatal(err)
	}
	content := string(files.All[0].Content)
	for _, want := range []string{"/** FR-001 */\nexport const items = ", "/** SC-003 */\nexport const itemGroups = "} {
		if !strings.Contains(content, want) {
			t.Errorf("%q is not in\n%s", want, content)
		}
	}
	if strings.Contains(content, "FR-002") || strings.Contains(content, "FR-009") {
		t.Errorf("linked to what does not name a table:\n%s", content)
	}
}

// TestNotations has what people write in data models, beside the notations themselves.
func TestNotations(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, model string
		want        []string // parts of the tables
		not         string
		note        string
		mismatches  int
	}{
		{name: "a section of fields below its entity", model: "## Entity: Shop (Laden)\n\n### Field Specifications\n\n| Field | Type | Required | Default |\n|---|---|---|---|\n| id | UUID | Yes | Auto-generated |\n| seats | INTEGER | No | 0 |\n| opened | TIMESTAMPTZ | Yes | Current time |\n",
			want: []string{`export const shops = pgTable("shops", {`, `id: uuid("id").primaryKey().defaultRandom(),`, `opened: timestamp("opened", { withTimezone: true }).notNull().defaultNow(),`}, not: "fieldSpecifications"},
		{name: "such a section in another language", model: "## Entity 1: Shop\n\n### 字段\n\n| 字段 | 类型 | 约束 |\n|---|---|---|\n| id | uuid | PK |\n", want: []string{`pgTable("shops"`}},
		{name: "changes of a table", model: "### New: `shops` table\n\n| Column | Type |\n|---|---|\n| id | UUID |\n\n### New Columns for `shops`\n\n| Column | Type |\n|---|---|\n| name | TEXT |\n", want: []string{`name: text("name").notNull(),`}},
		{name: "a row beside its reference, and lists of rows", model: "### Project\n\n| Field | Type |\n|---|---|\n| `Id` | `int` (identity PK) |\n| `Items` | `ICollection<Item>` |\n| `Extras` | `List<Extra>` |\n\n### Item\n\n| Field | Type |\n|---|---|\n| `Id` | `int` (identity PK) |\n| `ProjectId` | `int` |\n| `Project` | `Project?` |\n",
			want: []string{`projectId: integer("project_id").notNull().references(() => projects.id),`, `extras: jsonb("extras").$type<unknown[]>()`}, not: `items: text`, note: "items.Project is the row that ProjectId refers to: it gets no column"},
		{name: "what is passed on", model: "### Shop\n- id (uuid)\n\n### ShopDetailDto\n\n| Field | Type |\n|---|---|\n| id | uuid |\n| total | int |\n", want: []string{`pgTable("shops"`}, not: "shopDetailDtos", note: "ShopDetailDto is not read as a table"},
		{name: "a number that says of itself that it is updated", model: "### Shop\n- id (uuid)\n- seats (integer, auto-updated)\n", want: []string{`seats: integer("seats").notNull(),`}, note: "seats is updated by something that is not said"},
		{name: "a default that does not say which", model: "### Shop\n\n| Field | Type | Default |\n|---|---|---|\n| id | uuid | auto-generated |\n| by | text | Current user |\n", want: []string{`by: text("by").notNull(),`}, note: "the default Current user of by is not generated: it does not say which value that is"},
		{name: "defaults that are not said", model: "### Shop\n\n| Field | Type | Default | Notes |\n|---|---|---|---|\n| id | integer | AUTOINCREMENT | PK |\n| key | uuid | uuid4() | |\n| owner | uuid | auth.uid() | |\n| by | text | Current user | |\n| mode | text | auto | |\n",
			want: []string{`id: integer("id").primaryKey().generatedByDefaultAsIdentity(),`, `key: uuid("key").notNull().defaultRandom(),`, `owner: uuid("owner").notNull(),`, `by: text("by").notNull(),`, `mode: text("mode").notNull().default("auto"),`}, note: "the default auth.uid() of owner is not generated"},
		{name: "an interface beside a table", model: "### Shop\n\n```typescript\ninterface Shop {\n  id: string;\n  seats: number;\n  opened: string;\n}\n```\n\n| Field | Type |\n|---|---|\n| id | uuid |\n| seats | integer |\n| opened | timestamptz |\n",
			want: []string{`id: uuid("id")`, `seats: integer("seats")`, `opened: timestamp("opened", { withTimezone: true })`}},
		{name: "interfaces of functions", model: "```typescript\ninterface Shop {\n  id: string;\n  open: 0 | 1;\n}\ninterface CreateShopInput {\n  name: string;\n}\n```\n", want: []string{`open: integer("open")`, "sql`open IN (0, 1)`"}, not: "createShopInputs", note: ":6:11: the interface CreateShopInput is not read as a table, by its name"},
		{name: "a number that is no text", model: "### Shop\n\n```typescript\ninterface Shop {\n  id: string;\n  seats: string;\n}\n```\n\n| Field | Type |\n|---|---|\n| id | uuid |\n| seats | integer |\n", want: []string{`seats: text("seats")`}, mismatches: 1},
		{name: "constraints that are added on lines of their own", model: "```sql\nCREATE TABLE shops (id uuid PRIMARY KEY);\nCREATE TABLE items (id uuid PRIMARY KEY, shop uuid NOT NULL, size integer NOT NULL);\nALTER TABLE items\n  ADD CONSTRAINT items_shop_fkey\n  FOREIGN KEY (shop) REFERENCES shops(id) ON DELETE CASCADE;\nALTER TABLE items ADD CONSTRAINT items_size\n  CHECK (size > 0);\nALTER TABLE items ADD FOREIGN KEY (owner) REFERENCES shops(id);\n```\n",
			want: []string{`.references(() => shops.id, { onDelete: "cascade" })`, "check(\"items_size\", sql`size > 0`)"}, note: "the foreign key is of a column owner that nothing describes"},
		{name: "a list of values that is said twice", model: "```sql\nCREATE TABLE items (id uuid PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('a', 'b')));\nCREATE TABLE items (id uuid PRIMARY KEY, kind text NOT NULL CHECK (kind IN ('a', 'b', 'c')));\n```\n", want: []string{"kind IN ('a', 'b')"}, not: "'c'", mismatches: 1},
		{name: "a unique column with an index", model: "### shops\n\n| Column | Type | Constraints |\n|---|---|---|\n| id | uuid | PK |\n| owner | uuid | UNIQUE |\n\n**Indexes**:\n- `shops_owner` (owner) - UNIQUE\n\n```sql\nCREATE TABLE shops (id uuid PRIMARY KEY, owner uuid NOT NULL UNIQUE);\nCREATE INDEX shops_owner ON shops(owner);\n```\n", want: []string{"unique("}},
		{name: "a schema before a table, and words behind FK", model: "### profiles\n\n| Field | Type | Constraints |\n|---|---|---|\n| id | uuid | PK, FK to auth.users |\n| shop_id | INTEGER FK UNIQUE | References shops.id |\n\n### shops\n\n| Field | Type |\n|---|---|\n| id | INTEGER PK |\n\n### users\n\n| Field | Type |\n|---|---|\n| id | uuid |\n",
			want: []string{`id: uuid("id").primaryKey().references(() => users.id),`, `unique("profiles_shop_id_unique").references(() => shops.id),`}, note: "profiles.id refers to users in the schema auth: this is read as the table of that name here"},
		{name: "defaults that only begin as the present time", model: "### Shop\n\n| Field | Type | Default |\n|---|---|---|\n| id | uuid | |\n| level | text | current_tier |\n| plan | text | current_draft |\n| opened | date | CURRENT_DATE |\n\n```sql\nCREATE TABLE tokens (id uuid PRIMARY KEY, ends timestamp NOT NULL DEFAULT (datetime('now', '+7 days')));\n```\n",
			want: []string{`.default("current_tier")`, `.default("current_draft")`, `opened: date("opened").notNull().default(sql` + "`now()`)"}, not: `ends: timestamp("ends").notNull().defaultNow()`},
		{name: "no default", model: "### Shop\n\n| Field | Type | Default |\n|---|---|---|\n| id | uuid | nil |\n| opened | date | None |\n", want: []string{`opened: date("opened").notNull(),`}},
		{name: "values that are called none, and null among values", model: "### Shop\n- id (uuid)\n- digest (text, none|daily|weekly)\n- mood (text, good|bad|null)\n", want: []string{`digest: text("digest", { enum: ["none", "daily", "weekly"] }).notNull(),`, "digest IN ('none', 'daily', 'weekly')", `mood: text("mood", { enum: ["good", "bad"] }),`, "mood IN ('good', 'bad')"},
			note: "inferred: null, which stands among the values of mood, is none of them: it is optional"},
		{name: "columns of nearly one name", model: "```sql\nCREATE TABLE things (\n  id uuid PRIMARY KEY,\n  user_id uuid NOT NULL,\n  userid uuid NOT NULL\n);\n```\n", want: []string{`: uuid("user_id").notNull(),`}, not: `uuid("userid")`, note: ":5:3: userid is read as the column user_id: names that capitals and underscores alone tell apart are one"},
		{name: "a vector", model: "### Shop\n- id (uuid)\n- likeness (vector(3))\n", want: []string{`vector("likeness", { dimensions: 3 })`}, note: "shops.likeness needs the extension pgvector"},
		{name: "the present time of SQLite", model: "```sql\nCREATE TABLE a (id integer PRIMARY KEY AUTOINCREMENT, made text NOT NULL DEFAULT (datetime('now')), code text CHECK (code REGEXP '^[a-z]+$'), sent text DEFAULT (datetime('now', 'utc')));\n```\n", want: []string{"made: text(\"made\").notNull().default(sql`now()`),", "sent: text(\"sent\").default(sql`now()`),", "sql`code ~ '^[a-z]+$'`"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files, err := codegen.Generate(t.Context(), fstest.MapFS{"specs/001-a/data-model.md": {Data: []byte(tt.model)}}, codegen.Options{Targets: []string{"drizzle"}})
			if err != nil {
				t.Fatal(err)
			}
			content := string(files.All[0].Content)
			for _, want := range tt.want {
				if !strings.Contains(content, want) {
					t.Errorf("%q is not in\n%s", want, content)
				}
			}
			if tt.not != "" && strings.Contains(content, tt.not) {
				t.Errorf("%q is in\n%s", tt.not, content)
			}
			if !strings.Contains(files.Notes.Error(), tt.note) {
				t.Errorf("%q is not in the notes:\n%s", tt.note, files.Notes)
			}
			if len(files.Mismatches) != tt.mismatches {
				t.Errorf("got the conflicts %s", files.Mismatches)
			}
		})
	}
}
