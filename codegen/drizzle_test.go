package codegen_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/codegen"
)

// TestDrizzle takes tables from specs to a database: both compilers accept them strictly, drizzle-kit makes
// migrations that Postgres applies, and finds nothing to change afterwards. FLARESMITH_TEST_CHECKOUTS names a folder
// with more checkouts that have specs.
func TestDrizzle(t *testing.T) {
	t.Parallel()
	dir := install(t)
	cases := map[string]fs.FS{"tables": os.DirFS(golden + "/tables/in"), "conflicts": os.DirFS(golden + "/table-conflicts/in")}
	if _, err := os.Stat(sharedSpecs); err == nil {
		cases["shared"] = os.DirFS(filepath.Dir(sharedSpecs))
	} else {
		t.Log("not tried: " + sharedSpecs + " is not there")
	}
	if folder := os.Getenv("FLARESMITH_TEST_CHECKOUTS"); folder != "" {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			cases[strings.NewReplacer(".", "-", "+", "-").Replace(entry.Name())] = os.DirFS(filepath.Join(folder, entry.Name()))
		}
	}
	var sources []string
	for name, fsys := range cases {
		schema(t, dir, name, fsys)
		sources = append(sources, filepath.Join(name, "schema.ts"))
	}
	slices.Sort(sources)
	t.Run("compilers", func(t *testing.T) {
		t.Parallel()
		for _, compiler := range []string{"typescript", "typescript-5"} {
			if out, err := run(t.Context(), dir, "node", append(strictly(compiler), sources...)...); err != nil {
				t.Errorf("%s: %v\n%.4000s", compiler, err, out)
			}
		}
	})
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := connect(t)
			applied := migrate(t, dir, name, database, nil)
			if len(applied) != 1 {
				t.Fatalf("got %d migrations, want 1", len(applied))
			}
			if again := migrate(t, dir, name, database, applied); len(again) != 0 {
				t.Errorf("a second run made %q", again)
			}
			if name == "tables" {
				inCatalog(t, database)
				evolve(t, dir, name, database, applied)
			}
		})
	}
}

// schema generates the tables of a case into a folder of its own.
func schema(t *testing.T, dir, name string, fsys fs.FS) {
	t.Helper()
	files, err := codegen.Generate(t.Context(), fsys, codegen.Options{Targets: []string{"drizzle"}, ByTrust: true})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(files.All) != 1 || files.All[0].Path != "src/db/schema.ts" {
		t.Fatalf("%s: got %d files", name, len(files.All))
	}
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name, "schema.ts"), files.All[0].Content)
}

func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), embeddedtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close(context.Background()) })
	return connection
}

// migrate runs drizzle-kit and applies the migrations that are new. It returns their names.
func migrate(t *testing.T, dir, name string, database *pgx.Conn, done []string) []string {
	t.Helper()
	out, err := run(t.Context(), dir, "node", "node_modules/drizzle-kit/bin.cjs", "generate", "--dialect", "postgresql", "--schema", name+"/schema.ts", "--out", name+"/migrations")
	if err != nil {
		t.Fatalf("%v\n%.4000s", err, out)
	}
	paths, err := filepath.Glob(filepath.Join(dir, name, "migrations", "*.sql"))
	if err != nil {
		t.Fatal(err)
	}
	fresh := slices.DeleteFunc(paths, func(path string) bool { return slices.Contains(done, path) })
	if len(fresh) == 0 && !strings.Contains(out, "No schema changes") {
		t.Fatalf("drizzle-kit made nothing and says\n%.4000s", out)
	}
	for _, path := range fresh {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for statement := range strings.SplitSeq(string(content), "--> statement-breakpoint") {
			if _, err := database.Exec(t.Context(), statement); err != nil {
				t.Fatalf("%v\n%s", err, statement)
			}
		}
	}
	return fresh
}

