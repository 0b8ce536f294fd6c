package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/flaresmith/flaresmith/app/preview"
)

// QueueScan is the queue of searches for secrets.
const QueueScan = "scan"

// scannedFor is how long a clean object is remembered after it was last met.
const scannedFor = 30 * 24 * time.Hour

// unlockTimeout bounds the end of a scan's lock.
const unlockTimeout = 5 * time.Second

// ScanArgs asks to look for secrets; see preview.Scan.
type ScanArgs struct {
	ProjectID string `json:"project_id"`
	PR        int    `json:"pr,omitempty"`
	SHA       string `json:"sha,omitempty"`
	Before    string `json:"before,omitempty"`
	Branch    string `json:"branch,omitempty"`
	Tag       string `json:"tag,omitempty"`
}

// Kind implements river.JobArgs.
func (ScanArgs) Kind() string { return "scan_secrets" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (ScanArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueScan, MaxAttempts: jobAttempts}
}

// Scan is what is asked for.
func (a ScanArgs) Scan() preview.Scan { return preview.Scan(a) }

// WantScan asks to look for secrets. A pull request for which a job waits gets no second one: the job reads what is
// there when it starts.
func (s *Store) WantScan(ctx context.Context, scan preview.Scan) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		args := ScanArgs(scan)
		if scan.PR > 0 {
			tag, err := tx.Exec(ctx, `
				SELECT id FROM river_job WHERE kind = $1 AND state = 'available' AND args @> jsonb_build_object('project_id', $2::text, 'pr', $3::int)
				LIMIT 1 FOR UPDATE SKIP LOCKED`, args.Kind(), scan.ProjectID, scan.PR)
			if err != nil || tag.RowsAffected() > 0 {
				return err
			}
		}
		_, err := s.insertJobs(ctx, tx, args)
		return err
	})
	if err != nil {
		return fmt.Errorf("want a scan of project %s: %w", scan.ProjectID, err)
	}
	return nil
}

// WantScans asks to look for secrets in every pull request of the project that is not closed.
func (s *Store) WantScans(ctx context.Context, projectID string) error {
	rows, err := s.pool.Query(ctx, `SELECT pr FROM environments WHERE project_id = $1 AND kind = 'preview' AND NOT closed ORDER BY pr`, projectID)
	if err != nil {
		return fmt.Errorf("pull requests of project %s: %w", projectID, classed(err))
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return fmt.Errorf("pull requests of project %s: %w", projectID, classed(err))
	}
	for _, pr := range numbers {
		if err := s.WantScan(ctx, preview.Scan{ProjectID: projectID, PR: pr}); err != nil {
			return err
		}
	}
	return nil
}

// ScanAlone does something while nobody else does it for the same commit, on whatever server; else it is
// preview.ErrLeased. It holds a connection meanwhile, so that a server that dies holds nothing.
func (s *Store) ScanAlone(ctx context.Context, projectID, sha string, do func(ctx context.Context) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("scan %.7s alone: %w", sha, classed(err))
	}
	defer conn.Release()
	const key = `hashtextextended('scan ' || $1 || ' ' || $2, 0)`
	var alone bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock(`+key+`)`, projectID, sha).Scan(&alone); err != nil {
		return fmt.Errorf("scan %.7s alone: %w", sha, classed(err))
	}
	if !alone {
		return preview.ErrLeased
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
		defer cancel()
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_unlock(`+key+`)`, projectID, sha); err != nil {
			_ = conn.Conn().Close(ctx) // which ends the lock; the pool drops what is closed
		}
	}()
	return do(ctx)
}

// Clean tells which of the keys are known to be clean, and remembers them longer for it.
func (s *Store) Clean(ctx context.Context, projectID string, keys [][32]byte) (map[[32]byte]bool, error) {
	rows, err := s.pool.Query(ctx, `UPDATE scanned SET seen_at = now() WHERE project_id = $1 AND key = ANY($2) RETURNING key`, projectID, bytesOf(keys))
	if err != nil {
		return nil, fmt.Errorf("clean objects of project %s: %w", projectID, classed(err))
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("clean objects of project %s: %w", projectID, classed(err))
	}
	clean := make(map[[32]byte]bool, len(found))
	for _, key := range found {
		clean[[32]byte(key)] = true
	}
	return clean, nil
}

// SaveClean remembers that nothing was found, and forgets what nobody met for a month.
func (s *Store) SaveClean(ctx context.Context, projectID string, keys [][32]byte) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := s.pool.Exec(ctx, `
		INSERT INTO scanned (project_id, key) SELECT $1, key FROM (SELECT DISTINCT unnest($2::bytea[]) AS key) k ORDER BY key
		ON CONFLICT (project_id, key) DO UPDATE SET seen_at = now()`, projectID, bytesOf(keys))
	if err == nil {
		_, err = s.pool.Exec(ctx, `
			DELETE FROM scanned WHERE ctid = ANY(ARRAY(SELECT ctid FROM scanned WHERE seen_at < now() - $1::interval LIMIT 1000 FOR UPDATE SKIP LOCKED))`, scannedFor)
	}
	if err != nil {
		return fmt.Errorf("save clean objects of project %s: %w", projectID, classed(err))
	}
	return nil
}

func bytesOf(keys [][32]byte) [][]byte {
	list := make([][]byte, len(keys))
	for i := range keys {
		list[i] = keys[i][:]
	}
	return list
}
