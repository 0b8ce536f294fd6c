package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Backlog is what waits, whoever works on it, and how many previews serve.
type Backlog struct {
	Deliveries  int64         // stored and not handled
	DeliveryAge time.Duration // of the oldest of them; 0: there is none
	Jobs        map[string]JobBacklog
	Previews    int64 // that serve, be it what was good before
}

// JobBacklog is one queue of jobs.
type JobBacklog struct {
	Waiting int64         // due and not begun
	Age     time.Duration // since the oldest of them was due
	Running int64
}

// Backlog reads all of it in one round trip.
func (s *Store) Backlog(ctx context.Context) (Backlog, error) {
	b := Backlog{Jobs: map[string]JobBacklog{QueueInbox: {}, QueueReconcile: {}, QueueSweep: {}, QueueOnboard: {}}}
	var batch pgx.Batch
	batch.Queue(`SELECT count(*), coalesce(extract(epoch FROM now() - min(received_at)), 0)::float8 FROM deliveries WHERE handled_at IS NULL`).
		QueryRow(func(row pgx.Row) error {
			var seconds float64
			err := row.Scan(&b.Deliveries, &seconds)
			b.DeliveryAge = ofSeconds(seconds)
			return err
		})
	batch.Queue(`
		SELECT queue, count(*) FILTER (WHERE state <> 'running'), count(*) FILTER (WHERE state = 'running'),
			coalesce(extract(epoch FROM now() - min(scheduled_at) FILTER (WHERE state <> 'running')), 0)::float8
		FROM river_job WHERE state = 'running' OR state IN ('available', 'retryable', 'scheduled') AND scheduled_at <= now()
		GROUP BY queue`).
		Query(func(rows pgx.Rows) error {
			var queue string
			var jobs JobBacklog
			var seconds float64
			_, err := pgx.ForEachRow(rows, []any{&queue, &jobs.Waiting, &jobs.Running, &seconds}, func() error {
				jobs.Age = ofSeconds(seconds)
				b.Jobs[queue] = jobs
				return nil
			})
			return err
		})
	batch.Queue(`SELECT count(*) FROM environments WHERE kind = 'preview' AND good_sha <> '' AND state <> 'archived'`).
		QueryRow(func(row pgx.Row) error { return row.Scan(&b.Previews) })
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return Backlog{}, fmt.Errorf("backlog: %w", classed(err))
	}
	return b, nil
}

func ofSeconds(s float64) time.Duration { return time.Duration(max(s, 0) * float64(time.Second)) }
