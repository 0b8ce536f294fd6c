package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// newLocalWorld is newWorld with the real local providers: Postgres, workerd and files. parent is
// the SQL of the database that previews branch from.
func newLocalWorld(t *testing.T, files fstest.MapFS, parent string) (w *world, parentURL string) {
	t.Helper()
	return newLocalWorldIn(t, files, parent, dataFolder(t))
}

// dataFolder is a folder for a server's data. Workers run as users of their own, who must be able to
// pass through.
func dataFolder(t testing.TB) string {
	t.Helper()
	data, err := os.MkdirTemp("", "flaresmith-test-") //nolint:usetesting // t.TempDir lets nobody else pass
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	if err := os.Chmod(data, 0o711); err != nil {
		t.Fatal(err)
	}
	return data
}

func newLocalWorldIn(t *testing.T, files fstest.MapFS, parent, data string) (w *world, parentURL string) {
	t.Helper()
	parentURL = embeddedtest.Database(t)
	u, err := url.Parse(parentURL)
	if err != nil {
		t.Fatal(err)
	}
	query(t, parentURL, parent)
	w = newWorld(t, files, map[string]string{
		"FLARESMITH_WORKERD": embeddedtest.Workerd(t), "FLARESMITH_BRANCH_DATABASE_URL": embeddedtest.Postgres(t),
		"FLARESMITH_PARENTS": "main=" + strings.TrimPrefix(u.Path, "/"), "FLARESMITH_DATA_DIR": filepath.Join(data, "data"),
		"FLARESMITH_PREVIEW_URL": "http://localhost:0", "FLARESMITH_MIGRATION_TIMEOUT": "5s",
	})
	return w, parentURL
}

// query runs SQL on a database and returns the first column of the rows.
func query(t testing.TB, databaseURL, sql string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if !strings.HasPrefix(strings.TrimSpace(sql), "SELECT") {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return nil
	}
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return values
}

