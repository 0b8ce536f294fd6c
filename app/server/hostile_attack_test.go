//go:build linux

package server

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// hostile is one commit that tries something.
type hostile struct {
	name    string
	files   map[string]string
	archive []tar.Header // instead of the repository's; Uname is a file's content
	path    string       // of the annotation; empty: wherever it is
	line    int
	want    string // in the check
	never   string // in anything that is told
}

func hostiles() []hostile {
	sql := func(text string) map[string]string {
		return drizzle([2]string{"tags", "CREATE TABLE tags (id int PRIMARY KEY);\n"}, [2]string{"bad", "CREATE TABLE half (id int);\n" + text})
	}
	const bad = "drizzle/0001_bad.sql"
	lock := func(text string) map[string]string {
		return map[string]string{"src/index.js": "import x from '@hostile/left'; export default { fetch() { return new Response(x); } };", "package-lock.json": text}
	}
	sri := "sha512-" + strings.Repeat("A", 86) + "=="
	nested := strings.Repeat("[", 50_000) + strings.Repeat("]", 50_000)
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 9<<20)
	for i := range noise {
		noise[i] = byte('a' + random.IntN(26))
	}
	return []hostile{
		{name: "archive with a parent", archive: []tar.Header{{Name: "top/../../../../etc/cron.d/x", Uname: "x"}}, want: "is not plain"},
		{name: "archive with an absolute path", archive: []tar.Header{{Name: "/etc/cron.d/x", Uname: "x"}}, want: "is not relative"},
		{name: "archive with a hard link", archive: []tar.Header{{Name: "top/x", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}}, want: "neither a file, a folder nor a symbolic link", never: "root:"},
		{name: "archive with a device", archive: []tar.Header{{Name: "top/x", Typeflag: tar.TypeChar}}, want: "neither a file, a folder nor a symbolic link"},
		{name: "archive with a bomb", archive: []tar.Header{{Name: "top/x", Uname: strings.Repeat("\x00", 40<<20)}}, want: "more than 200 times its size"},
		{name: "archive with one name twice", archive: []tar.Header{{Name: "top/x", Uname: "a"}, {Name: "top/x", Uname: "b"}}, want: "appears twice"},
		{name: "configuration behind a link", archive: []tar.Header{{Name: "top/wrangler.jsonc", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, path: "wrangler.jsonc", line: 1, want: "wrangler.jsonc", never: "root:"},
		{name: "wrong integrity in the lock file", files: lock(`{"lockfileVersion": 3, "packages": {"node_modules/@hostile/left": {"version": "1.0.0", "integrity": "` + sri + `"}}}`),
			path: "package-lock.json", line: 1, want: "integrity does not match"},
		{name: "no integrity in the lock file", files: lock(`{"lockfileVersion": 3, "packages": {"node_modules/@hostile/left": {"version": "1.0.0"}}}`),
			path: "package-lock.json", line: 1, want: "integrity"},
		{name: "package from elsewhere", files: lock(`{"lockfileVersion": 3, "packages": {"node_modules/@hostile/left": {"version": "1.0.0", "resolved": "git+ssh://git@evil.example/x.git", "integrity": "` + sri + `"}}}`),
			path: "package-lock.json", line: 1, want: "only packages of the npm registry can be used"},
		{name: "YAML aliases in a lock file", files: map[string]string{"src/index.js": "import x from '@hostile/left'; export default x;",
			"pnpm-lock.yaml": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"}, path: "pnpm-lock.yaml", line: 1, want: "anchors and aliases are not supported"},
		{name: "JSON nested in a lock file", files: lock(`{"lockfileVersion": 3, "packages": ` + nested + `}`), path: "package-lock.json", line: 1, want: "max depth"},
		{name: "JSON nested in the configuration", files: map[string]string{"wrangler.jsonc": `{"name": "shop", "main": "src/index.js", "compatibility_date": "2026-10-01", "vars": {"A": ` + nested + `}}`}, path: "wrangler.jsonc", line: 1, want: "wrangler.jsonc"},
		{name: "JSON nested in the journal", files: map[string]string{"drizzle/meta/_journal.json": nested}, path: "drizzle/meta/_journal.json", line: 1, want: "max depth"},
		{name: "JSON nested in a collection", files: map[string]string{"postman/x.postman_collection.json": nested}, path: "postman/x.postman_collection.json", line: 1, want: "postman/x.postman_collection.json"},
		{name: "source of one long line", files: map[string]string{"src/index.js": "export default '" + string(noise) + "';"}, path: "src/index.js", line: 1, want: "more than 8388608 bytes"},
		{name: "source nested without end", files: map[string]string{"src/index.js": "const x=" + strings.Repeat("a=>", 200_000) + "1"}, want: "the compiler ran out of time or memory"},
		{name: "migration of many bytes", files: sql("-- " + string(noise[:5<<20])), path: bad, line: 1, want: "larger than 4096 kB"},
		{name: "SQL that fails half-way", files: sql("INSERT INTO items VALUES (7, 'x');\n\nINSERT INTO nothing VALUES (1);"), path: bad, line: 4, want: `relation "nothing" does not exist`},
		{name: "SQL that commits", files: sql("INSERT INTO items VALUES (7, 'x');\nCOMMIT;"), path: bad, line: 3, want: "COMMIT is not allowed in a migration"},
		{name: "SQL that commits in a block", files: sql("INSERT INTO items VALUES (7, 'x');\nDO $$ BEGIN COMMIT; END $$;"), path: bad, line: 3, want: "invalid transaction termination"},
		{name: "SQL that sets its role", files: sql("SET ROLE postgres;"), path: bad, line: 2, want: "permission denied to set role"},
		{name: "SQL that resets its timeout and never ends", files: sql("SET statement_timeout = 0;\nSELECT pg_sleep(600);"), path: bad, line: 3, want: "did not finish within the time limit of 5s"},
		{name: "SQL that catches its end", files: sql("DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled OR admin_shutdown THEN NULL; END; END LOOP; END $$;"), path: bad, line: 2, want: "did not finish within the time limit of 5s"},
		{name: "SQL that reads files", files: sql("SELECT pg_read_file('/etc/passwd');"), path: bad, line: 2, want: "permission denied for function pg_read_file", never: "root:"},
		{name: "SQL that runs programs", files: sql("COPY items FROM PROGRAM 'id';"), path: bad, line: 2, want: "pg_execute_server_program", never: "uid="},
		{name: "SQL that answers without end", files: sql("SELECT repeat('x', 40000000);"), path: bad, line: 2, want: "more than 16 MB"},
		{name: "Worker that throws its environment", files: map[string]string{"src/index.js": `import { env } from "cloudflare:workers"; throw new Error("it is " + JSON.stringify(env)); export default {};`}, want: "it is {"},
		{name: "Worker that eats memory as it starts", files: map[string]string{"src/index.js": `const kept = []; for (;;) kept.push(new Array(1e6).fill(1.5)); export default {};`}, want: "memory"},
	}
}

// TestHostilePullRequest pushes one hostile commit after the other to a pull request whose preview
// works. Each turns the check red, with a place and a sentence; the last good preview serves on, the
// preview beside it and the parent are untouched, nothing is left, and no secret is told.
func TestHostilePullRequest(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w, parentURL := newLocalWorld(t, sampleFiles(), `CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'one')`)
	registry := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("no tarball at all")) }))
	t.Cleanup(registry.Close)
	cache := filepath.Join(w.server.config.DataDir, "npm")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, ".npmrc"), []byte("@hostile:registry="+registry.URL+"/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := drizzle([2]string{"tags", "CREATE TABLE tags (id int PRIMARY KEY);\n"})
	base["src/index.js"] = "export default { fetch() { console.log('asked'); return new Response('good'); } };\n"
	base["wrangler.jsonc"] = string(sampleFiles()["wrangler.jsonc"].Data)
	open := func(branch string) (pr int, sha, name string) {
		sha, err := w.github.CommitAs("octo-dev", testRepo, branch, base, "good")
		if err != nil {
			t.Fatal(err)
		}
		if pr, err = w.github.OpenPR(testRepo, "<script>alert(1)</script> @octo-lead", branch, "", "octo-dev"); err != nil {
			t.Fatal(err)
		}
		w.wantCheck(sha, "success")
		w.settle()
		name = w.environment(pr).Name
		query(t, branchURL(t, name), `INSERT INTO items VALUES (2, 'entered')`)
		return pr, sha, name
	}
	other, _, beside := open("feature/beside")
	pr, good, name := open("feature/hostile")
	// Everything that no hostile commit may change.
	world := func() []string {
		var state []string
		for _, db := range []string{parentURL, branchURL(t, name), branchURL(t, beside)} {
			state = append(state, query(t, db, `SELECT id || ' ' || name FROM items ORDER BY id`)...)
			state = append(state, query(t, db, `SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname !~ '^(pg_|information)' ORDER BY 1`)...)
		}
		state = append(state, query(t, branchURL(t, name), `SELECT datname || ' ' || coalesce(datacl::text, '') FROM pg_database WHERE datname LIKE '`+name+`%'
			UNION ALL SELECT concat_ws(' ', rolname, rolsuper, rolconnlimit) FROM pg_roles WHERE rolname LIKE '`+name+`%' ORDER BY 1`)...)
		for _, preview := range []string{name, beside} {
			status, body := w.ask(preview)
			state = append(state, fmt.Sprintf("%s answers %d %s", preview, status, body))
		}
		for _, pattern := range []string{"source/*", "workers/*/g-*", "workers/.scratch-*", "collections/*"} {
			found, _ := filepath.Glob(filepath.Join(w.server.config.DataDir, pattern))
			state = append(state, fmt.Sprintf("%d of %s", len(found), pattern))
		}
		return append(state, "serves "+w.environment(pr).GoodSHA)
	}
	before := world()
	archives := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(archives.Close)
	var told strings.Builder
	last := map[string]string{}
	for _, tt := range hostiles() {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{"README.md": tt.name}
			for file := range last {
				files[file] = base[file]
			}
			for file, text := range tt.files {
				files[file] = text
			}
			if len(tt.archive) > 0 {
				data := pack(t, tt.archive)
				archives.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(data) })
				w.github.SetFaults(fault.OnRoute("GET /repos/{owner}/{repo}/tarball/{ref}",
					fault.Fault{Status: http.StatusFound, Header: http.Header{"Location": {archives.URL + "/x"}}}))
				defer w.github.SetFaults()
			}
			sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/hostile", files, tt.name)
			if err != nil {
				t.Fatal(err)
			}
			last = tt.files
			w.wantCheck(sha, "failure")
			w.settle()
			check, _ := w.check(testRepo, sha)
			text := check.Title + check.Summary + check.Text
			for _, c := range comments(t, w, pr) {
				text += c.Body
			}
			for _, a := range check.Annotations {
				text += fmt.Sprintf("\n%s:%d: %s", a.Path, a.StartLine, a.Message)
			}
			told.WriteString(text)
			if tt.path != "" && (len(check.Annotations) == 0 || check.Annotations[0].Path != tt.path || check.Annotations[0].StartLine != tt.line) {
				t.Errorf("annotations %+v, want one at %s:%d", check.Annotations, tt.path, tt.line)
			}
			if !strings.Contains(text, tt.want) || tt.never != "" && strings.Contains(text, tt.never) || strings.Contains(text, "<script") {
				t.Errorf("want %q, never %q:\n%.3000s", tt.want, tt.never, text)
			}
			if diff := cmp.Diff(before, world()); diff != "" {
				t.Errorf("the world changed:\n%s", diff)
			}
			if runs, err := w.github.CheckRuns(testRepo, sha); err != nil || len(runs) != 1 {
				t.Errorf("%d check runs, %v", len(runs), err)
			}
			if n := len(comments(t, w, pr)); n != 1 {
				t.Errorf("%d comments", n)
			}
		})
	}
	if w.environment(pr).GoodSHA != good {
		t.Error("another commit serves")
	}
	password := workerPassword(t, name)
	w.wantNoSecret(password, workerPassword(t, beside))
	w.wantPageWithout(password, "postgres://", "hunter2", testSecret)
	for _, secret := range []string{password, registry.Listener.Addr().String()} {
		if strings.Contains(told.String(), secret) {
			t.Errorf("told: %s", secret)
		}
	}
	fixed := map[string]string{"README.md": "fixed"}
	for file := range last {
		fixed[file] = base[file]
	}
	sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/hostile", fixed, "fixed")
	if err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "success")
	for _, number := range []int{pr, other} {
		if err := w.github.ClosePR(testRepo, number, "octo-dev"); err != nil {
			t.Fatal(err)
		}
	}
	w.settle()
	w.wantNothingLeft(name)
	w.wantNothingLeft(beside)
	w.valid()
}

// pack makes the archive that GitHub would serve.
func pack(t *testing.T, entries []tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	zw, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	tw := tar.NewWriter(zw)
	for _, e := range entries {
		content := e.Uname
		e.Uname, e.Mode = "", 0o644
		if e.Typeflag == 0 {
			e.Typeflag, e.Size = tar.TypeReg, int64(len(content))
		}
		if err := tw.WriteHeader(&e); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(content)[:e.Size]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wantPageWithout looks for secrets on the status page.
func (w *world) wantPageWithout(secrets ...string) {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	link, err := w.server.OneTimeLink(w.t.Context(), testRepo, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	status, body := visitor(w.t, jar)(link)
	if status != http.StatusOK || !strings.Contains(body, "Pull request #") {
		w.t.Errorf("the status page answers %d", status)
	}
	for _, secret := range secrets {
		if strings.Contains(body, secret) {
			w.t.Errorf("the status page holds %.4s…", secret)
		}
	}
}
