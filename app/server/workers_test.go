package server

import (
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/github"
	"github.com/flaresmith/flaresmith/migrations"
)

const (
	twoWorkers = "layout:\n  workers:\n    - {name: api, wrangler: workers/api/wrangler.jsonc, database_binding: PG_URL}\n" +
		"    - {name: admin, wrangler: workers/admin/wrangler.jsonc}\n"
	oneWorker = "layout:\n  workers:\n    - {name: api, wrangler: workers/api/wrangler.jsonc, database_binding: PG_URL}\n"
)

// twoWorkerFiles is a repository of two Workers with pnpm's lock file: both read the database, and the
// second one has static files.
func twoWorkerFiles(t *testing.T) fstest.MapFS {
	t.Helper()
	worker := func(name, binding string) string {
		return `import postgres from "postgres";
console.log("started ` + name + `");
export default {
  async fetch(request, env) {
    if (new URL(request.url).pathname === "/other") return env.OTHER.fetch("http://other.example/rows");
    const sql = postgres(env.` + binding + `, { max: 1, fetch_types: false });
    const rows = await sql` + "`SELECT name FROM items ORDER BY id`" + `;
    await sql.end();
    return new Response("` + name + `: " + rows.map((row) => row.name).join(","));
  },
};
`
	}
	files := fstest.MapFS{}
	for name, text := range map[string]string{
		".github/flaresmith.yml":          twoWorkers,
		"workers/api/wrangler.jsonc":      `{"name": "shop-api", "main": "src/index.js", "compatibility_date": "2026-10-01", "compatibility_flags": ["nodejs_compat"], "services": [{"binding": "OTHER", "service": "shop-admin"}]}`,
		"workers/api/src/index.js":        worker("api 1", "PG_URL"),
		"workers/admin/wrangler.jsonc":    `{"name": "shop-admin", "main": "src/index.js", "compatibility_date": "2026-10-01", "compatibility_flags": ["nodejs_compat"], "assets": {"directory": "public"}, "services": [{"binding": "OTHER", "service": "shop-api"}]}`,
		"workers/admin/src/index.js":      worker("admin 1", "DATABASE_URL"),
		"workers/admin/public/index.html": "<h1>Back office</h1>",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for name, from := range map[string]string{"package.json": "worker", "pnpm-lock.yaml": "pnpm"} {
		data, err := os.ReadFile(filepath.Join("..", "build", "testdata", from, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files
}

// get asks a path of what is at the host name of a Worker.
func (w *world) get(name, path string) (status int, body string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL()+path, nil)
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

// wantAnswers compares what the paths, each behind the name of a Worker, answer.
func (w *world) wantAnswers(reason string, want map[string]string) {
	w.t.Helper()
	got := map[string]string{}
	for at := range want {
		name, path, _ := strings.Cut(at, "/")
		_, got[at] = w.get(name, "/"+path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", reason, diff)
	}
}

// TestLocalTwoWorkers drives a repository of two Workers through the real providers.
func TestLocalTwoWorkers(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	files := twoWorkerFiles(t)
	w, parentURL := newLocalWorld(t, files, `CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'one')`)
	commit := func(branch, message string, changes map[string]string) string {
		t.Helper()
		sha, err := w.github.CommitAs("octo-dev", testRepo, branch, changes, message)
		if err != nil {
			t.Fatal(err)
		}
		return sha
	}
	changed := func(name, from, to string) map[string]string {
		return map[string]string{name: strings.Replace(string(files[name].Data), from, to, 1)}
	}
	sha := commit("feature/two", "tags", drizzle([2]string{"tags", "CREATE TABLE tags (id int PRIMARY KEY);\n"}))
	pr, err := w.github.OpenPR(testRepo, "Tags", "feature/two", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	check := w.wantCheck(sha, "success")
	w.settle()
	api := w.environment(pr).Name
	admin := api + "-admin"
	w.wantAnswers("a new preview", map[string]string{api + "/": "api 1: one", admin + "/rows": "admin 1: one", admin + "/": "<h1>Back office</h1>"})
	w.wantAnswers("each is bound to the other", map[string]string{api + "/other": "admin 1: one", admin + "/other": "api 1: one"})
	query(t, branchURL(t, api), `INSERT INTO items VALUES (2, 'of the preview')`)
	w.wantAnswers("both have one branch", map[string]string{api + "/": "api 1: one,of the preview", admin + "/rows": "admin 1: one,of the preview"})
	if got := query(t, parentURL, `SELECT name FROM items`); len(got) != 1 {
		t.Errorf("the parent has %v", got)
	}
	w.wantTold(pr, check, api, admin)

	// A second pass over an unchanged world does nothing.
	passes := func() (n int) {
		if err := w.server.store.Pool().QueryRow(t.Context(), `SELECT count(*) FROM passes`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := passes()
	w.github.ResetRequests()
	if err := w.server.store.WantProject(t.Context(), w.environment(pr).ProjectID); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if writes := w.github.Writes(); len(writes) > 0 || passes() != before {
		t.Errorf("the second pass took a step, or wrote to GitHub: %+v", writes)
	}

	// One Worker does not compile: the other is not deployed either, and no database is touched.
	broken := changed("workers/admin/src/index.js", "export default {", "export default {{")
	maps.Copy(broken, changed("workers/api/src/index.js", "api 1: ", "api 2: "))
	maps.Copy(broken, drizzle([2]string{"tags", "CREATE TABLE tags (id int PRIMARY KEY);\n"}, [2]string{"more", "CREATE TABLE more (id int);\n"}))
	check = w.wantCheck(commit("feature/two", "broken", broken), "failure")
	w.settle()
	if len(check.Annotations) != 1 || check.Annotations[0].Path != "workers/admin/src/index.js" {
		t.Errorf("annotations %+v", check.Annotations)
	}
	rows := "one,of the preview"
	w.wantAnswers("an environment is one commit", map[string]string{api + "/": "api 1: " + rows, admin + "/rows": "admin 1: " + rows})
	if got := query(t, branchURL(t, api), `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`); strings.Join(got, " ") != "items tags" {
		t.Errorf("tables %v: a build that fails touched the database", got)
	}
	// One compiles and can't start: the check says which.
	check = w.wantCheck(commit("feature/two", "no start", changed("workers/admin/src/index.js", "console.log(", "throw new Error(")), "failure")
	w.settle()
	if len(check.Annotations) != 1 || check.Annotations[0].Path != "workers/admin/wrangler.jsonc" || !strings.Contains(check.Annotations[0].Message, "started admin 1") {
		t.Errorf("annotations %+v", check.Annotations)
	}
	w.wantCheck(commit("feature/two", "fixed", changed("workers/admin/src/index.js", "admin 1: ", "admin 2: ")), "success")
	w.settle()
	w.wantAnswers("repaired", map[string]string{api + "/": "api 2: " + rows, admin + "/rows": "admin 2: " + rows})

	// The configuration drops one, and brings it back.
	commit("main", "one Worker", map[string]string{".github/flaresmith.yml": oneWorker})
	w.until("the dropped Worker is gone", func() bool {
		status, _ := w.get(admin, "/rows")
		return status == http.StatusNotFound && !w.server.workers.Serves(admin)
	})
	w.settle()
	w.wantAnswers("the other stays", map[string]string{api + "/": "api 2: " + rows})
	if body := comments(t, w, pr)[0].Body; strings.Contains(body, admin) || !strings.Contains(body, api) {
		t.Errorf("the comment leads to a Worker that is gone, or not to the other:\n%s", body)
	}
	commit("main", "two Workers", map[string]string{".github/flaresmith.yml": twoWorkers})
	w.until("it is back", func() bool { return w.server.workers.Serves(admin) })
	w.settle()
	w.wantAnswers("both again", map[string]string{api + "/": "api 2: " + rows, admin + "/rows": "admin 2: " + rows})

	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.wantNothingLeft(api)
	w.until("the second Worker's host says that the preview is closed", func() bool {
		status, body := w.get(admin, "/")
		return status == http.StatusNotFound && strings.Contains(body, "ENV_PREVIEW_CLOSED")
	})
	w.valid()
}

// wantTold looks for both Workers in everything that people are shown.
func (w *world) wantTold(pr int, check github.CheckRun, api, admin string) {
	w.t.Helper()
	link, err := w.server.OneTimeLink(w.t.Context(), testRepo, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	open := visitor(w.t, jar)
	_, page := open(link)
	_, variables := open(w.server.links.Page(w.environment(pr).ProjectID) + "/" + api + "/files/" + api + ".postman_environment.json")
	for place, text := range map[string]string{"check": check.Summary, "comment": comments(w.t, w, pr)[0].Body, "page": page, "Postman environment": variables} {
		for _, name := range []string{api, admin} {
			if !strings.Contains(text, "http://"+name+".localhost:") {
				w.t.Errorf("%s does not lead to %s:\n%s", place, name, text)
			}
		}
	}
	if !strings.Contains(variables, `"adminUrl"`) || !strings.Contains(page, "Worker log of admin") || !strings.Contains(page, "started admin 1") {
		w.t.Errorf("no variable or no log of the second Worker:\n%s\n%s", variables, page)
	}
	deployments, err := w.github.Deployments(testRepo)
	if err != nil {
		w.t.Fatal(err)
	}
	newest := deployments[len(deployments)-1]
	if url := newest.Statuses[len(newest.Statuses)-1].EnvironmentURL; !strings.HasPrefix(url, "http://"+api+".localhost:") {
		w.t.Errorf("the deployment leads to %s", url)
	}
}

// TestWorkersFollowTheConfiguration changes which Workers there are, and which is the first: the preview of
// an open pull request, and a core environment, have exactly those.
func TestWorkersFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	const core = "environments: {dev: {branch: develop}}\n"
	worker := func(name string) string { return "{name: " + name + ", wrangler: " + name + ".jsonc}" }
	files := sampleFiles()
	files[".github/flaresmith.yml"] = &fstest.MapFile{Data: []byte(core)}
	for _, name := range []string{"shop", "admin"} {
		files[name+".jsonc"] = files["wrangler.jsonc"]
	}
	w := newWorld(t, files, nil)
	dev := w.push("develop", "dev")
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	name := w.environment(pr).Name
	devName := preview.CoreName(strings.Split(name, "-")[1], preview.EnvironmentDev)
	steps := []struct {
		name, layout string
		want         []string // beyond the environment's own name
	}{
		{"one", "", nil},
		{"two", "layout: {workers: [" + worker("shop") + ", " + worker("admin") + "]}\n", []string{"-admin"}},
		{"another is the first", "layout: {workers: [" + worker("admin") + ", " + worker("shop") + "]}\n", []string{"-shop"}},
		{"one with a name", "layout: {workers: [" + worker("shop") + "]}\n", nil},
		{"one again", "", nil},
	}
	for _, step := range steps {
		if _, err := w.github.CommitAs("octo-dev", testRepo, "main", map[string]string{".github/flaresmith.yml": core + step.layout}, step.name); err != nil {
			t.Fatal(err)
		}
		want := []string{devName, name}
		for _, further := range step.want {
			want = append(want, devName+further, name+further)
		}
		slices.Sort(want)
		w.until(step.name+": "+strings.Join(want, " "), func() bool { return slices.Equal(w.cloud.names(preview.KindWorker), want) })
		w.settle()
		for _, is := range want {
			if commit := map[bool]string{true: dev, false: sha}[strings.HasPrefix(is, devName)]; w.cloud.sha(is) != commit {
				t.Errorf("%s: %s runs %s, want %s", step.name, is, w.cloud.sha(is), commit)
			}
		}
	}
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.cloud.names(preview.KindWorker); !slices.Equal(got, []string{devName}) {
		t.Errorf("after the close there are %v", got)
	}
	w.valid()
}

// TestUpgradeDeploysNothing takes the ledger back to what an earlier version wrote, as far as its table
// tells: a server that starts on it finds everything as it should be.
func TestUpgradeDeploysNothing(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), map[string]string{"FLARESMITH_URL": "https://flaresmith.example"}) // whose page reports lead to
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	w.stop()
	query(t, w.config["DATABASE_URL"], "DELETE FROM goose_db_version WHERE version_id >= 3;"+undoing(t, "00003")+
		"ALTER TABLE resources ADD PRIMARY KEY (environment_id, kind)")
	writes := w.cloud.count()
	w.github.ResetRequests()
	w.start()
	if err := w.server.store.WantProject(t.Context(), w.environment(pr).ProjectID); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := w.cloud.count(); got != writes {
		t.Errorf("the upgraded server wrote to a provider: %v", w.cloud.writes[writes:])
	}
	if got := w.github.Writes(); len(got) > 0 {
		t.Errorf("the upgraded server wrote to GitHub: %+v", got)
	}
	for _, kind := range preview.Kinds() {
		if diff := cmp.Diff([]string{w.environment(pr).Name}, w.cloud.names(kind)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
	w.valid()
}

// undoing is the SQL that takes back the tables and columns of the migrations from this one on.
func undoing(t *testing.T, from string) string {
	t.Helper()
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`(?m)^CREATE (?:UNLOGGED )?TABLE (\w+)|^ALTER TABLE (\w+) ADD COLUMN (\w+)`)
	var undo strings.Builder
	for _, name := range slices.Backward(names) {
		if name < from {
			break
		}
		text, err := migrations.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range made.FindAllStringSubmatch(string(text), -1) {
			if m[1] != "" {
				undo.WriteString("DROP TABLE " + m[1] + ";")
			} else {
				undo.WriteString("ALTER TABLE " + m[2] + " DROP COLUMN " + m[3] + ";")
			}
		}
	}
	return undo.String()
}
