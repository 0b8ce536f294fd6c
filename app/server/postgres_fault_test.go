package server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// ownPostgres is a Postgres that one test may stop and start: what it acknowledged is on disk.
type ownPostgres struct {
	t       *testing.T
	options embedded.PostgresOptions
	running *embedded.Postgres
	address string // of the database "flaresmith", as a superuser whose password outlives a restart
}

func newOwnPostgres(t *testing.T) *ownPostgres {
	t.Helper()
	tools, err := embeddedtest.Tools()
	if err != nil {
		t.Fatal(err)
	}
	binDir, err := tools.Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// For root it runs as another user, who must be able to pass through.
	dir, err := os.MkdirTemp("", "flaresmith-test-") //nolint:usetesting // t.TempDir lets nobody else pass
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &ownPostgres{t: t, options: embedded.PostgresOptions{BinDir: binDir, DataDir: dir, Durable: true}}
	p.start()
	t.Cleanup(func() { _ = p.running.Stop(context.Background()) })
	p.options.Port = p.running.Port()
	query(t, p.running.URL().Reveal(), `CREATE ROLE keeper SUPERUSER LOGIN PASSWORD 'keeper-password'`)
	query(t, p.running.URL().Reveal(), `CREATE DATABASE flaresmith OWNER keeper`)
	p.address = fmt.Sprintf("postgres://keeper:keeper-password@127.0.0.1:%d/flaresmith?sslmode=disable", p.options.Port)
	return p
}

func (p *ownPostgres) start() {
	p.t.Helper()
	var err error
	for range 50 { // somebody may have the port for a moment, or, between fork and exec, the lock of the folder
		var running *embedded.Postgres
		if running, err = embedded.StartPostgres(context.Background(), p.options); err == nil {
			p.running = running
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	p.t.Fatal(err)
}

// stop ends it at once, in the middle of whatever it does.
func (p *ownPostgres) stop() {
	p.t.Helper()
	if err := syscall.Kill(p.running.PID(), syscall.SIGQUIT); err != nil {
		p.t.Fatal(err)
	}
	<-p.running.Done()
	if err := p.running.Stop(context.Background()); err != nil { // lets go of its folder
		p.t.Fatal(err)
	}
}

// wantOneOfEach makes sure that people see one check on the commit, one comment and one deployment.
func (w *world) wantOneOfEach(pr int, sha string) {
	w.t.Helper()
	runs, err := w.github.CheckRuns(testRepo, sha)
	if err != nil || len(runs) != 1 || runs[0].Conclusion != "success" {
		w.t.Errorf("check runs %+v, %v, want one that is green", runs, err)
	}
	if list := comments(w.t, w, pr); len(list) != 1 {
		w.t.Errorf("%d comments, want one", len(list))
	}
	deployments, err := w.github.Deployments(testRepo)
	if err != nil || len(deployments) != 1 || deployments[0].State() != "success" {
		w.t.Errorf("deployments %+v, %v, want one that succeeded", deployments, err)
	}
}

// TestStoreStopsDuringPass stops our own database at once in the middle of a pass, and starts it
// when the pass has gone on without it.
func TestStoreStopsDuringPass(t *testing.T) {
	t.Parallel()
	for _, kind := range []preview.Kind{preview.KindDatabase, preview.KindWorker} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			db := newOwnPostgres(t)
			w := newWorld(t, sampleFiles(), map[string]string{"DATABASE_URL": db.address})
			began, down := make(chan struct{}), make(chan struct{})
			var once sync.Once
			w.cloud.fail(func(ctx context.Context, op string, r preview.Resource) error {
				if op == "apply" && r.Kind == kind {
					once.Do(func() { close(began) })
					select {
					case <-down:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				return nil
			})
			pr, sha := w.open("feature/a")
			<-began
			db.stop()
			close(down)
			w.until("the server says that it can't take deliveries", func() bool {
				response, err := http.Get(w.server.URL() + "/readyz") //nolint:noctx // bounded by the test
				if err != nil {
					return false
				}
				_ = response.Body.Close()
				return response.StatusCode == http.StatusServiceUnavailable
			})
			db.start()
			w.wantCheck(sha, "success")
			w.settle()
			w.wantOneOfEach(pr, sha)
			if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
				t.Fatal(err)
			}
			w.settle()
			if n := w.cloud.total(); n != 0 {
				t.Errorf("%d resources left", n)
			}
			w.wantNoSecret("keeper-password")
			w.valid()
		})
	}
}

