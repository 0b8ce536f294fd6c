package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/palantir/go-githubapp/githubapp"
	"github.com/riverqueue/river"
	"golang.org/x/sync/errgroup"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/dashboard"
	"github.com/flaresmith/flaresmith/app/inbox"
	"github.com/flaresmith/flaresmith/app/onboard"
	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/provider/workerd"
	"github.com/flaresmith/flaresmith/app/reconcile"
	"github.com/flaresmith/flaresmith/app/scan"
	"github.com/flaresmith/flaresmith/app/specsync"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/telemetry"
	"github.com/flaresmith/flaresmith/app/telemetry/otlp"
	"github.com/flaresmith/flaresmith/handlers"
)

// Options are what a caller may hand in beside the configuration.
type Options struct {
	Logger *slog.Logger
	// PackageCache is where npm packages are kept; empty: in the data folder.
	PackageCache string
	// Progress is told of downloads at start; may be nil.
	Progress func(name string, done, total int64)
	// Providers replaces the providers of the configuration, for tests of what the server does with any; nil: these.
	Providers map[preview.Kind]reconcile.Provider
	StandIns  StandIns
}

const (
	leaseTTL      = 15 * time.Second
	leastStep     = 11 * time.Minute // of a step without migrations; a copy of a parent may take ten minutes
	drainTimeout  = 20 * time.Second
	startTries    = 5
	exportTimeout = 3 * time.Second // of the last spans and metrics, at the end
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// stepTimeout bounds one step of a pass. Migrations may run once more, in a fresh branch.
func stepTimeout(c config.Config) time.Duration { return leastStep + 2*c.MigrationTimeout }

// passTimeout bounds a pass, some steps one after the other.
func passTimeout(c config.Config) time.Duration { return 3*leastStep + stepTimeout(c) }

// Server is the wired program. Make one with New, run it once.
type Server struct {
	config   config.Config
	logger   *slog.Logger
	store    *store.Store
	branches *postgres.Server
	workers  *workerd.Runtime
	jobs     *river.Client[pgx.Tx]
	inbox    *inbox.Scheduler
	worker   *inbox.Worker
	domain   string // previews answer at <name>.<domain>
	links    *dashboard.Links
	pages    *dashboard.Dashboard
	// collections is the folder that the status page offers for download; nil: none.
	collections *os.Root
	handler     http.Handler
	metrics     *metrics
	specs       *specsync.Syncer
	signIn      *github.SignIn // nil: people can't show who they are
	people      dashboard.Repositories
	exporter    *otlp.Exporter      // nil until it is made
	calls       *outbound.Transport // to GitHub
	api         net.Listener
	scrape      net.Listener
}

// New builds everything in the order of the flow and listens, but serves nothing yet. On an error
// whatever was opened is closed.
func New(ctx context.Context, c config.Config, o Options) (_ *Server, err error) {
	// Whoever logs, logs without secrets.
	o.Logger = slog.New(telemetry.NewHandler(o.Logger.Handler(), telemetry.NewRedactor(c.Secrets()...)))
	if o.PackageCache == "" {
		o.PackageCache = filepath.Join(c.DataDir, "npm")
	}
	s := &Server{config: c, logger: o.Logger, metrics: newMetrics()}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err = s.open(ctx); err != nil {
		return nil, err
	}
	gh, err := s.newGitHub(o.StandIns)
	if err != nil {
		return nil, err
	}
	operator, err := s.table(ctx, o)
	if err != nil {
		return nil, err
	}
	builds, err := newBuilder(filepath.Join(c.DataDir, "source"), o.PackageCache)
	if err != nil {
		return nil, err
	}
	reconciler := s.newReconciler(gh, operator, builds)
	s.specs = s.newSpecs(gh, operator, builds)
	events := handlers.All(s.store, c.GitHubAppID)
	hook, err := s.newInbox(events)
	if err != nil {
		return nil, err
	}
	s.people = gh
	if s.pages, err = s.newDashboard(gh, operator); err != nil {
		return nil, err
	}
	sweeper := inbox.NewSweeper(inbox.SweepConfig{Store: s.store, GitHub: gh, Scheduler: s.inbox, Events: sweptEvents(events),
		Observer: s.metrics, Logger: s.logger})
	onboarding := &onboardWorker{enabled: c.Onboarding, onboarder: &onboard.Onboarder{Store: operator, GitHub: gh, Proposer: gh, Logger: s.logger}}
	scanner := &scan.Scanner{GitHub: gh, Store: operator, Now: time.Now, Logger: s.logger}
	if s.jobs, err = s.newJobs(sweeper, reconciler, onboarding, scanner); err != nil {
		return nil, err
	}
	s.handler = s.routes(hook)
	return s, nil
}

// open brings up what the rest stands on: where spans go, both ports, the data folder, and the store with its tables.
func (s *Server) open(ctx context.Context) (err error) {
	if s.exporter, err = s.newExporter(ctx, s.config); err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(s.config.DataDir, 0o755); err != nil { //nolint:gosec // Workers have users of their own
		return fmt.Errorf("FLARESMITH_DATA_DIR: %w; give a folder that this user may write to", err)
	}
	if s.links, err = newLinks(s.config, s.api.Addr().String()); err != nil {
		return err
	}
	if err := Migrate(ctx, s.config); err != nil {
		return err
	}
	if s.store, err = openStore(ctx, s.config, store.Options{Logger: s.logger}); err != nil {
		return err
	}
	s.metrics.watch(s.store, s.logger)
	return nil
}

// newGitHub is the App, whose calls share a breaker, and have budgets by installation.
func (s *Server) newGitHub(standIns StandIns) (*github.App, error) {
	s.calls = s.newGitHubCalls(standIns)
	return github.New(github.Config{AppID: s.config.GitHubAppID, PrivateKey: s.config.GitHubPrivateKey, APIURL: s.config.GitHubAPIURL,
		Transport: s.calls, Logger: s.logger,
		PerInstallation: func(id int64) http.RoundTripper { return s.calls.For(strconv.FormatInt(id, 10)) }})
}

// newReconciler makes what is wanted so, with the providers of the operator's table.
func (s *Server) newReconciler(gh *github.App, operator table, builds builder) *reconcile.Reconciler {
	return reconcile.New(reconcile.Config{
		Store:  operator,
		GitHub: gh, Conversation: gh, Reporter: gh, Providers: operator,
		Builder: builds,
		// No token: whoever sees a public repository's check must not see more of it.
		DetailsURL: func(p preview.Project) string { return s.links.Page(p.ID) },
		Changes: func(ctx context.Context, p preview.Project, pr preview.PullRequest, changed []string) error {
			return s.store.WantSpecAt(ctx, p.ID, pr.Number, pr.HeadSHA, specsync.Touches(changed))
		},
		LeaseTTL: leaseTTL, StepTimeout: stepTimeout(s.config), OutageDeadline: s.config.OutageDeadline, Now: time.Now, Observer: s.metrics, Logger: s.logger,
	})
}

// newInbox leads deliveries to the events' handlers. It gives the webhook endpoint, which verifies a delivery and
// stores it before it answers.
func (s *Server) newInbox(events []githubapp.EventHandler) (hook http.Handler, err error) {
	s.metrics.expect(events)
	if s.worker, err = inbox.NewWorker(s.store, events, s.metrics, s.logger); err != nil {
		return nil, err
	}
	s.inbox = inbox.NewScheduler(s.store)
	return inbox.NewHandler(s.inbox, inbox.Options{Secrets: s.config.GitHubWebhookSecrets, Observer: s.metrics, Logger: s.logger})
}

// listen opens both ports. A preview URL with port 0 takes the port that was given.
func (s *Server) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if s.api, err = lc.Listen(ctx, "tcp", s.config.Listen); err != nil {
		return atAddress("FLARESMITH_LISTEN", err)
	}
	if s.scrape, err = lc.Listen(ctx, "tcp", s.config.MetricsListen); err != nil {
		return atAddress("FLARESMITH_METRICS_LISTEN", err)
	}
	return nil
}

