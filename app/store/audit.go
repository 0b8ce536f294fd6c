package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Audit appends one line to the audit table.
func (s *Store) Audit(ctx context.Context, e preview.AuditEntry) error { return audit(ctx, s.pool, e) }

// AuditTx is Audit inside the caller's transaction.
func (s *Store) AuditTx(ctx context.Context, tx pgx.Tx, e preview.AuditEntry) error {
	return audit(ctx, tx, e)
}

func audit(ctx context.Context, q querier, e preview.AuditEntry) error {
	origin := "user"
	if e.Actor == "" {
		origin = "system"
	}
	var project *string
	if e.ProjectID != "" {
		project = &e.ProjectID
	}
	detail := e.Detail
	if detail == nil {
		detail = map[string]string{}
	}
	_, err := q.Exec(ctx, `
		INSERT INTO audit (project_id, actor, actor_id, origin, operation, subject, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`, project, e.Actor, e.ActorID, origin, e.Operation, e.Subject, detail)
	if err != nil {
		return fmt.Errorf("audit %s of %s: %w", e.Operation, e.Subject, classed(err))
	}
	return nil
}
