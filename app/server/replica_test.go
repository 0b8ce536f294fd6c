package server

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

// replicaCommand makes the test's program another server beside the world's, in a process of its own.
const replicaCommand = "replica"

// terms are what a replica is given, on its standard input.
type terms struct {
	Config     map[string]string
	Roots      []byte // of Neon's computes, PEM
	WorkersURL string
	Workers    string // the address that all hosts of Workers are at
	Packages   string // folder
}

// serveReplica is the replica's program. It writes its log to standard output.
func serveReplica(ctx context.Context) error {
	var given terms
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return err
	}
	c, err := config.Load(given.Config)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(given.Roots) {
		return errors.New("no certificate")
	}
	reach := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, given.Workers)
	}}
	s, err := opened(ctx, c, Options{Logger: slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug})), PackageCache: given.Packages,
		StandIns: StandIns{NeonRoots: roots, WorkersURL: given.WorkersURL, Reach: reach, Calls: countedCalls}})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// countedCalls is hurried with a limit at Postman of which not half a request comes back in an hour.
func countedCalls(p *outbound.Policy) {
	hurried(p)
	if p.Provider == "postman" {
		p.Budgets = []outbound.Budget{{Name: "requests", Limit: 1000, Window: 365 * 24 * time.Hour, Burst: 900}}
	}
}

// replica is a server in a process of its own, on the world's database.
type replica struct {
	process      *exec.Cmd
	api, metrics string // URLs
	log          *logLines
	ended        chan struct{}
}

// replica starts one and waits until it serves.
func (w *cloudWorld) replica() *replica {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	given := terms{Config: maps.Clone(w.config), Roots: w.neon.CertificatePEM(), WorkersURL: w.cloudflare.WorkersURL(), Workers: w.cloudflare.Addr(), Packages: w.options.PackageCache}
	given.Config["FLARESMITH_DATA_DIR"] = w.t.TempDir()
	text, err := json.Marshal(given)
	if err != nil {
		w.t.Fatal(err)
	}
	r := &replica{process: exec.Command(self, replicaCommand), log: &logLines{}, ended: make(chan struct{})} //nolint:noctx // ends by being killed
	r.process.Stdin, r.process.Stderr = strings.NewReader(string(text)), os.Stderr
	r.process.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + w.t.TempDir()}
	out, err := r.process.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := r.process.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(r.kill)
	serving := make(chan struct{})
	go func() {
		defer close(r.ended)
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			_, _ = r.log.Write([]byte(line))
			var entry struct{ Msg, API, Metrics string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
				r.api, r.metrics = "http://"+entry.API, "http://"+entry.Metrics
				close(serving)
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case <-serving:
	case <-r.ended:
		w.t.Fatalf("the replica ended:\n%s", r.log.String())
	case <-time.After(patience):
		w.t.Fatalf("the replica does not serve:\n%s", r.log.String())
	}
	return r
}

// kill ends it as the kernel would when memory runs out.
func (r *replica) kill() {
	if r.process.ProcessState == nil {
		_ = r.process.Process.Kill()
		<-r.ended
		_ = r.process.Wait()
	}
}

