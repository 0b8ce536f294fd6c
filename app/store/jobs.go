package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/flaresmith/flaresmith/app/telemetry"
)

// The queues that the server works on.
const (
	QueueInbox     = "inbox"
	QueueReconcile = "reconcile"
	QueueSweep     = "sweep"
	QueueOnboard   = "onboard"
	QueueSpec      = "spec"
)

// jobAttempts is far beyond any outage with River's growing delay (about a day at 20), and
// what still fails then is armed anew by the sweeps.
const jobAttempts = 20

// DeliverArgs asks to hand the pending deliveries of one pull request to their handlers.
// PR 0 is the repository itself, RepoID 0 what concerns an installation.
type DeliverArgs struct {
	RepoID int64 `json:"repo_id"`
	PR     int   `json:"pr"`
}

// Kind implements river.JobArgs.
func (DeliverArgs) Kind() string { return "deliver" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (DeliverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueInbox, MaxAttempts: jobAttempts}
}

// ReconcileArgs asks for passes over one environment until what is wanted is observed.
type ReconcileArgs struct {
	EnvironmentID string `json:"environment_id"`
}

// Kind implements river.JobArgs.
func (ReconcileArgs) Kind() string { return "reconcile" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (ReconcileArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueReconcile, MaxAttempts: jobAttempts}
}

// SyncArgs asks to read a project's policy anew and to want the core environments that follow
// from it and from the newest pushes.
type SyncArgs struct {
	ProjectID string `json:"project_id"`
}

// Kind implements river.JobArgs.
func (SyncArgs) Kind() string { return "sync_project" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (SyncArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueReconcile, MaxAttempts: jobAttempts}
}

// MergeGroupArgs asks to answer the check of a merge group's commit, which has no preview.
type MergeGroupArgs struct {
	ProjectID string `json:"project_id"`
	SHA       string `json:"sha"`
}

// Kind implements river.JobArgs.
func (MergeGroupArgs) Kind() string { return "merge_group" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (MergeGroupArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueReconcile, MaxAttempts: jobAttempts}
}

// SweepArgs asks to look for deliveries that did not arrive. It is no attempt of River's that repeats it: it comes
// again by itself, until the next one goes on.
type SweepArgs struct{}

// Kind implements river.JobArgs.
func (SweepArgs) Kind() string { return "sweep_deliveries" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (SweepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueSweep, MaxAttempts: 1}
}

// liveJob is true for a river_job row that will still be worked.
const liveJob = `state IN ('available', 'pending', 'retryable', 'running', 'scheduled')`

// Enqueue inserts one job.
func (s *Store) Enqueue(ctx context.Context, args river.JobArgs) error {
	if _, err := s.jobs.Insert(ctx, args, &river.InsertOpts{Metadata: traceOf(ctx)}); err != nil {
		return fmt.Errorf("enqueue %s: %w", args.Kind(), classed(err))
	}
	return nil
}

// TraceKey is where a job's metadata holds the W3C traceparent of what wanted it.
const TraceKey = "traceparent"

// traceOf is the metadata of a job that is wanted within the context's span; nil: there is none, as
// where deliveries are stored.
func traceOf(ctx context.Context) []byte {
	parent := telemetry.Traceparent(ctx) // has nothing that JSON escapes
	if parent == "" {
		return nil
	}
	return fmt.Appendf(nil, `{%q:%q}`, TraceKey, parent)
}

// insertJobs inserts one job for each of args and returns their ids in the same order.
func (s *Store) insertJobs(ctx context.Context, tx pgx.Tx, args ...river.JobArgs) ([]int64, error) {
	params := make([]river.InsertManyParams, len(args))
	options := &river.InsertOpts{Metadata: traceOf(ctx)}
	for i, a := range args {
		params[i] = river.InsertManyParams{Args: a, InsertOpts: options}
	}
	results, err := s.jobs.InsertManyTx(ctx, tx, params)
	if err != nil {
		return nil, fmt.Errorf("insert %d jobs: %w", len(args), err)
	}
	ids := make([]int64, len(results))
	for i, r := range results {
		ids[i] = r.Job.ID
	}
	return ids, nil
}
