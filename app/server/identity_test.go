package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/provider/workerd"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/reconcile"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

// mistaken is a Worker's provider that may give it the connection string of another database. It counts the questions that
// are asked of Workers.
type mistaken struct {
	reconcile.Provider
	mu    sync.Mutex
	given preview.Secret            // in place of the right one; empty: none
	right map[string]preview.Secret // by preview
	asked int
}

func (m *mistaken) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	m.mu.Lock()
	m.right[r.Name] = in.Outputs.DatabaseURL
	if m.given != "" {
		in.Outputs.DatabaseURL = m.given
	}
	m.mu.Unlock()
	if verify := in.Verify; verify != nil {
		in.Verify = func(ctx context.Context, ask preview.Ask) error {
			return verify(ctx, func(ctx context.Context, path string, headers map[string]string) (int, []byte, error) {
				m.mu.Lock()
				m.asked++
				m.mu.Unlock()
				return ask(ctx, path, headers)
			})
		}
	}
	return m.Provider.Apply(ctx, r, in)
}

func (m *mistaken) give(address preview.Secret) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.given = address
}

func (m *mistaken) rightOf(name string) preview.Secret {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.right[name]
}

func (m *mistaken) wantAsked(t *testing.T, want int) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asked != want {
		t.Errorf("Workers were asked %d times instead of %d", m.asked, want)
	}
}

// A Worker that is bound to another preview's database, or with a password of yesterday, turns the check red before
// anybody can open it. A pass that changes something asks once, any other not at all.
func TestForeignDatabase(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	parentURL := embeddedtest.Database(t)
	query(t, parentURL, `CREATE TABLE items (id int PRIMARY KEY)`)
	parent, err := url.Parse(parentURL)
	if err != nil {
		t.Fatal(err)
	}
	branches, err := postgres.New(t.Context(), postgres.Config{AdminURL: preview.Secret(embeddedtest.Postgres(t))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(branches.Close)
	runtime, err := workerd.New(workerd.Config{Binary: embeddedtest.Workerd(t), Dir: dataFolder(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = runtime.Close(context.Background()) })
	workers := &mistaken{Provider: runtime, right: map[string]preview.Secret{}}
	w := newWorld(t, sampleFiles(), map[string]string{"FLARESMITH_PARENTS": "main=" + strings.TrimPrefix(parent.Path, "/")})
	w.stop()
	w.options.Providers = w.cloud.providers()
	w.options.Providers[preview.KindDatabase], w.options.Providers[preview.KindWorker] = branches.Branches(), workers
	w.start()

	one, sha := w.open("feature/one")
	w.wantCheck(sha, "success")
	workers.wantAsked(t, 1)
	w.wantAll()
	w.settle()
	workers.wantAsked(t, 1)

	first := w.environment(one).Name
	tests := []struct{ branch, given, want string }{
		{"feature/two", workers.rightOf(first).Reveal(), "leads to the database \"" + first + "\""},
		{"feature/three", parentURL, "which is not this environment's"},
		{"feature/four", strings.Replace(workers.rightOf(first).Reveal(), "@", "x@", 1), "it is out of date"},
	}
	var lastSHA string
	for _, tt := range tests {
		workers.give(preview.Secret(tt.given))
		pr, sha := w.open(tt.branch)
		lastSHA = sha
		check := w.wantCheck(sha, "failure")
		if text := check.Title + check.Summary + check.Text; !strings.Contains(text, tt.want) {
			t.Errorf("%s: the check does not say %q: %s", tt.branch, tt.want, text)
		}
		seen := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.Host = w.environment(pr).Name + ".localhost"
		if runtime.ServeHTTP(seen, request); seen.Code != http.StatusNotFound {
			t.Errorf("%s: the Worker can be opened: %d", tt.branch, seen.Code)
		}
	}
	w.wantAll() // nothing is taken for done
	w.settle()
	w.wantCheck(lastSHA, "failure")
	workers.give("")
	w.wantCheck(w.push("feature/four", "again"), "success")
	w.wantNoSecret()
}

// questions leads to Workers and notes which hosts answered when they were asked who they are.
type questions struct {
	http.RoundTripper
	mu    sync.Mutex
	hosts []string
}

func (q *questions) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := q.RoundTripper.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusOK && r.URL.Path == "/.well-known/flaresmith/identity" && r.Header.Get("Flaresmith-Nonce") != "" && r.Header.Get("Flaresmith-Signature") != "" {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.hosts = append(q.hosts, r.URL.Hostname())
	}
	return answer, err
}

// taken are the hosts that answered since the last call.
func (q *questions) taken() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.hosts
	q.hosts = nil
	return taken
}

// wantIdentity: whatever the driver, each deployment is asked once, at a host of its own, who it is. What it answers for another's
// database, or for another environment, turns the check red; without a database it proves its environment alone. The preview is the
// sample's again in the end.
func (w *cloudWorld) wantIdentity(host string) {
	w.t.Helper()
	own := regexp.MustCompile("^" + host + "$")
	w.questions.taken()
	// The answer is the Worker's own, which its code can change.
	lying := func(what string) string {
		return "const json = Response.json;\nResponse.json = (said, init) => json(said.nonce ? { ...said, " + what + " } : said, init);\n"
	}
	const alone = "export default { fetch() { return new Response('no database'); } };\n"
	sample := sampleIndex(w.t)
	const without = "layout: {database_binding: ''}\n"
	for _, tt := range []struct{ name, layout, code, conclusion, want string }{
		{"another's database", "", sample + lying("database: { name: 'neondb', comment: 'of somebody else' }"), "failure", "which is not this environment's"},
		{"another environment", without, alone + lying("environment: 'another'"), "failure", "answers for another environment"},
		{"no database", without, alone, "success", ""},
		{"the sample", "", sample, "success", ""},
	} {
		sha, err := w.github.CommitAs("octo-dev", testRepo, "feature/a", map[string]string{repoconfig.Path: tt.layout, "src/index.ts": tt.code}, tt.name)
		if err != nil {
			w.t.Fatal(err)
		}
		check := w.wantCheck(sha, tt.conclusion)
		if text := check.Title + check.Summary + check.Text; !strings.Contains(text, tt.want) {
			w.t.Errorf("%s: the check does not say %q: %s", tt.name, tt.want, text)
		}
		w.settle()
		if hosts := w.questions.taken(); len(hosts) != 1 || !own.MatchString(hosts[0]) {
			w.t.Errorf("%s: who was asked: %v, want one that is %s", tt.name, hosts, own)
		}
	}
}