func (s *Server) previewURL() (*url.URL, int, error) {
	public, err := url.Parse(s.config.PreviewURL)
	if err != nil {
		return nil, 0, fmt.Errorf("FLARESMITH_PREVIEW_URL: %w", err)
	}
	port := 0
	if p := public.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil {
			return nil, 0, fmt.Errorf("FLARESMITH_PREVIEW_URL: %w", err)
		}
		if port == 0 {
			port = s.api.Addr().(*net.TCPAddr).Port
		}
	}
	return public, port, nil
}

// URL is where the API listens.
func (s *Server) URL() string { return "http://" + s.api.Addr().String() }

// startJobs begins to work. A database that is busy, as when a whole machine starts, may take longer for a subscription
// than River waits, which is five seconds: it is asked again.
func (s *Server) startJobs(ctx context.Context) error {
	for tries := 1; ; tries++ {
		err := s.jobs.Start(context.WithoutCancel(ctx))
		if err == nil || tries == startTries || ctx.Err() != nil {
			return err
		}
		s.logger.WarnContext(ctx, "jobs can't be started yet", slog.Any("error", err))
	}
}

// Run serves until ctx ends, then drains: it accepts nothing more, finishes running jobs, stops
// the Workers and closes the pools.
func (s *Server) Run(ctx context.Context) error {
	defer s.close()
	if err := s.store.WantServing(ctx); err != nil {
		if ctx.Err() != nil { // told to end before it began, which is no failure
			return nil
		}
		return err
	}
	// Jobs outlive ctx until they are drained.
	if err := s.startJobs(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("start jobs: %w", err)
	}
	api := &http.Server{Handler: s.handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug)}
	scrape := &http.Server{Handler: s.metricsRoutes(), ReadHeaderTimeout: headerTimeout, ReadTimeout: headerTimeout, ErrorLog: api.ErrorLog}
	s.logger.Info("serving", slog.String("api", s.api.Addr().String()), slog.String("metrics", s.scrape.Addr().String()))

	// Deliveries are stored until neither a request nor a job, which fetches what was missed, waits for one any more.
	storing, stored := context.WithCancel(context.WithoutCancel(ctx))
	defer stored()

	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		s.inbox.Run(storing)
		return nil
	})
	group.Go(func() error { return ignoreClosed(api.Serve(s.api)) })
	group.Go(func() error { return ignoreClosed(scrape.Serve(s.scrape)) })
	group.Go(func() error {
		sweep(gctx, s.store, s.worker, s.logger)
		return nil
	})
	if s.branches != nil {
		group.Go(func() error {
			boundDatabases(gctx, s.branches.Branches(), s.store, s.logger)
			return nil
		})
	}
	group.Go(func() error {
		<-gctx.Done()
		dctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err := errors.Join(api.Shutdown(dctx), scrape.Shutdown(dctx), s.stopJobs(dctx))
		stored()
		return err
	})
	return group.Wait()
}

