package dashboard

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/time/rate"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	passesShown   = 5
	versionsShown = 10
	archivedShown = 10
	logWindow     = 15 * time.Minute
	logLinesShown = 200
	readTimeout   = 5 * time.Second
)

// Store is what the pages read. Every method is read-only.
type Store interface {
	// Project is preview.ErrNotFound when there is none.
	Project(ctx context.Context, id string) (preview.Project, error)
	// ShownEnvironments lists those that are not archived in the order to show, then at most that
	// many archived ones.
	ShownEnvironments(ctx context.Context, projectID string, archived int) ([]preview.Environment, error)
	// EnvironmentByName is preview.ErrNotFound when there is none.
	EnvironmentByName(ctx context.Context, name string) (preview.Environment, error)
	// LastPasses are the newest of each environment, newest first.
	LastPasses(ctx context.Context, environmentIDs []string, each int) (map[string][]preview.PassRecord, error)
	// Deployments are the newest versions of each environment's Workers that are kept, newest first.
	Deployments(ctx context.Context, environmentIDs []string, each int) (map[string][]preview.Deployment, error)
	OutputsOf(ctx context.Context, environmentIDs []string) (map[string]preview.Outputs, error)
	// Queue is the place of each waiting preview, from 1, by environment id.
	Queue(ctx context.Context, projectID string) (map[string]int, error)
}

// Logs gives the last lines that a preview's Worker wrote, oldest first, without secrets.
type Logs interface {
	Logs(name string) []LogLine
}

// LogLine is one line of a Worker.
type LogLine struct {
	Time   time.Time
	Stream string // stdout, stderr, or supervisor: said about the process
	Text   string // hostile text
}

// Services tells how the outside systems do that a project depends on.
type Services interface {
	Services(ctx context.Context, p preview.Project) []Service
}

// Service is one outside system.
type Service struct {
	Name    string // e.g. "github"
	Breaker string // closed: it is called; open: it is not; half-open: one call tries
	// Until is when calls begin again: the breaker is open, or the system asked for a pause.
	// Zero: they go on.
	Until   time.Time
	Budgets []Budget
}

// Budget is what may be spent on an outside system.
type Budget struct {
	Name             string
	Remaining, Burst int // what is left now, and at most
}

// SignIn lets people show who they are.
type SignIn interface {
	// Address is where a person is asked. It leads them back to Links.Callback with the state and a
	// code that only the holder of the verifier can use.
	Address(state, verifier string) string
	// Person is who the code was given to; preview.ErrNotFound where it is not, or no longer, good.
	Person(ctx context.Context, code, verifier string) (preview.Person, error)
}

// Repositories tells what somebody is on a project's repository at this moment.
// preview.ErrGone or ErrNotFound: there is no such repository for us.
type Repositories interface {
	Standing(ctx context.Context, p preview.Project, login string) (preview.Standing, error)
}

// Config is what a Dashboard is made of.
type Config struct {
	Store Store
	Logs  Logs  // nil: no logs are shown
	Files fs.FS // <environment's name>/<file>; nil: no downloads
	// Here says which parts of a project are on this machine: of the others there are neither logs nor downloads.
	// Nil: all are.
	Here func(p preview.Project) (workers, collections bool)
	// Services are shown below the environments; nil: none.
	Services Services
	Links    *Links
	// SignIn and Repositories let people in who may see the repository; nil: only those with a link.
	SignIn       SignIn
	Repositories Repositories
	// GitHubURL is where the repositories' pages are, e.g. https://github.com.
	GitHubURL string
	Now       func() time.Time // nil: time.Now
	Logger    *slog.Logger
}

// Dashboard serves the pages. It is safe for concurrent use.
type Dashboard struct {
	Config
	access    *access
	exchanges *rate.Limiter
}

// New makes a Dashboard.
func New(c Config) *Dashboard {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Here == nil {
		c.Here = func(preview.Project) (workers, collections bool) { return true, true }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Dashboard{Config: c, exchanges: rate.NewLimiter(exchangesPerSecond, exchangesAtOnce),
		access: &access{store: c.Store, repositories: c.Repositories, now: c.Now, known: map[accessKey]verdict{}}}
}

// Route adds the pages to r.
func (d *Dashboard) Route(r gin.IRouter) {
	r.GET(scriptPath, script)
	if d.SignIn != nil {
		r.GET(signInPath, d.begin)
		r.GET(CallbackPath, d.callback)
		r.POST(signOutPath, d.signOut)
	}
	guarded := r.Group("/projects/:project", d.guard)
	guarded.GET("/environments", d.environments)
	guarded.GET("/environments/:name/files/:file", d.file)
}

// People are those whom a request's cookies name: usually one or nobody. What they may do is asked of GitHub.
func (d *Dashboard) People(r *http.Request) []preview.Person {
	if d.SignIn == nil {
		return nil
	}
	return d.Links.people(r)
}

// environments answers with the page, or 304 when the caller has seen just that.
func (d *Dashboard) environments(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), readTimeout)
	defer cancel()
	page, err := d.read(ctx, c.Param("project"))
	switch {
	case errors.Is(err, preview.ErrNotFound):
		d.refuse(c, wrong)
		return
	case err != nil:
		d.fail(c, err)
		return
	}
	page.Person, page.SignOut, page.Project = viewer(c), signOutPath, c.Param("project")
	body, err := render("environments", page)
	if err != nil {
		d.fail(c, err)
		return
	}
	etag := tagOf(body)
	c.Header("ETag", etag)
	if c.GetHeader("If-None-Match") == etag {
		c.Status(304)
		return
	}
	c.Data(200, htmlType, body)
}

// fail answers for our own trouble, whose cause is for the log only.
func (d *Dashboard) fail(c *gin.Context, err error) {
	if c.Request.Context().Err() != nil {
		return // nobody listens any more
	}
	d.Logger.WarnContext(c.Request.Context(), "dashboard", slog.String("project", c.Param("project")), slog.Any("error", err))
	status := 500
	if preview.Classify(err) == preview.ClassTransient {
		status = 503
	}
	d.notice(c, status, Notice{Title: "This page can't be shown now", Text: "The server could not read its database.", Hint: "Try again in a minute."})
}