// inCatalog asks Postgres for what the specs say.
func inCatalog(t *testing.T, database *pgx.Conn) {
	t.Helper()
	want := map[string]string{
		"columns of orders": "customer_id uuid,id uuid,invoiced_at timestamp with time zone,last_line_id uuid,note text,number character varying,placed_at timestamp with time zone,status USER-DEFINED,total numeric",
		"optional":          "invoiced_at,last_line_id,note,status",
		"values":            "open,paid,sent",
		"foreign keys":      "order_lines c orders,orders a customers,orders a order_lines",
		"partial index":     "(status = 'open'::order_status)",
		"expression index":  "CREATE INDEX pages_lower ON public.pages USING btree (lower((slug)::text), published DESC NULLS LAST)",
		"descending index":  "CREATE INDEX orders_customer_id_placed_at_idx ON public.orders USING btree (customer_id, placed_at DESC)",
		"primary key":       "PRIMARY KEY (page_id, tag)",
		"check":             "CHECK (((number)::text ~ '^[A-Z]{2}[0-9]{10}$'::text))",
	}
	got := map[string]string{}
	for name, query := range map[string]string{
		"columns of orders": `SELECT string_agg(column_name || ' ' || data_type, ',' ORDER BY column_name) FROM information_schema.columns WHERE table_name = 'orders'`,
		"optional":          `SELECT string_agg(column_name, ',' ORDER BY column_name) FROM information_schema.columns WHERE table_name = 'orders' AND is_nullable = 'YES'`,
		"values":            `SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = 'order_status'::regtype`,
		"foreign keys": `SELECT string_agg(conrelid::regclass || ' ' || confdeltype::text || ' ' || confrelid::regclass, ',' ORDER BY conrelid::regclass::text, confrelid::regclass::text)
			FROM pg_constraint WHERE contype = 'f' AND conrelid::regclass::text IN ('orders', 'order_lines')`,
		"partial index":    `SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'orders_status_idx'::regclass`,
		"expression index": `SELECT pg_get_indexdef('pages_lower'::regclass)`,
		"descending index": `SELECT pg_get_indexdef('orders_customer_id_placed_at_idx'::regclass)`,
		"primary key":      `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'page_tags'::regclass AND contype = 'p'`,
		"check":            `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'orders_number_pattern_check'`,
	} {
		var answer string
		if err := database.QueryRow(t.Context(), query).Scan(&answer); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got[name] = answer
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var number int
	err := database.QueryRow(t.Context(), `WITH c AS (INSERT INTO customers (email, roles, contacts) VALUES ('a@example.com', '{buyer}', '[]') RETURNING id)
		INSERT INTO devices (serial, owner) SELECT 's', id FROM c RETURNING id`).Scan(&number)
	if err != nil || number != 1 {
		t.Errorf("a row got %d: %v", number, err)
	}
}

// evolve adds a field to a spec and a table: the next migration adds them to the database that is there.
func evolve(t *testing.T, dir, name string, database *pgx.Conn, done []string) {
	t.Helper()
	source := os.DirFS(golden + "/tables/in")
	changed := fstest.MapFS{}
	err := fs.WalkDir(source, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(source, path)
		changed[path] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	shop := changed["specs/001-shop/data-model.md"]
	shop.Data = []byte(strings.Replace(string(shop.Data), "- note (string)\n", "- note (string)\n- gift (boolean) REQUIRED default false\n", 1) + "\n## Entities\n\n### Voucher\n- id (uuid) REQUIRED\n- orderId (uuid) REQUIRED → Order.id\n")
	schema(t, dir, name, changed)
	if fresh := migrate(t, dir, name, database, done); len(fresh) != 1 {
		t.Fatalf("got %d migrations, want 1", len(fresh))
	}
	var columns int
	err = database.QueryRow(t.Context(), `SELECT count(*) FROM information_schema.columns WHERE table_name = 'vouchers' OR table_name = 'orders' AND column_name = 'gift'`).Scan(&columns)
	if err != nil || columns != 3 {
		t.Errorf("got %d new columns, want 3: %v", columns, err)
	}
}
