package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/palantir/go-githubapp/githubapp"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/flaresmith/flaresmith/app/inbox"
	"github.com/flaresmith/flaresmith/app/onboard"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/reconcile"
	"github.com/flaresmith/flaresmith/app/scan"
	"github.com/flaresmith/flaresmith/app/store"
)

const (
	// Few: what they do must not keep new deliveries from being acknowledged. One takes a page at a time.
	inboxWorkers     = 4
	reconcileWorkers = 16
	specWorkers      = 4 // of which few compare at the same time
	// onboardEvery is the time from one look at a repository to the next, with or without a
	// configuration: an installation on hundreds of them must not use up what previews need of GitHub.
	onboardEvery = time.Second
	// scanWorkers search for secrets; each holds at most a few large files in memory.
	scanWorkers = 2
	// jobTimeout bounds every job but a pass. A job that outlives it by rescueAfter died with its
	// server. Passes have a lease for that, so they may take long; see store.RearmStaleEnvironments.
	jobTimeout  = 2 * time.Minute
	rescueAfter = jobTimeout + 30*time.Second
	// quiet is the wait before another pass over the same environment: events come in bursts, and
	// one pass at the end of a burst does for all of them. The first pass never waits.
	quiet = 300 * time.Millisecond
	// leasedAgain is the wait when another pass holds the environment.
	leasedAgain = time.Second
	// jobPoll bounds how long a job waits when its notification was lost.
	jobPoll = 250 * time.Millisecond
)

// newJobs is the River client that works on every queue.
func (s *Server) newJobs(sweeper *inbox.Sweeper, r *reconcile.Reconciler, o *onboardWorker, scanner *scan.Scanner) (*river.Client[pgx.Tx], error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, s.worker)
	river.AddWorker(workers, sweeper)
	river.AddWorker(workers, &passWorker{store: s.store, reconciler: r, metrics: s.metrics, timeout: passTimeout(s.config)})
	river.AddWorker(workers, &syncWorker{store: s.store, reconciler: r})
	river.AddWorker(workers, &mergeGroupWorker{reconciler: r})
	river.AddWorker(workers, o)
	river.AddWorker(workers, &specWorker{specs: s.specs})
	river.AddWorker(workers, &scanWorker{scanner: scanner})
	client, err := river.NewClient(riverpgxv5.New(s.store.Pool()), &river.Config{
		Logger:  s.logger,
		Workers: workers,
		Queues: map[string]river.QueueConfig{
			store.QueueInbox:     {MaxWorkers: inboxWorkers, FetchCooldown: 10 * time.Millisecond, FetchPollInterval: jobPoll},
			store.QueueReconcile: {MaxWorkers: reconcileWorkers, FetchCooldown: 10 * time.Millisecond, FetchPollInterval: jobPoll},
			store.QueueSpec:      {MaxWorkers: specWorkers, FetchCooldown: 10 * time.Millisecond, FetchPollInterval: jobPoll},
			store.QueueSweep:     {MaxWorkers: 1},
			store.QueueScan:      {MaxWorkers: scanWorkers, FetchPollInterval: jobPoll},
			store.QueueOnboard:   {MaxWorkers: 1, FetchCooldown: onboardEvery, FetchPollInterval: onboardEvery},
		},
		// One of several servers inserts it.
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(inbox.SweepEvery),
			func() (river.JobArgs, *river.InsertOpts) { return store.SweepArgs{}, nil }, &river.PeriodicJobOpts{RunOnStart: true})},
		JobTimeout:                  jobTimeout,
		RescueStuckJobsAfter:        rescueAfter,
		CompletedJobRetentionPeriod: 10 * time.Minute,
		ErrorHandler:                &jobErrors{logger: s.logger},
		Middleware:                  []rivertype.Middleware{&jobSpans{tracer: s.exporter.Tracer()}},
	})
	if err != nil {
		return nil, fmt.Errorf("make job client: %w", err)
	}
	return client, nil
}

// passWorker runs passes over one environment until nothing newer is wanted.
type passWorker struct {
	river.WorkerDefaults[store.ReconcileArgs]
	store      *store.Store
	reconciler *reconcile.Reconciler
	metrics    *metrics
	timeout    time.Duration // of all passes of one job
}

// NextRetry implements river.Worker: 1 s doubling to a minute. While a job waits, no event gives its
// environment another one, so River's own wait, hours in the end, would hold back a close.
func (w *passWorker) NextRetry(job *river.Job[store.ReconcileArgs]) time.Time {
	return time.Now().Add(min(time.Second<<min(max(job.Attempt, 1)-1, 6), time.Minute))
}

// Timeout implements river.Worker.
func (w *passWorker) Timeout(*river.Job[store.ReconcileArgs]) time.Duration { return w.timeout }

// Work implements river.Worker.
func (w *passWorker) Work(ctx context.Context, job *river.Job[store.ReconcileArgs]) error {
	for {
		started := time.Now()
		result, err := w.reconciler.Pass(ctx, job.Args.EnvironmentID)
		switch {
		case errors.Is(err, preview.ErrLeased):
			return river.JobSnooze(leasedAgain)
		case errors.Is(err, preview.ErrNotFound):
			return river.JobCancel(err)
		case err != nil:
			return err
		}
		w.metrics.pass(result, time.Since(started))
		done, err := w.store.FinishReconcile(ctx, job, result.Seen)
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(quiet):
		}
	}
}

// syncWorker reads a project's policy anew after a push.
type syncWorker struct {
	river.WorkerDefaults[store.SyncArgs]
	store      *store.Store
	reconciler *reconcile.Reconciler
}