// TestStoreStopsDuringIngest stops our own database again and again while deliveries come in. What
// was answered with 2xx is there, once, and is handled; the rest was told to come again.
func TestStoreStopsDuringIngest(t *testing.T) {
	t.Parallel()
	db := newOwnPostgres(t)
	w := newWorld(t, sampleFiles(), map[string]string{"DATABASE_URL": db.address})
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	body := lastPayload(t, w, "pull_request")

	stop := make(chan struct{})
	var mu sync.Mutex
	acknowledged, refused, enough := map[string]bool{}, 0, 0 // enough is where senders wait: a busy machine has to handle all of it
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				full := len(acknowledged) >= enough
				mu.Unlock()
				if full {
					<-time.After(time.Millisecond)
					continue
				}
				guid := uuid.NewString()
				response, err := w.post(guid, "pull_request", body)
				if err != nil {
					continue // not acknowledged
				}
				_ = response.Body.Close()
				mu.Lock()
				switch {
				case response.StatusCode/100 == 2:
					acknowledged[guid] = true
				case response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != "":
					refused++
				default:
					t.Errorf("answered %d, Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
				}
				mu.Unlock()
			}
		})
	}
	count := func() (ok, no int) {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged), refused
	}
	more := func(n int) (before int) {
		mu.Lock()
		defer mu.Unlock()
		enough = len(acknowledged) + n
		return len(acknowledged)
	}
	for range 3 {
		before := more(300)
		w.until("deliveries are acknowledged", func() bool { now, _ := count(); return now > before+200 })
		more(300)
		_, before = count()
		db.stop()
		w.until("deliveries are refused", func() bool { _, now := count(); return now > before+20 })
		db.start()
	}
	before := more(50)
	w.until("deliveries are acknowledged again", func() bool { now, _ := count(); return now > before })
	close(stop)
	senders.Wait()
	w.settle()

	stored := query(t, db.address, `SELECT guid FROM deliveries WHERE handled_at IS NOT NULL AND error = ''`)
	for guid := range acknowledged {
		if !slices.Contains(stored, guid) {
			t.Fatalf("delivery %s of %d was acknowledged and is not handled", guid, len(acknowledged))
		}
	}
	ok, no := count()
	t.Logf("%d acknowledged, %d refused, %d stored", ok, no, len(stored))
	w.wantOneOfEach(pr, sha)
	w.wantNoSecret("keeper-password")
	w.valid()
}

