package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// ShownEnvironments returns the environments of a project that a person wants to see: each one
// that is not archived, core ones first and then the newest pull request, and after them the
// archived ones that changed last, at most that many.
func (s *Store) ShownEnvironments(ctx context.Context, projectID string, archived int) ([]preview.Environment, error) {
	rows, err := s.pool.Query(ctx, `
		(SELECT `+environmentColumns+` FROM environments WHERE project_id = $1 AND state <> 'archived'
		 ORDER BY array_position('{prod,staging,dev,preview}', kind), pr DESC)
		UNION ALL
		(SELECT `+environmentColumns+` FROM environments WHERE project_id = $1 AND state = 'archived'
		 ORDER BY updated_at DESC, pr DESC LIMIT $2)`, projectID, archived)
	if err != nil {
		return nil, fmt.Errorf("environments of project %s: %w", projectID, classed(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (preview.Environment, error) { return scanEnvironment(row) })
	if err != nil {
		return nil, fmt.Errorf("environments of project %s: %w", projectID, classed(err))
	}
	return list, nil
}

// LastPasses lists the newest passes of each environment, newest first, at most each of one.
func (s *Store) LastPasses(ctx context.Context, environmentIDs []string, each int) (map[string][]preview.PassRecord, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT p.environment_id, p.generation, p.sha, p.outcome, p.steps, p.started_at, p.duration_ms * interval '1 millisecond'
		FROM unnest($1::uuid[]) AS e (id), LATERAL (
			SELECT * FROM passes WHERE environment_id = e.id ORDER BY id DESC LIMIT $2) p
		ORDER BY p.environment_id, p.id DESC`, environmentIDs, each)
	if err != nil {
		return nil, fmt.Errorf("last passes: %w", classed(err))
	}
	passes := map[string][]preview.PassRecord{}
	var p preview.PassRecord
	var steps []byte
	_, err = pgx.ForEachRow(rows, []any{&p.EnvironmentID, &p.Generation, &p.SHA, &p.Outcome, &steps, &p.StartedAt, &p.Duration}, func() error {
		p.Steps = nil
		if err := json.Unmarshal(steps, &p.Steps); err != nil {
			return err
		}
		passes[p.EnvironmentID] = append(passes[p.EnvironmentID], p)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("last passes: %w", classed(err))
	}
	return passes, nil
}

// OutputsOf merges what the finished resources of each environment offer. No secret is among it.
func (s *Store) OutputsOf(ctx context.Context, environmentIDs []string) (map[string]preview.Outputs, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT environment_id, kind, worker, outputs FROM resources WHERE environment_id = ANY ($1::uuid[])
		ORDER BY outputs <> '{}', updated_at`, environmentIDs)
	if err != nil {
		return nil, fmt.Errorf("outputs of environments: %w", classed(err))
	}
	parts := map[string]map[preview.Key]preview.Outputs{}
	var id string
	var key preview.Key
	var text []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &key.Kind, &key.Worker, &text}, func() error {
		var one preview.Outputs
		if err := json.Unmarshal(text, &one); err != nil {
			return err
		}
		if parts[id] == nil {
			parts[id] = map[preview.Key]preview.Outputs{}
		}
		parts[id][key] = one // of two places, the one that was finished last
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("outputs of environments: %w", classed(err))
	}
	outputs := make(map[string]preview.Outputs, len(parts))
	for id, one := range parts {
		outputs[id] = preview.Combine(one)
	}
	return outputs, nil
}

// Queue gives the place in the queue, from 1, of each of the project's previews that waits for
// one, by environment id.
func (s *Store) Queue(ctx context.Context, projectID string) (map[string]int, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id, row_number() OVER (ORDER BY queued_at, id)::int FROM environments
		WHERE project_id = $1 AND kind = 'preview' AND admitted_at IS NULL AND queued_at IS NOT NULL`, projectID)
	if err != nil {
		return nil, fmt.Errorf("queue of project %s: %w", projectID, classed(err))
	}
	queue := map[string]int{}
	var id string
	var place int
	if _, err = pgx.ForEachRow(rows, []any{&id, &place}, func() error {
		queue[id] = place
		return nil
	}); err != nil {
		return nil, fmt.Errorf("queue of project %s: %w", projectID, classed(err))
	}
	return queue, nil
}

// ProjectByFullName returns the project of a repository that is in use, or preview.ErrNotFound.
// Where one repository was taken over by a second installation, the newer project is meant.
func (s *Store) ProjectByFullName(ctx context.Context, owner, name string) (preview.Project, error) {
	p, err := scanProject(s.pool.QueryRow(ctx, `
		SELECT `+projectColumns+` FROM projects
		WHERE lower(owner) = lower($1) AND lower(name) = lower($2) ORDER BY archived_at IS NOT NULL, created_at DESC LIMIT 1`, owner, name))
	if err != nil {
		return preview.Project{}, fmt.Errorf("project %s/%s: %w", owner, name, classed(err))
	}
	return p, nil
}
