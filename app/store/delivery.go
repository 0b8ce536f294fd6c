package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// Bounds of one page of PendingDeliveries.
const (
	pendingRows  = 32
	pendingBytes = 32 << 20 // compressed
)

// Delivery is one webhook delivery. RepoID 0 means that it concerns an installation, PR 0 that
// it concerns the repository itself.
type Delivery struct {
	GUID           string
	Seq            int64 // order of arrival, set by the store
	Event          string
	InstallationID int64
	RepoID         int64
	PR             int
	Payload        []byte    // the JSON, compressed by s2
	ReceivedAt     time.Time // set by the store if it is zero
}

// InsertDeliveries stores deliveries in one transaction and returns how many were new; one whose
// GUID is known changes nothing. For each pull request with a new delivery the wanted count is
// raised, and a job is armed if none is. When it returns nil, everything is committed.
func (s *Store) InsertDeliveries(ctx context.Context, list []Delivery) (stored int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	columns := deliveryColumns(list)
	err = inTx(ctx, s.intake, func(tx pgx.Tx) error {
		stored, err = s.insertDeliveries(ctx, tx, columns)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("insert %d deliveries: %w", len(list), err)
	}
	return stored, nil
}

// deliveryColumns turns rows into the arrays that one INSERT takes.
func deliveryColumns(list []Delivery) []any {
	n := len(list)
	guids, events, payloads := make([]string, n), make([]string, n), make([][]byte, n)
	installations, repos, prs := make([]int64, n), make([]int64, n), make([]int32, n)
	times := make([]*time.Time, n)
	for i, d := range list {
		guids[i], events[i], payloads[i] = d.GUID, d.Event, d.Payload
		installations[i], repos[i], prs[i] = d.InstallationID, d.RepoID, int32(d.PR) // #nosec G115 -- bounded by the inbox
		times[i] = timeOrNil(d.ReceivedAt)
	}
	return []any{guids, events, installations, repos, prs, payloads, times}
}

func (s *Store) insertDeliveries(ctx context.Context, tx pgx.Tx, columns []any) (stored int, err error) {
	// Rows of pr_work are locked in their key's order, so that two batches never wait for each other.
	rows, err := tx.Query(ctx, `
		WITH new AS (
			INSERT INTO deliveries (guid, event, installation_id, repo_id, pr, payload, received_at)
			SELECT guid, event, installation_id, repo_id, pr, payload, coalesce(received_at, now())
			FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::int[], $6::bytea[], $7::timestamptz[])
				WITH ORDINALITY AS d (guid, event, installation_id, repo_id, pr, payload, received_at, place)
			ORDER BY place
			ON CONFLICT (guid) DO NOTHING
			RETURNING repo_id, pr
		), counted AS (
			SELECT repo_id, pr, count(*) AS n FROM new GROUP BY repo_id, pr ORDER BY repo_id, pr
		), work AS (
			INSERT INTO pr_work AS w (repo_id, pr, wanted)
			SELECT repo_id, pr, n FROM counted
			ON CONFLICT (repo_id, pr) DO UPDATE SET wanted = w.wanted + excluded.wanted
			RETURNING repo_id, pr, armed_by IS NULL AS idle
		)
		SELECT repo_id, pr, n, idle FROM work JOIN counted USING (repo_id, pr) ORDER BY repo_id, pr`, columns...)
	if err != nil {
		return 0, err
	}
	var idle []DeliverArgs
	var key DeliverArgs
	var n int
	var isIdle bool
	_, err = pgx.ForEachRow(rows, []any{&key.RepoID, &key.PR, &n, &isIdle}, func() error {
		stored += n
		if isIdle {
			idle = append(idle, key)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return stored, s.armWork(ctx, tx, idle)
}

// armWork gives each of the pr_work rows, which tx has locked, a job of its own.
func (s *Store) armWork(ctx context.Context, tx pgx.Tx, keys []DeliverArgs) error {
	if len(keys) == 0 {
		return nil
	}
	args := make([]river.JobArgs, len(keys))
	repos, prs := make([]int64, len(keys)), make([]int32, len(keys))
	for i, k := range keys {
		args[i], repos[i], prs[i] = k, k.RepoID, int32(k.PR) // #nosec G115 -- read from an int column
	}
	jobs, err := s.insertJobs(ctx, tx, args...)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE pr_work w SET armed_by = a.job
		FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS a (repo_id, pr, job)
		WHERE w.repo_id = a.repo_id AND w.pr = a.pr`, repos, prs, jobs)
	return err
}

// Pending is a page of a pull request's deliveries that are not handled.
type Pending struct {
	Wanted     int64      // deliveries ever stored; each of them is handled, in the list, or behind it
	Deliveries []Delivery // in the order of their arrival: as many as fit into a page, at least one if there is one
	More       bool       // there may be others behind them
}

// PendingDeliveries returns the next page of the pull request, or preview.ErrNotFound when nothing
// was ever stored for it.
func (s *Store) PendingDeliveries(ctx context.Context, repoID int64, pr int) (Pending, error) {
	var p Pending
	// One round trip; the count is read first, so that no delivery is counted that the page can't see.
	var batch pgx.Batch
	batch.Queue(`SELECT wanted FROM pr_work WHERE repo_id = $1 AND pr = $2`, repoID, pr).
		QueryRow(func(row pgx.Row) error { return row.Scan(&p.Wanted) })
	var total int
	batch.Queue(`
		SELECT guid, seq, event, installation_id, repo_id, pr, payload, total FROM (
			SELECT *, sum(octet_length(payload)) OVER (ORDER BY seq) AS bytes, row_number() OVER (ORDER BY seq) AS place, count(*) OVER () AS total
			FROM (SELECT * FROM deliveries WHERE repo_id = $1 AND pr = $2 AND handled_at IS NULL ORDER BY seq LIMIT $3) next
		) page WHERE bytes <= $4 OR place = 1 ORDER BY seq`, repoID, pr, pendingRows, pendingBytes).
		Query(func(rows pgx.Rows) (err error) {
			p.Deliveries, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Delivery, err error) {
				return d, row.Scan(&d.GUID, &d.Seq, &d.Event, &d.InstallationID, &d.RepoID, &d.PR, &d.Payload, &total)
			})
			return err
		})
	if err := s.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return Pending{}, fmt.Errorf("pending deliveries of repository %d, pull request %d: %w", repoID, pr, classed(err))
	}
	p.More = total == pendingRows || total > len(p.Deliveries)
	return p, nil
}

// Handled is a delivery that needs no more work.
type Handled struct {
	GUID  string
	Seq   int64
	Error string // why its handler gave up, without text of the payload; empty: it did not
}

// MarkHandled records that deliveries of one pull request need no more work.
func (s *Store) MarkHandled(ctx context.Context, repoID int64, pr int, list []Handled) error {
	if err := markHandled(ctx, s.pool, repoID, pr, list); err != nil {
		return fmt.Errorf("mark %d deliveries as handled: %w", len(list), classed(err))
	}
	return nil
}

// markHandled finds the rows by the index of what is not handled, within the page's bounds: by GUID,
// a plan that was made while the table was small would read all of it.
func markHandled(ctx context.Context, q querier, repoID int64, pr int, list []Handled) error {
	if len(list) == 0 {
		return nil
	}
	seqs, errs := make([]int64, len(list)), make([]string, len(list))
	for i, h := range list {
		seqs[i], errs[i] = h.Seq, h.Error
	}
	_, err := q.Exec(ctx, `
		UPDATE deliveries d SET handled_at = now(), error = h.error
		FROM unnest($3::bigint[], $4::text[]) AS h (seq, error)
		WHERE d.repo_id = $1 AND d.pr = $2 AND d.seq BETWEEN $5 AND $6 AND d.handled_at IS NULL AND d.seq = h.seq`,
		repoID, pr, seqs, errs, slices.Min(seqs), slices.Max(seqs))
	return err
}

// FinishWork says that the job has handled the last page: these deliveries, and with them
// everything up to seen, its Wanted. If nothing came since, the job is completed in the same transaction
// and FinishWork returns true. Otherwise it returns false, and the caller makes another pass. A job
// that was replaced by another one has nothing to finish: it ends too, and changes nothing else.
func (s *Store) FinishWork(ctx context.Context, job *river.Job[DeliverArgs], seen int64, handled []Handled) (finished bool, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		if err := markHandled(ctx, tx, job.Args.RepoID, job.Args.PR, handled); err != nil {
			return err
		}
		// The job is completed by its key: river.JobCompleteTx is a statement for many jobs at once, which
		// costs as much as the rest of a pass. What River itself writes when the worker returned finds it done.
		// The commit does not wait for the disk: what a crash takes back is handled again.
		err := tx.QueryRow(ctx, `
			WITH work AS (
				UPDATE pr_work SET done = $4, armed_by = CASE WHEN wanted = $4 THEN NULL ELSE armed_by END
				WHERE repo_id = $1 AND pr = $2 AND armed_by = $3
				RETURNING armed_by IS NULL AS finished
			), job AS (
				UPDATE river_job SET state = 'completed', finalized_at = now()
				WHERE id = $3 AND state = 'running' AND (SELECT finished FROM work)
			)
			SELECT finished FROM work, set_config('synchronous_commit', 'off', true)`, job.Args.RepoID, job.Args.PR, job.ID, seen).Scan(&finished)
		if errors.Is(err, pgx.ErrNoRows) {
			finished, err = true, nil // replaced: River completes it
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("finish work on repository %d, pull request %d: %w", job.Args.RepoID, job.Args.PR, err)
	}
	return finished, nil
}

// RearmStaleWork gives a job to every pull request that has deliveries to handle and no live job,
// as after a job that failed for good, and returns how many there were. A job that has run for much
// longer than its turn died with its server; should it live all the same, it is replaced, and what
// both of them handle changes nothing twice.
func (s *Store) RearmStaleWork(ctx context.Context) (int, error) {
	var armed int
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT repo_id, pr FROM pr_work w
			WHERE wanted > done AND NOT EXISTS (
				SELECT FROM river_job j WHERE j.id = w.armed_by AND j.`+liveJob+`
				AND NOT (j.state = 'running' AND j.attempted_at < now() - interval '20 seconds'))
			ORDER BY repo_id, pr LIMIT 1000 FOR UPDATE SKIP LOCKED`)
		if err != nil {
			return err
		}
		stale, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DeliverArgs])
		if err != nil {
			return err
		}
		armed = len(stale)
		return s.armWork(ctx, tx, stale)
	})
	if err != nil {
		return 0, fmt.Errorf("re-arm deliveries: %w", err)
	}
	return armed, nil
}

// ReceivedAt returns when a delivery came: for one that had to be looked for, when GitHub first tried to deliver it.
func (s *Store) ReceivedAt(ctx context.Context, guid string) (time.Time, error) {
	var at time.Time
	if err := s.pool.QueryRow(ctx, `SELECT received_at FROM deliveries WHERE guid = $1`, guid).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("delivery %s: %w", guid, classed(err))
	}
	return at, nil
}