// TestOvergrownDatabase: a preview's database that its Worker filled is closed, the check says why and what to do, and
// a reset opens it again; another preview does not notice.
func TestOvergrownDatabase(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	db := newOwnPostgres(t) // a small limit would close others' databases
	w, _ := newLocalWorld(t, sampleFiles(), "")
	w.stop()
	w.config["FLARESMITH_BRANCH_DATABASE_URL"] = strings.Replace(db.address, "/flaresmith", "/postgres", 1)
	w.config["FLARESMITH_PARENTS"] = "main=flaresmith"
	w.config["FLARESMITH_DATABASE_GROWTH_MB"] = "1" // so that twice the twice of the parent's 8 MB count
	w.start()
	pr, sha := w.open("feature/large")
	small, beside := w.open("feature/small")
	w.wantCheck(sha, "success")
	w.wantCheck(beside, "success")
	w.settle()
	name := w.environment(pr).Name
	open := func(name string) string {
		return query(t, db.address, `SELECT has_database_privilege('`+name+`', '`+name+`', 'CONNECT')::text`)[0]
	}
	own := strings.Replace(db.address, "/flaresmith", "/"+name, 1)
	query(t, own, `CREATE TABLE big AS SELECT repeat(md5(g::text), 60) AS t FROM generate_series(1, 24000) g`) // 50 MB
	w.wantCheck(sha, "failure")
	w.settle()
	check, _ := w.check(testRepo, sha)
	if text := check.Title + check.Summary; !strings.Contains(text, "has grown too large") || !strings.Contains(text, "reset-db") {
		t.Errorf("check %s: %s", check.Title, check.Summary)
	}
	if open(name) != "false" || open(w.environment(small).Name) != "true" {
		t.Errorf("open: the large one %s, the small one %s", open(name), open(w.environment(small).Name))
	}
	if check, _ := w.check(testRepo, beside); check.Conclusion != "success" {
		t.Errorf("the other check: %s", check.Title)
	}
	again := w.push("feature/large", "more")
	w.wantCheck(again, "failure") // as long as it is closed
	w.say(pr, "octo-lead", "/flaresmith reset-db")
	w.wantCheck(again, "success")
	w.settle()
	if got := query(t, own, `SELECT count(*)::text FROM pg_tables WHERE tablename = 'big'`); open(name) != "true" || got[0] != "0" {
		t.Errorf("after the reset: open %s, %s tables", open(name), got[0])
	}
	w.wantNoSecret("keeper-password")
	w.valid()
}

// TestBranchServerStopsDuringMigration stops the server of the branches in the middle of a
// migration: people are told to wait, and nothing of the migration is left for the next try.
func TestBranchServerStopsDuringMigration(t *testing.T) {
	t.Parallel()
	db := newOwnPostgres(t)
	w, _ := newLocalWorld(t, sampleFiles(), "")
	w.stop()
	w.config["FLARESMITH_BRANCH_DATABASE_URL"] = strings.Replace(db.address, "/flaresmith", "/postgres", 1)
	w.config["FLARESMITH_PARENTS"] = "main=flaresmith"
	w.config["FLARESMITH_MIGRATION_TIMEOUT"] = "60s"
	query(t, db.address, `CREATE TABLE pause (seconds int); INSERT INTO pause VALUES (50)`)
	w.start()
	sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/db",
		drizzle([2]string{"tags", "CREATE TABLE tags (id int PRIMARY KEY);--> statement-breakpoint\nSELECT pg_sleep(seconds) FROM pause;"}), "Tags")
	if err != nil {
		t.Fatal(err)
	}
	pr, err := w.github.OpenPR(testRepo, "Tags", "feature/db", "", "octo-dev")
	if err != nil {
		t.Fatal(err)
	}
	sleeping := func() bool {
		return len(query(t, db.address, `SELECT query FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)) > 0
	}
	w.until("the migration runs", sleeping)
	db.stop()
	w.until("the pass has failed", func() bool { return w.environment(pr).Attempts > 0 })
	check, _ := w.check(testRepo, sha)
	if check.Status != "in_progress" || !strings.Contains(check.Summary+check.Text, "keeps trying") {
		t.Errorf("check during the outage: %q, %s\n%s", check.Status, check.Title, check.Summary)
	}
	db.start()
	name := w.environment(pr).Name
	own := strings.Replace(db.address, "/flaresmith", "/"+name, 1)
	if got := query(t, own, `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'`); len(got) != 1 {
		t.Errorf("tables %v: the interrupted migration left something", got)
	}
	query(t, own, `UPDATE pause SET seconds = 0`)
	w.wantCheck(sha, "success")
	w.settle()
	w.wantOneOfEach(pr, sha)
	if got := query(t, own, `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`); strings.Join(got, " ") != "pause tags" {
		t.Errorf("tables %v after the restart", got)
	}
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if got := query(t, db.address, `SELECT datname::text FROM pg_database WHERE datname LIKE '`+name+`%' UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname LIKE '`+name+`%'`); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
	w.wantNoSecret("keeper-password")
	w.valid()
}
