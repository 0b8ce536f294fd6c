package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/flaresmith/flaresmith/app/preview"
)

// environmentColumns are what scanEnvironment reads, in its order.
const environmentColumns = `id, project_id, kind, name, pr, branch, sha, state, wanted, observed, closed, held, rebuild,
	reset_database, expires_at, expired_sha, approved_sha, good_sha, head_sha, message, problems, failing_since, attempts,
	next_pass_at, created_at, coalesce(report->>'title', ''), coalesce(report->>'branch', '')`

// scanEnvironment reads a row of environmentColumns.
func scanEnvironment(row pgx.Row) (preview.Environment, error) {
	var e preview.Environment
	var expires, failing, next *time.Time
	var problems []byte
	err := row.Scan(&e.ID, &e.ProjectID, &e.Kind, &e.Name, &e.PR, &e.Branch, &e.SHA, &e.State, &e.Wanted, &e.Observed,
		&e.Closed, &e.Held, &e.Rebuild, &e.ResetDatabase, &expires, &e.ExpiredSHA, &e.ApprovedSHA, &e.GoodSHA, &e.HeadSHA, &e.Message, &problems,
		&failing, &e.Attempts, &next, &e.CreatedAt, &e.Title, &e.HeadRef)
	if err != nil {
		return preview.Environment{}, err
	}
	if err := json.Unmarshal(problems, &e.Problems); err != nil {
		return preview.Environment{}, fmt.Errorf("problems of environment %s: %w", e.ID, err)
	}
	if len(e.Problems) == 0 {
		e.Problems = nil
	}
	e.ExpiresAt, e.FailingSince, e.NextPassAt = timeOrZero(expires), timeOrZero(failing), timeOrZero(next)
	return e, nil
}

// Wish is preview.Wish.
type Wish = preview.Wish

// Want records a wish in one transaction: the environment exists afterwards, its wanted
// generation is one higher, and a job is armed for it. It returns the environment's id.
func (s *Store) Want(ctx context.Context, w Wish) (environmentID string, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		environmentID, err = s.WantTx(ctx, tx, w)
		return err
	})
	return environmentID, err
}

// WantTx is Want inside the caller's transaction.
func (s *Store) WantTx(ctx context.Context, tx pgx.Tx, w Wish) (environmentID string, err error) {
	if !w.Kind.Valid() || !preview.NamePattern.MatchString(w.Name) || (w.Kind == preview.EnvironmentPreview) != (w.PR > 0) {
		return "", fmt.Errorf("want environment %q: kind %q, name or pull request %d can't be", w.Name, w.Kind, w.PR)
	}
	var idle bool
	err = tx.QueryRow(ctx, `
		INSERT INTO environments AS e (project_id, kind, name, pr, branch, sha, pushed_at, lifecycle_at, wanted)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1)
		ON CONFLICT (project_id, kind, pr) DO UPDATE SET
			wanted       = e.wanted + 1,
			lifecycle_at = GREATEST(e.lifecycle_at, excluded.lifecycle_at),
			branch       = CASE WHEN excluded.pushed_at >= coalesce(e.pushed_at, '-infinity') THEN excluded.branch ELSE e.branch END,
			sha          = CASE WHEN excluded.pushed_at >= coalesce(e.pushed_at, '-infinity') THEN excluded.sha ELSE e.sha END,
			pushed_at    = GREATEST(e.pushed_at, excluded.pushed_at),
			report       = CASE WHEN $9 THEN e.report || '{"newCheck": true}' ELSE e.report END,
			updated_at   = now()
		RETURNING id, armed_by IS NULL`,
		w.ProjectID, w.Kind, w.Name, w.PR, w.Branch, w.SHA, timeOrNil(w.PushedAt), timeOrNil(w.LifecycleAt), w.NewCheck,
	).Scan(&environmentID, &idle)
	if err != nil {
		return "", fmt.Errorf("want environment %s: %w", w.Name, classed(err))
	}
	if idle {
		if err := s.armEnvironments(ctx, tx, environmentID); err != nil {
			return "", fmt.Errorf("want environment %s: %w", w.Name, classed(err))
		}
	}
	return environmentID, nil
}