// branchURL is the superuser's URL of a preview's database.
func branchURL(t *testing.T, name string) string {
	t.Helper()
	u, err := url.Parse(embeddedtest.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// ask gets a preview's answer through the gateway.
func (w *world) ask(name string) (status int, body string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL()+"/", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Host = name + ".localhost"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// drizzle makes a migrations folder of the given files, in order, as drizzle-kit would.
func drizzle(migrations ...[2]string) map[string]string {
	type entry struct {
		Idx         int    `json:"idx"`
		Version     string `json:"version"`
		When        int64  `json:"when"`
		Tag         string `json:"tag"`
		Breakpoints bool   `json:"breakpoints"`
	}
	files := map[string]string{}
	var entries []entry
	for i, m := range migrations {
		tag := fmt.Sprintf("%04d_%s", i, m[0])
		files["drizzle/"+tag+".sql"] = m[1]
		entries = append(entries, entry{Idx: i, Version: "7", When: 1_790_000_000_000 + int64(i)*60_000, Tag: tag, Breakpoints: true})
	}
	journal, err := json.Marshal(map[string]any{"version": "7", "dialect": "postgresql", "entries": entries})
	if err != nil {
		panic(err)
	}
	files["drizzle/meta/_journal.json"] = string(journal)
	return files
}

// TestLocalMigrations drives the database side of a preview through what happens to migrations:
// applied, failing, changed after they were applied, and new ones in the parent.
func TestLocalMigrations(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := sampleFiles()
	files["wrangler.jsonc"] = &fstest.MapFile{Data: []byte(`{"name": "shop", "main": "src/index.js", "compatibility_date": "2026-10-01", "vars": {"LIMITS": {"max": 3}}}`)}
	w, parentURL := newLocalWorld(t, files, `CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'one')`)
	commit := func(text string, changes map[string]string) string {
		t.Helper()
		all := map[string]string{"src/index.js": fmt.Sprintf("export default { fetch(request, env) { return new Response(%q + env.LIMITS.max); } };\n", text)}
		maps.Copy(all, changes)
		sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/db", all, text)
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	first := [2]string{"tags", "CREATE TABLE tags (id int PRIMARY KEY);\n"}
	sha := commit("v1-", drizzle(first))
	pr, err := w.github.OpenPR(testRepo, "Tags", "feature/db", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	w.settle()
	name := w.environment(pr).Name
	if status, body := w.ask(name); status != http.StatusOK || body != "v1-3" {
		t.Fatalf("answer %d %q", status, body)
	}
	branch := branchURL(t, name)
	query(t, branch, `INSERT INTO items VALUES (2, 'of the preview')`)

	// A migration that does not apply: the place is shown, nothing changed, the old commit serves.
	broken := commit("v2-", drizzle(first, [2]string{"broken", "CREATE TABLE more (id int);\nALTER TABLE missing ADD COLUMN x int;\n"}))
	check := w.wantCheck(broken, "failure")
	if len(check.Annotations) != 1 || check.Annotations[0].Path != "drizzle/0001_broken.sql" || check.Annotations[0].StartLine != 2 {
		t.Errorf("annotations %+v", check.Annotations)
	}
	w.settle()
	if _, body := w.ask(name); body != "v1-3" {
		t.Errorf("after a failing migration it serves %q", body)
	}
	if got := query(t, branch, `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`); strings.Join(got, " ") != "items tags" {
		t.Errorf("tables %v: a failing migration left something", got)
	}

	// An applied migration that changed: rebuilt from the parent, and people are told.
	changed := [2]string{"tags", "CREATE TABLE tags (id bigint PRIMARY KEY, label text);\n"}
	commit("v3-", map[string]string{"drizzle/0001_broken.sql": ""})
	sha = commit("v3-", drizzle(changed))
	w.wantCheck(sha, "success")
	w.settle()
	if got := query(t, branch, `SELECT name FROM items ORDER BY id`); strings.Join(got, ",") != "one" {
		t.Errorf("items %v: want the parent's data again", got)
	}
	if body := comments(t, w, pr)[0].Body; !strings.Contains(strings.ToLower(body), "reset") {
		t.Errorf("the comment does not say that data was reset:\n%s", body)
	}

	// The parent moves on: the comment says so and offers reset-db, which brings it in.
	query(t, parentURL, `CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint);
		INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('`+strings.Repeat("ab", 32)+`', 1780000000000);
		INSERT INTO items VALUES (3, 'new in the parent')`)
	if err := w.server.store.WantProject(t.Context(), w.environment(pr).ProjectID); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if body := comments(t, w, pr)[0].Body; !strings.Contains(strings.ToLower(body), "behind") || !strings.Contains(body, "/flaresmith reset-db") {
		t.Errorf("the comment does not say that the preview is behind its parent:\n%s", body)
	}
	if _, err := w.github.Comment(testRepo, pr, "octo-dev", "/flaresmith reset-db"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := query(t, branch, `SELECT name FROM items ORDER BY id`); strings.Join(got, ",") != "one,new in the parent" {
		t.Errorf("items %v after reset-db", got)
	}

	// A restart of the server: the Worker runs again, the data is kept.
	query(t, branch, `INSERT INTO items VALUES (9, 'kept')`)
	w.stop()
	w.start()
	w.until("it serves after a restart", func() bool {
		_, body := w.ask(name)
		return body == "v3-3"
	})
	w.settle()
	if got := query(t, branch, `SELECT name FROM items WHERE id = 9`); len(got) != 1 {
		t.Error("a restart lost the preview's data")
	}

	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantNothingLeft(name)
	w.valid()
}

// wantNothingLeft looks at the real providers.
func (w *world) wantNothingLeft(name string) {
	w.t.Helper()
	got := query(w.t, embeddedtest.Postgres(w.t), `SELECT datname::text FROM pg_database WHERE datname LIKE '`+name+`%'
		UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname LIKE '`+name+`%'`)
	if len(got) > 0 {
		w.t.Errorf("left behind: %v", got)
	}
	for kind, provider := range map[string]interface {
		List(ctx context.Context) ([]preview.Found, error)
	}{"worker": w.server.workers} {
		found, err := provider.List(w.t.Context())
		if err != nil || len(found) > 0 {
			w.t.Errorf("%s left behind: %v %v", kind, found, err)
		}
	}
	if status, _ := w.ask(name); status != http.StatusNotFound {
		w.t.Errorf("the gateway answers %d for a preview that is gone", status)
	}
}

// TestLocalHostile opens pull requests that try to reach what is not theirs, before anything of them ever worked.
func TestLocalHostile(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w, _ := newLocalWorld(t, sampleFiles(), `CREATE TABLE items (id int PRIMARY KEY)`)
	tests := []struct {
		name  string
		files map[string]string
		want  string // in the check; the pull request's own text must not be needed to read it
		never string // in anything that is posted
	}{
		{"import of an absolute path", map[string]string{"src/index.js": `import x from "/etc/passwd"; export default { fetch() { return new Response(x); } };`}, "src/index.js", "root:"},
		{"import above the root", map[string]string{"src/index.js": `import x from "../../../../etc/hostname"; export default {};`}, "src/index.js", ""},
		{"a migration that reads files", drizzle([2]string{"copy", "CREATE TABLE a (t text);--> statement-breakpoint\nCOPY a FROM '/etc/passwd';"}), "drizzle/0000_copy.sql", "root:"},
	}
	for i, tt := range tests {
		branch := fmt.Sprintf("hostile/%d", i)
		sha, err := w.github.CommitAs("octo-dev", testRepo, branch, tt.files, tt.name)
		if err != nil {
			t.Fatal(err)
		}
		pr, err := w.github.OpenPR(testRepo, "<script>alert(1)</script> @octo-lead "+tt.name, branch, "", "octo-dev")
		if err != nil {
			t.Fatal(err)
		}
		check := w.wantCheck(sha, "failure")
		text := check.Title + check.Summary + check.Text
		for _, a := range check.Annotations {
			text += fmt.Sprintf("%s:%d %s", a.Path, a.StartLine, a.Message)
		}
		if !strings.Contains(text, tt.want) {
			t.Errorf("%s: the check does not name %s:\n%s", tt.name, tt.want, text)
		}
		posted := text
		for _, c := range comments(t, w, pr) {
			posted += c.Body
		}
		if tt.never != "" && strings.Contains(posted, tt.never) || strings.Contains(posted, "<script") || strings.Contains(posted, "postgres://") {
			t.Errorf("%s: posted %s", tt.name, posted)
		}
		if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
			t.Fatal(err)
		}
		w.settle()
		w.wantNothingLeft(w.environment(pr).Name)
	}
	w.valid()
}
