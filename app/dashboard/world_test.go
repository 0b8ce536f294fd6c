package dashboard_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/flaresmith/flaresmith/app/dashboard"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	projectID    = "0b5f6c1e-6a52-4a0e-9a53-0f2f8f3a9d01"
	otherProject = "0b5f6c1e-6a52-4a0e-9a53-0f2f8f3a9d02"
	key          = preview.Secret("0123456789abcdef0123456789abcdef")
)

// now is when the tests began: a browser believes its own clock about cookies.
var now = time.Now().UTC().Truncate(time.Second)

// shelf is a store in memory.
type shelf struct {
	mu           sync.Mutex
	err          error
	projects     map[string]preview.Project
	environments []preview.Environment
	passes       map[string][]preview.PassRecord
	versions     map[string][]preview.Deployment
	outputs      map[string]preview.Outputs
	queue        map[string]int
}

func (s *shelf) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *shelf) Project(_ context.Context, id string) (preview.Project, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.projects[id]
	if s.err == nil && !ok {
		return p, preview.ErrNotFound
	}
	return p, s.err
}

func (s *shelf) ShownEnvironments(_ context.Context, projectID string, _ int) ([]preview.Environment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []preview.Environment
	for _, e := range s.environments {
		if e.ProjectID == projectID {
			list = append(list, e)
		}
	}
	return list, s.err
}

func (s *shelf) EnvironmentByName(_ context.Context, name string) (preview.Environment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.environments {
		if e.Name == name {
			return e, s.err
		}
	}
	return preview.Environment{}, preview.ErrNotFound
}

func (s *shelf) LastPasses(context.Context, []string, int) (map[string][]preview.PassRecord, error) {
	return s.passes, s.err
}

func (s *shelf) Deployments(context.Context, []string, int) (map[string][]preview.Deployment, error) {
	return s.versions, s.err
}

func (s *shelf) OutputsOf(context.Context, []string) (map[string]preview.Outputs, error) {
	return s.outputs, s.err
}

func (s *shelf) Queue(context.Context, string) (map[string]int, error) { return s.queue, s.err }

// said are the lines of one Worker.
type said map[string][]dashboard.LogLine

func (s said) Logs(name string) []dashboard.LogLine { return s[name] }

const sha1, sha2 = "5fa1c3e80a1b2c3d4e5f60718293a4b5c6d7e8f9", "c0ffee1234567890abcdef1234567890abcdef12"

func previewOf(pr int, state preview.State) preview.Environment {
	name := preview.PreviewName("k7xq2mab", pr)
	return preview.Environment{ID: name, ProjectID: projectID, Kind: preview.EnvironmentPreview, Name: name, PR: pr, State: state,
		HeadSHA: sha1, Wanted: 3, Observed: 3}
}