// armEnvironments gives each of the environments, whose rows tx has locked, a job of its own.
func (s *Store) armEnvironments(ctx context.Context, tx pgx.Tx, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	args := make([]river.JobArgs, len(ids))
	for i, id := range ids {
		args[i] = ReconcileArgs{EnvironmentID: id}
	}
	jobs, err := s.insertJobs(ctx, tx, args...)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE environments e SET armed_by = a.job
		FROM unnest($1::uuid[], $2::bigint[]) AS a (id, job) WHERE e.id = a.id`, ids, jobs)
	return err
}

// WantProject adds one to the wanted generation of each environment of the project whose pull
// request is not closed, and arms it: one that was not eligible may have become so.
func (s *Store) WantProject(ctx context.Context, projectID string) error {
	err := s.wantMany(ctx, `project_id = $1`, projectID)
	if err != nil {
		return fmt.Errorf("want project %s: %w", projectID, err)
	}
	return nil
}

// WantInstallation is WantProject for each project of the installation.
func (s *Store) WantInstallation(ctx context.Context, installationID int64) error {
	err := s.wantMany(ctx, `project_id IN (SELECT id FROM projects WHERE installation_id = $1)`, installationID)
	if err != nil {
		return fmt.Errorf("want installation %d: %w", installationID, err)
	}
	return nil
}

func (s *Store) wantMany(ctx context.Context, which string, arg any) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH chosen AS (
				SELECT id FROM environments WHERE NOT closed AND `+which+` ORDER BY id FOR UPDATE
			), wanted AS (
				UPDATE environments e SET wanted = e.wanted + 1, updated_at = now()
				FROM chosen WHERE e.id = chosen.id RETURNING e.id, e.armed_by
			)
			SELECT id FROM wanted WHERE armed_by IS NULL ORDER BY id`, arg)
		if err != nil {
			return err
		}
		idle, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		return s.armEnvironments(ctx, tx, idle...)
	})
}

// RearmStaleEnvironments gives a job to every environment that is behind and has no live one,
// as after a crash or a job that failed for good, and returns how many there were. Environments
// that are up to date only forget a job that is gone. A job that is said to run while nobody has
// renewed the environment's lease died with its server.
func (s *Store) RearmStaleEnvironments(ctx context.Context) (int, error) {
	var armed int
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH stale AS (
				SELECT id FROM environments e
				WHERE (wanted > observed OR armed_by IS NOT NULL)
				  AND NOT EXISTS (
					SELECT FROM river_job j WHERE j.id = e.armed_by AND j.`+liveJob+`
					AND NOT (j.state = 'running' AND j.attempted_at < now() - interval '15 seconds'
						AND coalesce(e.lease_until, '-infinity') < now()))
				ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED
			), freed AS (
				UPDATE environments e SET armed_by = NULL FROM stale WHERE e.id = stale.id
				RETURNING e.id, e.wanted > e.observed AS behind
			)
			SELECT id FROM freed WHERE behind ORDER BY id`)
		if err != nil {
			return err
		}
		behind, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		armed = len(behind)
		return s.armEnvironments(ctx, tx, behind...)
	})
	if err != nil {
		return 0, fmt.Errorf("re-arm environments: %w", err)
	}
	return armed, nil
}

// Environment returns one environment, or preview.ErrNotFound.
func (s *Store) Environment(ctx context.Context, id string) (preview.Environment, error) {
	e, err := scanEnvironment(s.pool.QueryRow(ctx, `SELECT `+environmentColumns+` FROM environments WHERE id = $1`, id))
	if err != nil {
		return preview.Environment{}, fmt.Errorf("environment %s: %w", id, classed(err))
	}
	return e, nil
}

// EnvironmentByName returns the environment of that provider-side name, or preview.ErrNotFound.
func (s *Store) EnvironmentByName(ctx context.Context, name string) (preview.Environment, error) {
	e, err := scanEnvironment(s.pool.QueryRow(ctx, `SELECT `+environmentColumns+` FROM environments WHERE name = $1`, name))
	if err != nil {
		return preview.Environment{}, fmt.Errorf("environment %q: %w", name, classed(err))
	}
	return e, nil
}

// Environments returns every environment of a project, archived ones too, by kind and pull request.
func (s *Store) Environments(ctx context.Context, projectID string) ([]preview.Environment, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+environmentColumns+` FROM environments WHERE project_id = $1 ORDER BY kind, pr`, projectID)
	if err != nil {
		return nil, fmt.Errorf("environments of project %s: %w", projectID, classed(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (preview.Environment, error) { return scanEnvironment(row) })
	if err != nil {
		return nil, fmt.Errorf("environments of project %s: %w", projectID, classed(err))
	}
	return list, nil
}

// LifecycleAt returns when the environment's pull request was last closed or reopened, the zero
// time if never. A command that was given before then no longer counts.
func (s *Store) LifecycleAt(ctx context.Context, environmentID string) (time.Time, error) {
	var at *time.Time
	err := s.pool.QueryRow(ctx, `SELECT lifecycle_at FROM environments WHERE id = $1`, environmentID).Scan(&at)
	if err != nil {
		return time.Time{}, fmt.Errorf("lifecycle of environment %s: %w", environmentID, classed(err))
	}
	return timeOrZero(at), nil
}
