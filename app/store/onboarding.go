package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/flaresmith/flaresmith/app/preview"
)

// At most slotBurst pull requests are opened in one installation within slotWindow: 30 an hour, at four
// creations each, leave three quarters of what GitHub allows an hour to what previews have to say.
const (
	slotBurst  = 10
	slotWindow = 20 * time.Minute
)

// OnboardArgs asks to look whether a configuration should be proposed to a repository.
type OnboardArgs struct {
	ProjectID string `json:"project_id"`
}

// Kind implements river.JobArgs.
func (OnboardArgs) Kind() string { return "onboard_project" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (OnboardArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueOnboard, MaxAttempts: jobAttempts}
}

// WantOnboarding asks for a look at one repository.
func (s *Store) WantOnboarding(ctx context.Context, projectID string) error {
	return s.Enqueue(ctx, OnboardArgs{ProjectID: projectID})
}

// WantInstallationOnboarding asks for a look at each repository of the installation that neither
// declined a configuration nor merged one.
func (s *Store) WantInstallationOnboarding(ctx context.Context, installationID int64) error {
	err := s.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT p.id FROM projects p LEFT JOIN onboardings o ON o.project_id = p.id
			WHERE p.installation_id = $1 AND p.archived_at IS NULL AND o.declined_at IS NULL AND o.done_at IS NULL
			ORDER BY p.repo_id`, installationID)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(ids) == 0 {
			return err
		}
		args := make([]river.JobArgs, len(ids))
		for i, id := range ids {
			args[i] = OnboardArgs{ProjectID: id}
		}
		_, err = s.insertJobs(ctx, tx, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("want onboarding of installation %d: %w", installationID, err)
	}
	return nil
}

// Onboarding is how far a project's onboarding came; the zero value when it has not begun.
func (s *Store) Onboarding(ctx context.Context, projectID string) (preview.Onboarding, error) {
	var o preview.Onboarding
	err := s.pool.QueryRow(ctx, `
		SELECT commit_sha, pr, declined_at IS NOT NULL, done_at IS NOT NULL, note FROM onboardings WHERE project_id = $1`, projectID,
	).Scan(&o.Commit, &o.PR, &o.Declined, &o.Done, &o.Note)
	if errors.Is(err, pgx.ErrNoRows) {
		return preview.Onboarding{}, nil
	}
	if err != nil {
		return preview.Onboarding{}, fmt.Errorf("onboarding of project %s: %w", projectID, classed(err))
	}
	return o, nil
}

// OnboardingWait is how long a project has to wait that took a moment; 0: it took none, or that has come.
func (s *Store) OnboardingWait(ctx context.Context, projectID string) (wait time.Duration, err error) {
	var seconds float64
	err = s.pool.QueryRow(ctx, `SELECT coalesce(max(extract(epoch FROM slot_at - now())), 0) FROM onboardings WHERE project_id = $1`, projectID).Scan(&seconds)
	if err != nil {
		return 0, fmt.Errorf("onboarding wait of project %s: %w", projectID, classed(err))
	}
	return max(time.Duration(seconds*float64(time.Second)), 0), nil
}

// OnboardingSlot is how long the project has to wait until its pull request may be opened. The first
// call takes the next free moment of the installation; later ones count down to it. One that passed unused, as
// while the server was down, is given up for another: all that passed would else be used at once.
func (s *Store) OnboardingSlot(ctx context.Context, p preview.Project) (wait time.Duration, err error) {
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		// Two projects of one installation must not take the same moment.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock('onboardings'::regclass::oid::int, hashint8($1))`, p.InstallationID); err != nil {
			return err
		}
		var seconds float64
		err := tx.QueryRow(ctx, `
			INSERT INTO onboardings AS o (project_id, slot_at)
			SELECT $1, GREATEST(now(), $3::interval + (
				SELECT slot_at FROM onboardings JOIN projects ON id = project_id
				WHERE installation_id = $2 AND slot_at IS NOT NULL ORDER BY slot_at DESC OFFSET $4 LIMIT 1))
			ON CONFLICT (project_id) DO UPDATE SET slot_at = CASE WHEN o.slot_at > now() - $3::interval THEN o.slot_at ELSE excluded.slot_at END
			RETURNING extract(epoch FROM slot_at - now())`, p.ID, p.InstallationID, slotWindow, slotBurst-1).Scan(&seconds)
		wait = max(time.Duration(seconds*float64(time.Second)), 0)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("onboarding slot of %s: %w", p.FullName(), err)
	}
	return wait, nil
}

// SaveOnboardingCommit keeps the commit that the branch will point at, unless another one was kept
// since before was read, and returns the one that counts.
func (s *Store) SaveOnboardingCommit(ctx context.Context, projectID, before, commit string) (string, error) {
	err := s.pool.QueryRow(ctx, `
		INSERT INTO onboardings AS o (project_id, commit_sha) VALUES ($1, $3)
		ON CONFLICT (project_id) DO UPDATE SET updated_at = now(),
			commit_sha = CASE WHEN o.commit_sha = $2 THEN $3 ELSE o.commit_sha END
		RETURNING commit_sha`, projectID, before, commit).Scan(&commit)
	if err != nil {
		return "", fmt.Errorf("save onboarding commit of project %s: %w", projectID, classed(err))
	}
	return commit, nil
}

// SaveOnboarding writes how an onboarding ended. What is known of the pull request is not forgotten
// again, and the commit is not touched.
func (s *Store) SaveOnboarding(ctx context.Context, projectID string, o preview.Onboarding) error {
	_, err := s.pool.Exec(ctx, `
		INSERT INTO onboardings AS o (project_id, pr, declined_at, done_at, note)
		VALUES ($1, $2, CASE WHEN $3 THEN now() END, CASE WHEN $4 THEN now() END, $5)
		ON CONFLICT (project_id) DO UPDATE SET updated_at = now(), note = excluded.note,
			pr = coalesce(nullif(excluded.pr, 0), o.pr),
			declined_at = coalesce(o.declined_at, excluded.declined_at), done_at = coalesce(o.done_at, excluded.done_at)`,
		projectID, o.PR, o.Declined, o.Done, o.Note)
	if err != nil {
		return fmt.Errorf("save onboarding of project %s: %w", projectID, classed(err))
	}
	return nil
}