// stopJobs lets running jobs end, and cancels those that take too long: River runs them again.
func (s *Server) stopJobs(ctx context.Context) error {
	soft, cancel := context.WithTimeout(ctx, drainTimeout/2)
	defer cancel()
	if err := s.jobs.Stop(soft); err == nil {
		return nil
	}
	if err := s.jobs.StopAndCancel(ctx); err != nil {
		return fmt.Errorf("stop jobs: %w", err)
	}
	return nil
}

func (s *Server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if s.workers != nil {
		if err := s.workers.Close(ctx); err != nil {
			s.logger.Warn("stop workers", slog.Any("error", err))
		}
	}
	if s.branches != nil {
		s.branches.Close()
	}
	if s.exporter != nil { // its last metrics are read from the store
		ectx, cancel := context.WithTimeout(ctx, exportTimeout)
		s.exporter.Shutdown(ectx)
		cancel()
	}
	if s.store != nil {
		s.store.Close()
	}
	if s.collections != nil {
		_ = s.collections.Close()
	}
	for _, l := range []net.Listener{s.api, s.scrape} {
		if l != nil {
			_ = l.Close()
		}
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// canSwitchUser reports whether Workers can run under user ids of their own.
func canSwitchUser() bool { return runtime.GOOS == "linux" && os.Geteuid() == 0 }