// Work implements river.Worker.
func (w *syncWorker) Work(ctx context.Context, job *river.Job[store.SyncArgs]) error {
	return w.reconciler.Sync(ctx, w.store, job.Args.ProjectID)
}

// mergeGroupWorker answers the check of a merge group.
type mergeGroupWorker struct {
	river.WorkerDefaults[store.MergeGroupArgs]
	reconciler *reconcile.Reconciler
}

// Work implements river.Worker.
func (w *mergeGroupWorker) Work(ctx context.Context, job *river.Job[store.MergeGroupArgs]) error {
	return w.reconciler.MergeGroup(ctx, job.Args.ProjectID, job.Args.SHA)
}

// onboardWorker looks whether a configuration should be proposed to a repository.
type onboardWorker struct {
	river.WorkerDefaults[store.OnboardArgs]
	onboarder *onboard.Onboarder
	enabled   bool
}

// Work implements river.Worker. A wait that GitHub or our own pace asks for is no failed attempt.
func (w *onboardWorker) Work(ctx context.Context, job *river.Job[store.OnboardArgs]) error {
	if !w.enabled {
		return nil
	}
	again, err := w.onboarder.Look(ctx, job.Args.ProjectID)
	var transient *preview.TransientError
	switch {
	case errors.As(err, &transient) && transient.After > 0:
		return river.JobSnooze(transient.After)
	case transient != nil:
		return err
	case errors.Is(err, preview.ErrNotFound):
		return river.JobCancel(err)
	case err == nil && again > 0:
		return river.JobSnooze(again)
	}
	return err
}

// scanWorker looks for secrets.
type scanWorker struct {
	river.WorkerDefaults[store.ScanArgs]
	scanner *scan.Scanner
}

// NextRetry implements river.Worker: 2 s doubling to five minutes, since a required check waits for it.
func (w *scanWorker) NextRetry(job *river.Job[store.ScanArgs]) time.Time {
	return time.Now().Add(min(time.Second<<min(max(job.Attempt, 1), 9), 5*time.Minute))
}

// Work implements river.Worker. A wait that GitHub or our own budget asks for is no failed attempt.
func (w *scanWorker) Work(ctx context.Context, job *river.Job[store.ScanArgs]) error {
	again, err := w.scanner.Scan(ctx, job.Args.Scan())
	var transient *preview.TransientError
	switch {
	case errors.As(err, &transient) && transient.After > 0:
		return river.JobSnooze(transient.After)
	case transient != nil:
		return err
	case errors.Is(err, preview.ErrNotFound):
		return river.JobCancel(err)
	case err == nil && again > 0:
		return river.JobSnooze(again)
	}
	return err
}

// jobErrors logs what a job returned; River tries it again.
type jobErrors struct{ logger *slog.Logger }

// HandleError implements river.ErrorHandler.
func (h *jobErrors) HandleError(ctx context.Context, job *rivertype.JobRow, err error) *river.ErrorHandlerResult {
	h.logger.WarnContext(ctx, "job failed", slog.String("kind", job.Kind), slog.Int("attempt", job.Attempt), slog.Any("error", err))
	return nil
}

// HandlePanic implements river.ErrorHandler.
func (h *jobErrors) HandlePanic(ctx context.Context, job *rivertype.JobRow, value any, stack string) *river.ErrorHandlerResult {
	h.logger.ErrorContext(ctx, "job panicked", slog.String("kind", job.Kind), slog.Any("panic", value), slog.String("stack", stack))
	return nil
}

// sweptEvents are the handlers' events, all of which are looked for when they do not arrive. A pull request's
// own come first: a command that was given before its last close must find the close.
func sweptEvents(all []githubapp.EventHandler) map[string]bool {
	events := map[string]bool{}
	for _, h := range all {
		for _, event := range h.Handles() {
			events[event] = event == "pull_request"
		}
	}
	return events
}

// sweep wants what is due and arms again what lost its job, until ctx ends.
func sweep(ctx context.Context, s *store.Store, worker *inbox.Worker, logger *slog.Logger) {
	due := time.NewTicker(time.Second)
	defer due.Stop()
	stale := time.NewTicker(5 * time.Second)
	defer stale.Stop()
	warn := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			logger.WarnContext(ctx, "sweep", slog.String("what", what), slog.Any("error", err))
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
			_, err := s.WantDue(ctx)
			warn("sweep due environments", err)
		case <-stale.C:
			_, err := s.RearmStaleEnvironments(ctx)
			warn("sweep stale environments", err)
			warn("sweep stale deliveries", worker.Rearm(ctx))
		}
	}
}

// sizesEvery is how often the sizes of previews' databases are looked at.
const sizesEvery = 5 * time.Second

// boundDatabases closes previews' databases that have grown too large, and wants passes, whose checks say so, until ctx
// ends.
func boundDatabases(ctx context.Context, branches *postgres.Branches, s *store.Store, logger *slog.Logger) {
	due := time.NewTicker(sizesEvery)
	defer due.Stop()
	var untold []preview.Mark
	for {
		select {
		case <-ctx.Done():
			return
		case <-due.C:
		}
		closed, err := branches.CloseOvergrown(ctx)
		if err != nil && ctx.Err() == nil {
			logger.WarnContext(ctx, "bound databases", slog.Any("error", err))
		}
		untold = slices.DeleteFunc(append(untold, closed...), func(m preview.Mark) bool {
			err := s.WantProject(ctx, m.Project)
			if err != nil && ctx.Err() == nil {
				logger.WarnContext(ctx, "tell of a closed database", slog.String("environmentId", m.Environment), slog.Any("error", err))
			}
			return err == nil
		})
	}
}
