//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

const (
	killRepo   = "acme/shop"
	killSecret = "kill-webhook-secret"
	killCheck  = "Flaresmith / Preview"
	// A pass that died with its server is taken up when its lease is over, half a minute later.
	killPatience = 5 * time.Minute // as the server's own tests
)

// killWorlds keeps the ids of the worlds apart, and with them the names of previews on one Postgres.
var killWorlds atomic.Int64

// killWorld is a server in a process of its own, which is killed and started again, beside the
// stand-in GitHub and a Postgres that live on.
type killWorld struct {
	t         testing.TB
	github    *github.Server
	admin     *pgx.Conn // superuser
	parentURL string
	storeURL  string
	preview   string // name of the pull request's preview
	data      string
	env       []string

	process *exec.Cmd
	api     string // URL of the running server
	log     *lockedBuffer
	logged  chan struct{} // closed when the log of the last process was read to its end
}

// lockedBuffer is a buffer that two goroutines may use.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newKillWorld(t testing.TB) *killWorld {
	t.Helper()
	w := &killWorld{t: t, log: &lockedBuffer{}, parentURL: embeddedtest.Database(t), storeURL: embeddedtest.Database(t)}
	parent, err := url.Parse(w.parentURL)
	if err != nil {
		t.Fatal(err)
	}
	w.exec(w.parentURL, `CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'one');
		CREATE TABLE pause (seconds int); INSERT INTO pause VALUES (0)`)
	if w.admin, err = pgx.Connect(t.Context(), embeddedtest.Postgres(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.admin.Close(context.Background()) })
	// Workers run as users of their own, who must be able to pass through.
	if w.data, err = os.MkdirTemp("", "flaresmith-test-"); err != nil { //nolint:usetesting // t.TempDir lets nobody else pass
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(w.data) })
	if err := os.Chmod(w.data, 0o711); err != nil {
		t.Fatal(err)
	}
	first := int64(os.Getpid())*100_000_000 + killWorlds.Add(1)*1_000_000
	if w.github, err = github.New(github.Config{Dir: t.TempDir(), AppID: 7, Validate: true, FirstID: first, HookTimeout: killPatience}); err != nil {
		t.Fatal(err)
	}
	if err := w.github.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.github.Close() })
	temporary := filepath.Join(w.data, "tmp")
	if err := os.Mkdir(temporary, 0o711); err != nil {
		t.Fatal(err)
	}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + temporary,
		"DATABASE_URL=" + w.storeURL, "GITHUB_APP_ID=7", "GITHUB_APP_PRIVATE_KEY=" + string(w.github.AppKeyPEM()),
		"GITHUB_WEBHOOK_SECRET=" + killSecret, "GITHUB_API_URL=" + w.github.APIURL() + "/",
		"FLARESMITH_ALLOWED_ORGS=acme", "FLARESMITH_PARENTS=main=" + strings.TrimPrefix(parent.Path, "/"),
		"FLARESMITH_LISTEN=127.0.0.1:0", "FLARESMITH_METRICS_LISTEN=127.0.0.1:0", "FLARESMITH_DATA_DIR=" + filepath.Join(w.data, "data"),
		"FLARESMITH_PREVIEW_URL=http://localhost:0", "FLARESMITH_WORKERD=" + embeddedtest.Workerd(t),
		"FLARESMITH_BRANCH_DATABASE_URL=" + embeddedtest.Postgres(t), "FLARESMITH_MIGRATION_TIMEOUT=20s", "FLARESMITH_LOG_LEVEL=debug",
	}
	w.start()
	t.Cleanup(w.kill)
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	if _, err := w.github.CreateRepo("acme", "shop", fstest.MapFS{
		".github/flaresmith.yml": file(""),
		"wrangler.jsonc":         file(`{"name": "shop", "main": "src/index.js", "compatibility_date": "2026-10-01"}`),
		"src/index.js":           file("export default { fetch() { return new Response('one'); } };\n"),
	}, github.RepoOptions{}); err != nil {
		t.Fatal(err)
	}
	w.github.AddUser("octo-dev")
	if err := w.github.SetRole(killRepo, "octo-dev", "write"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.github.Install("acme"); err != nil {
		t.Fatal(err)
	}
	if err := w.github.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// start runs this test's program as the server and waits until it serves.
func (w *killWorld) start() {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	w.process = exec.Command(self, "serve") //nolint:noctx // ends by being killed
	w.process.Env = w.env
	stderr, err := w.process.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.process.Start(); err != nil {
		w.t.Fatal(err)
	}
	serving, logged := make(chan string, 1), make(chan struct{})
	w.logged = logged
	go func() {
		defer close(logged)
		lines := bufio.NewReader(stderr)
		for {
			line, err := lines.ReadString('\n')
			_, _ = io.WriteString(w.log, line)
			var entry struct{ Msg, API string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
				serving <- "http://" + entry.API
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case w.api = <-serving:
	case <-logged:
		w.t.Fatalf("the server ended:\n%s", w.log)
	case <-time.After(killPatience):
		w.t.Fatalf("the server does not serve:\n%s", w.log)
	}
	w.github.SetWebhook(github.Webhook{URL: w.api + "/api/github/hook", Secret: killSecret})
}

// kill ends the server as the kernel would when memory runs out.
func (w *killWorld) kill() {
	if w.process.ProcessState != nil {
		return
	}
	_ = w.process.Process.Kill()
	<-w.logged
	_ = w.process.Wait()
}

func (w *killWorld) exec(databaseURL, sql string) {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), databaseURL)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(w.t.Context(), sql); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// look is a query for one number in the administrator's database.
func (w *killWorld) look(sql string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.admin.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (w *killWorld) until(what string, done func() bool) {
	w.t.Helper()
	deadline := time.After(killPatience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline:
			w.t.Fatalf("waited %s in vain: %s\n%s", killPatience, what, w.log)
		case <-tick.C:
		}
	}
}

// children are the arguments of the server's child processes.
func (w *killWorld) children() [][]string {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", w.process.Process.Pid))
	var list [][]string
	for _, path := range paths {
		text, _ := os.ReadFile(path)
		for pid := range strings.FieldsSeq(string(text)) {
			arguments, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			list = append(list, strings.Split(string(arguments), "\x00"))
		}
	}
	return list
}

// settleName waits for the preview's row and remembers its name.
func (w *killWorld) settleName(pr int) {
	w.t.Helper()
	store, err := pgx.Connect(w.t.Context(), w.storeURL)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = store.Close(context.Background()) }()
	w.until("the preview is wanted", func() bool {
		return store.QueryRow(w.t.Context(), `SELECT name FROM environments WHERE pr = $1`, pr).Scan(&w.preview) == nil
	})
}

// open pushes a branch whose migration pauses as long as the parent's table says, and opens a
// pull request for it.
func (w *killWorld) open() (pr int, sha string) {
	w.t.Helper()
	files := map[string]string{
		"src/index.js":               "export default { fetch() { return new Response('two'); } };\n",
		"drizzle/0000_tags.sql":      "CREATE TABLE tags (id int PRIMARY KEY);--> statement-breakpoint\nSELECT pg_sleep(seconds) FROM pause;",
		"drizzle/meta/_journal.json": `{"version":"7","dialect":"postgresql","entries":[{"idx":0,"version":"7","when":1790000000000,"tag":"0000_tags","breakpoints":true}]}`,
	}
	sha, err := w.github.CommitAs("octo-dev", killRepo, "feature/kill", files, "Tags")
	if err != nil {
		w.t.Fatal(err)
	}
	if pr, err = w.github.OpenPR(killRepo, "Tags", "feature/kill", "", "octo-dev"); err != nil {
		w.t.Fatal(err)
	}
	w.settleName(pr)
	return pr, sha
}

func (w *killWorld) checks(sha string) []github.CheckRun {
	w.t.Helper()
	runs, err := w.github.CheckRuns(killRepo, sha)
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(runs, func(r github.CheckRun) bool { return r.Name != killCheck })
}

// wantOne makes sure that people see one of each, and that the preview answers.
func (w *killWorld) wantOne(pr int, sha string) {
	w.t.Helper()
	w.until("the check is green", func() bool {
		return slices.ContainsFunc(w.checks(sha), func(r github.CheckRun) bool { return r.Conclusion == "success" })
	})
	if runs := w.checks(sha); len(runs) != 1 {
		w.t.Errorf("%d check runs for one commit: %+v", len(runs), runs)
	}
	comments, err := w.github.Comments(killRepo, pr)
	if err != nil || len(comments) != 1 {
		w.t.Errorf("%d comments, %v", len(comments), err)
	}
	deployments, err := w.github.Deployments(killRepo)
	if err != nil || len(deployments) != 1 {
		w.t.Errorf("%d deployments, %v", len(deployments), err)
	}
	name := w.preview
	w.until("the preview answers", func() bool { return w.ask(name) == "two" })
	if n := w.look(`SELECT count(*) FROM pg_database WHERE datname LIKE $1`, name+"%"); n != 1 {
		w.t.Errorf("%d databases", n)
	}
	workers := slices.DeleteFunc(w.children(), func(a []string) bool { return a[0] != "workerd" })
	if len(workers) != 1 {
		w.t.Errorf("worker processes: %v", workers)
	}
	// It answers a moment before the generation that it replaces is swept away.
	w.until("there is one generation of the Worker", func() bool {
		generations, _ := filepath.Glob(filepath.Join(w.data, "data", "workers", name, "g-*"))
		return len(generations) == 1
	})
}

func (w *killWorld) ask(name string) string {
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.api+"/", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Host = name + ".localhost"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return string(text)
}

// wantNothing closes the pull request and looks for what is left.
func (w *killWorld) wantNothing(pr int) {
	w.t.Helper()
	name := w.preview
	if err := w.github.ClosePR(killRepo, pr, "octo-dev"); err != nil {
		w.t.Fatal(err)
	}
	const left = `SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE $1) + (SELECT count(*) FROM pg_roles WHERE rolname LIKE $1)
		+ (SELECT count(*) FROM pg_stat_activity WHERE datname LIKE $1 OR usename LIKE $1)`
	w.until("the databases are gone", func() bool { return w.look(left, name+"%") == 0 })
	w.until("the deployment is inactive", func() bool {
		deployments, err := w.github.Deployments(killRepo)
		return err == nil && !slices.ContainsFunc(deployments, func(d github.Deployment) bool { return d.State() != "inactive" })
	})
	w.until("no process is left", func() bool { return len(w.children()) == 0 })
	w.until("no file is left", func() bool { return len(w.leftFiles(name)) == 0 })
	sockets, _ := filepath.Glob(filepath.Join(w.data, "tmp", "flaresmith-workerd-*"))
	if len(sockets) != 1 {
		w.t.Errorf("socket folders of killed servers stay: %v", sockets)
	}
	for _, v := range w.github.Violations() {
		w.t.Errorf("against GitHub's description: %+v", v)
	}
	for _, secret := range []string{killSecret, "PRIVATE KEY", "postgres://", "SCRAM-SHA"} {
		if strings.Contains(w.log.String(), secret) {
			w.t.Errorf("the log holds %q", secret)
		}
	}
}

func (w *killWorld) leftFiles(name string) (files []string) {
	for _, pattern := range []string{"workers/" + name + "*", "workers/.scratch-*", "collections/" + name + "*", "collections/.*", "source/*"} {
		found, _ := filepath.Glob(filepath.Join(w.data, "data", pattern))
		files = append(files, found...)
	}
	return files
}

// TestKill kills the server in the middle of each kind of work. The next one must bring the pull
// request to where it would have been, and leave nothing behind.
func TestKill(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: who is killed is a process of its own, and tells nobody of races")
	}
	child := func(w *killWorld, word string) bool {
		return slices.ContainsFunc(w.children(), func(arguments []string) bool { return slices.Contains(arguments, word) })
	}
	tests := []struct {
		name string
		// pause of the migration, in seconds, in the pass that is killed.
		pause   int
		reached func(w *killWorld) bool
	}{
		{"bundle", 0, func(w *killWorld) bool { return child(w, "bundle") }},
		{"database copy", 0, func(w *killWorld) bool {
			return w.look(`SELECT count(*) FROM pg_database WHERE datname = $1`, w.preview+"_new") > 0
		}},
		{"migration", 300, func(w *killWorld) bool {
			return w.look(`SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event = 'PgSleep'`, w.preview) > 0
		}},
		{"worker start", 0, func(w *killWorld) bool { return child(w, "--control-fd=4") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for tries := 1; !killedIn(t, tt.pause, tt.reached); tries++ {
				if tries == 10 {
					t.Fatal("the server was never seen in the middle of it")
				}
			}
		})
	}
}