// scraped are its metrics.
func (r *replica) scraped(t testing.TB) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.metrics+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Two servers on one database make each preview once, whoever is told of it, spend one budget together, leave a cloud alone together that
// fails for one of them, and what one of them was at when it was killed is the other's.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	w := newCloudWorldWith(t, filesIn(t, shopMain), shopSQL(t), atClouds{branches: 6, calls: countedCalls})
	other := w.replica()
	hook := func(address string) {
		w.github.SetWebhook(github.Webhook{URL: address + "/api/github/hook", Secret: testSecret})
	}
	previews := map[int]string{} // the newest commit by pull request
	var prs []int
	for i, address := range []string{other.api, w.server.URL(), other.api} {
		hook(address)
		pr, sha := w.openWith("feature/"+string(rune('a'+i)), reviews(t))
		if err := w.github.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		previews[pr], prs = sha, append(prs, pr)
	}
	w.wantEachOnce(previews)
	w.wantOneBudget(other)

	// What one finds out both know.
	w.neon.SetFaults(func(*http.Request) *fault.Fault { return &fault.Fault{Status: http.StatusServiceUnavailable} })
	previews[prs[0]] = w.push("feature/a", "in an outage")
	const opened = `circuit_breaker_open_total{provider="neon"}`
	w.until("both leave Neon alone", func() bool {
		return strings.Contains(w.scraped(), opened) && strings.Contains(other.scraped(t), opened)
	})
	w.neon.SetFaults()
	w.wantEachOnce(previews)

	// Killed in the middle of what only it can be at.
	w.stop()
	hook(other.api)
	var once sync.Once
	began := make(chan struct{})
	w.cloudflare.SetFaults(func(*http.Request) *fault.Fault {
		once.Do(func() { close(began) })
		return &fault.Fault{Delay: time.Second}
	})
	previews[prs[1]] = w.push("feature/b", "and killed")
	select {
	case <-began:
	case <-time.After(patience):
		t.Fatal("nothing was deployed")
	}
	w.start()
	other.kill()
	w.cloudflare.SetFaults()
	previews[prs[2]] = w.push("feature/c", "alone")
	w.wantEachOnce(previews)
	for _, secret := range []string{neonKey, cloudflareToken, postmanKey, "npg_", testSecret} {
		if strings.Contains(other.log.String(), secret) {
			t.Errorf("the other's log holds %s", secret[:4])
		}
	}
	w.valid()
}

// wantEachOnce waits until every pull request has the preview of its newest commit, and looks for what is there twice.
func (w *cloudWorld) wantEachOnce(previews map[int]string) {
	w.t.Helper()
	for _, sha := range previews {
		w.wantCheck(sha, "success")
	}
	w.until("everything is as wanted", func() bool { // the job that was killed stays running in its table for an hour
		return len(query(w.t, w.config["DATABASE_URL"], `SELECT name FROM environments WHERE wanted > observed`)) == 0
	})
	if n := w.neon.BranchesNamed("preview-"); n != len(previews) {
		w.t.Errorf("%d branches for %d previews: %v", n, len(previews), w.neon.Names())
	}
	for pr, sha := range previews {
		name := w.environment(pr).Name
		_, script := w.cloudflare.Script(name)
		if collections, environments := w.postman.Named(w.postman.Team(), name); !script || collections != 1 || environments != 1 {
			w.t.Errorf("%s: script %t, %d collections, %d environments", name, script, collections, environments)
		}
		runs, err := w.github.CheckRuns(testRepo, sha)
		if err != nil {
			w.t.Fatal(err)
		}
		ours := slices.DeleteFunc(runs, func(r github.CheckRun) bool { return r.Name != checkName })
		if list := comments(w.t, w.world, pr); len(ours) != 1 || len(list) != 1 {
			w.t.Errorf("pull request %d has %d check runs at %.7s and %d comments", pr, len(ours), sha, len(list))
		}
	}
}

// wantOneBudget compares what both servers say that they spent with what Postman was asked, and with what is gone from the budget.
func (w *cloudWorld) wantOneBudget(other *replica) {
	w.t.Helper()
	const budget = "postman/requests"
	said := ""
	w.until("both servers have asked Postman, and it adds up", func() bool { // not while a call is between one count and another
		ours, others := w.spent()[budget], sumsIn(w.t, other.scraped(w.t), spentUnits)[budget]
		asked := float64(len(w.postman.Requests()))
		gone := query(w.t, w.config["DATABASE_URL"], `SELECT round(burst - left_over)::text FROM outside_budgets WHERE account LIKE 'postman %'`)
		if now := fmt.Sprintf("%v and %v were spent for %v requests, and %v is gone from the budget", ours, others, asked, gone); now != said {
			w.t.Log(now)
			said = now
		}
		if ours > 0 && others > 0 {
			return ours+others == asked && slices.Equal(gone, []string{strconv.FormatFloat(ours+others, 'f', 0, 64)})
		}
		if err := w.server.store.WantProject(w.t.Context(), query(w.t, w.config["DATABASE_URL"], `SELECT id::text FROM projects`)[0]); err != nil {
			w.t.Fatal(err)
		}
		w.settle()
		return false
	})
}