// sample is a project in which everything happens at once, hostile text included.
func sample() (*shelf, said, fstest.MapFS) {
	good, busy, broken, queued := previewOf(41, preview.StateActive), previewOf(40, preview.StateProvisioning), previewOf(38, preview.StateError), previewOf(42, preview.StateQueued)
	good.GoodSHA, good.ExpiresAt = sha1, now.Add(71*time.Hour+20*time.Minute)
	good.Title, good.HeadRef = "Sale prices for a product, with a title as long as titles of pull requests get when nobody stops them in time <b>bold</b>…", "feature/sale-prices"
	queued.Title, queued.HeadRef = "Reviews", "octo-dev/"+strings.Repeat("a-branch-without-end-", 5)+"…"
	busy.Wanted++
	broken.GoodSHA, broken.HeadSHA, broken.ExpiresAt = sha2, sha1, now.Add(20*time.Hour)
	broken.FailingSince, broken.Message = now.Add(-time.Hour), "The migrations can't be applied."
	broken.Problems = []preview.Problem{{Path: "drizzle/0003_add_sale_price.sql", Line: 2, Message: `column "price" of relation "products" does not exist <script>alert(1)</script>`,
		Hint: "Check the name, or add the column in an earlier migration."}, {Path: "drizzle/0004_by_hand.sql", Line: 1, Warning: true, Message: "is not applied"}}
	queued.Message = "All 3 places are taken; this preview is number 9 in the queue."
	closed, expired := previewOf(30, preview.StateArchived), previewOf(29, preview.StateArchived)
	closed.Closed, expired.ExpiredSHA, closed.Title = true, sha1, "Carts"
	prod := preview.Environment{ID: "prod", ProjectID: projectID, Kind: preview.EnvironmentProd, Name: "prod-k7xq2mab", Branch: "main",
		State: preview.StateActive, GoodSHA: sha2, SHA: sha2, HeadSHA: sha2}
	steps := []preview.StepRecord{
		{Name: "fetch", Op: "fetch", OK: true, StartMS: 12, DurationMS: 180},
		{Name: "bundle", Op: "build", OK: true, StartMS: 194, DurationMS: 410},
		{Name: "database", Op: "create", OK: true, StartMS: 14, DurationMS: 730},
		{Name: "schema", Op: "create", OK: true, StartMS: 748, DurationMS: 240},
		{Name: "worker", Op: "create", OK: true, StartMS: 992, DurationMS: 460},
		{Name: "collection", Op: "create", OK: true, StartMS: 1456, DurationMS: 3},
	}
	failed := []preview.StepRecord{steps[0], steps[1], {Name: "schema", Op: "update", StartMS: 200, DurationMS: 90, Error: "The migrations can't be applied."}}
	pass := func(s []preview.StepRecord, outcome string, ago time.Duration, took time.Duration) preview.PassRecord {
		return preview.PassRecord{Generation: 3, SHA: sha1, Outcome: outcome, Steps: s, StartedAt: now.Add(-ago), Duration: took}
	}
	store := &shelf{
		projects: map[string]preview.Project{projectID: {ID: projectID, Owner: "acme", Name: "shop"}, otherProject: {ID: otherProject, Owner: "acme", Name: "other"}},
		environments: []preview.Environment{prod, queued, good, busy, broken,
			closed, expired},
		passes: map[string][]preview.PassRecord{
			good.ID:   {pass(steps, "ready", 40*time.Minute, 1480*time.Millisecond), pass(steps, "superseded", 42*time.Minute, 900*time.Millisecond), pass(steps, "ready", 3*time.Hour, 1520*time.Millisecond)},
			broken.ID: {pass(failed, "invalid", 3*time.Minute, 640*time.Millisecond), pass(steps, "ready", 20*time.Hour, 1520*time.Millisecond)},
			prod.ID:   {pass(steps[:5], "ready", 50*time.Hour, 2480*time.Millisecond)},
		},
		outputs: map[string]preview.Outputs{
			good.ID: {URL: "http://" + good.Name + ".localhost:8080/", Workers: []preview.WorkerURL{{Name: "api", URL: "http://" + good.Name + ".localhost:8080/"},
				{Name: "back-office", URL: "http://" + good.Name + "-back-office.localhost:8080/"}}, Files: []string{"shop.postman_collection.json", good.Name + ".postman_environment.json"}},
			broken.ID: {URL: "javascript:alert(1)"},
			prod.ID:   {URL: "http://prod-k7xq2mab.localhost:8080/"},
		},
		versions: map[string][]preview.Deployment{prod.ID: {
			{Place: "cloudflare/a1", Version: "1f3a-the-newer", SHA: sha2, DeployedAt: now.Add(-50 * time.Hour)},
			{Worker: "admin", Place: "cloudflare/a1", Version: "0b2c-the-older", SHA: sha1, DeployedAt: now.Add(-90 * time.Hour)},
		}},
		queue: map[string]int{queued.ID: 2},
	}
	line := func(ago time.Duration, stream, text string) dashboard.LogLine {
		return dashboard.LogLine{Time: now.Add(-ago), Stream: stream, Text: text}
	}
	logs := said{good.Name: {line(time.Hour, "stdout", "much too old"), line(90*time.Second, "stdout", "GET /products 200 in 11 ms"),
		line(70*time.Second, "stderr", `TypeError: can't read properties of undefined (reading 'id') <img src=x onerror=alert(1)>`),
		line(50*time.Second, "supervisor", "the Worker tried to reach 169.254.169.254 and was refused"), line(40*time.Second, "stdout", strings.Repeat("a long line without a break ", 12)),
		line(30*time.Second, "stdout", strings.Repeat("x", 4<<10))}}
	logs[preview.WorkerName(good.Name, "back-office")] = []dashboard.LogLine{line(20*time.Second, "stdout", "GET /orders 200 in 3 ms")}
	files := fstest.MapFS{
		good.Name + "/shop.postman_collection.json":               {Data: []byte(`{"info": {"name": "Shop"}}`)},
		good.Name + "/" + good.Name + ".postman_environment.json": {Data: []byte(`{"name": "shop"}`)},
		good.Name + "/mark.json":                                  {Data: []byte(`{"owner": {}}`)},
		preview.PreviewName("k7xq2mab", 38) + "/leftover.json":    {Data: []byte(`{}`)},
	}
	return store, logs, files
}

// services are one that is down and one that is well.
type services struct{}

func (services) Services(context.Context, preview.Project) []dashboard.Service {
	return []dashboard.Service{
		{Name: "github", Breaker: "closed", Budgets: []dashboard.Budget{{Name: "points", Remaining: 287, Burst: 300}, {Name: "content-minute", Remaining: 40, Burst: 40}}},
		{Name: "neon", Breaker: "open", Until: now.Add(20 * time.Second)},
	}
}

// site is a running dashboard with its links.
type site struct {
	*httptest.Server
	store *shelf
	links *dashboard.Links
	logs  said
}

func newSite(t *testing.T, clock func() time.Time) *site {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	store, logs, files := sample()
	s := &site{store: store, logs: logs}
	engine := gin.New()
	s.Server = httptest.NewServer(engine)
	t.Cleanup(s.Close)
	var err error
	if s.links, err = dashboard.NewLinks(key, s.URL, clock); err != nil {
		t.Fatal(err)
	}
	dashboard.New(dashboard.Config{Store: store, Logs: logs, Files: files, Services: services{}, Links: s.links, GitHubURL: "https://github.example", Now: clock}).Route(engine)
	return s
}

func noRedirect() *http.Client {
	return &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