// killedIn kills a server in the middle of one kind of work, and looks at what becomes of it; false: who watched came too late, as the
// server is a process of its own, and a busy machine may have let it go on alone.
func killedIn(t *testing.T, pause int, reached func(w *killWorld) bool) bool {
	t.Helper()
	w := newKillWorld(t)
	w.exec(w.parentURL, fmt.Sprintf(`UPDATE pause SET seconds = %d`, pause))
	pr, sha := w.open()
	late := false
	w.until("the server is in the middle of it", func() bool {
		late = slices.ContainsFunc(w.checks(sha), func(r github.CheckRun) bool { return r.Status == "completed" })
		return late || reached(w)
	})
	w.kill()
	if late {
		t.Log("too late: the preview was ready")
		return false
	}
	if pause > 0 {
		w.unpause()
	}
	began := time.Now()
	w.start()
	w.wantOne(pr, sha)
	t.Logf("converged %s after the restart", time.Since(began).Round(time.Millisecond))
	w.wantNothing(pr)
	return true
}

// unpause lets the migration of the next pass go through at once, in the parent and in the branch,
// whatever that is called now.
func (w *killWorld) unpause() {
	w.t.Helper()
	w.exec(w.parentURL, `UPDATE pause SET seconds = 0`)
	for _, name := range []string{w.preview, w.preview + "_new"} {
		if w.look(`SELECT count(*) FROM pg_database WHERE datname = $1`, name) == 0 {
			continue
		}
		branch, err := url.Parse(embeddedtest.Postgres(w.t))
		if err != nil {
			w.t.Fatal(err)
		}
		branch.Path = "/" + name
		w.exec(branch.String(), `UPDATE pause SET seconds = 0`)
	}
}

// TestKillWhilePublishing kills the server when GitHub has done what it was asked and the answer
// is not yet read: the next one must find what is there instead of writing it a second time.
func TestKillWhilePublishing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: who is killed is a process of its own, and tells nobody of races")
	}
	tests := map[string]string{
		"check run":         "POST /repos/{owner}/{repo}/check-runs",
		"check run update":  "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
		"comment":           "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
		"deployment":        "POST /repos/{owner}/{repo}/deployments",
		"deployment status": "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newKillWorld(t)
			asked := make(chan struct{})
			var once sync.Once
			var dying atomic.Bool
			w.github.SetFaults(func(r *http.Request) *fault.Fault {
				if dying.Load() {
					return &fault.Fault{Delay: time.Minute, Drop: true}
				}
				if fault.RouteOf(r) != tests[name] {
					return nil
				}
				dying.Store(true)
				once.Do(func() { close(asked) })
				return &fault.Fault{After: true, Drop: true}
			})
			pr, sha := w.open()
			select {
			case <-asked:
			case <-time.After(killPatience):
				t.Fatalf("it never asked:\n%s", w.log)
			}
			w.until("GitHub has done it", func() bool {
				return slices.ContainsFunc(w.github.Writes(), func(r github.Request) bool { return r.Route == tests[name] })
			})
			w.kill()
			w.github.SetFaults()
			began := time.Now()
			w.start()
			w.wantOne(pr, sha)
			t.Logf("converged %s after the restart", time.Since(began).Round(time.Millisecond))
			w.wantNothing(pr)
		})
	}
}
