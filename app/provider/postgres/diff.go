package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stripe/pg-schema-diff/pkg/diff"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	diffTimeout = 30 * time.Second
	maxDiff     = 20_000 // bytes
	diffCut     = "-- … truncated\n"
)

// schemaDiff is the SQL that leads from the parent's schema to the branch's. The parent is read by the
// administrator, the branch by its role.
func (s *Server) schemaDiff(ctx context.Context, r preview.Resource) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, diffTimeout)
	defer cancel()
	leave, err := s.parents.read(ctx, r.Parent)
	if err != nil {
		return "", err
	}
	defer leave()
	parent := openDB(s.adminConfig(r.Parent))
	defer func() { _ = parent.Close() }() // read only
	branch := openDB(s.roleConfig(r.Name, s.recall(r.Name).password))
	defer func() { _ = branch.Close() }() // read only
	plan, err := diff.Generate(ctx, diff.DBSchemaSource(parent), diff.DBSchemaSource(branch),
		diff.WithDoNotValidatePlan(), diff.WithNoConcurrentIndexOps(), diff.WithLogger(diffLog{s.log}),
		diff.WithExcludeSchemas(bookSchemas()...))
	if err != nil {
		return "", fmt.Errorf("schema difference: %w", err)
	}
	var text strings.Builder
	for _, st := range plan.Statements {
		text.WriteString(strings.TrimRight(strings.TrimSpace(st.DDL), ";") + ";\n")
	}
	return truncate(text.String(), maxDiff), nil
}

func bookSchemas() []string {
	var names []string
	for _, b := range books() {
		names = append(names, b.schema)
	}
	return names
}

// openDB opens a few sessions that end with the returned DB.
func openDB(config *pgx.ConnConfig) *sql.DB {
	config.RuntimeParams["default_transaction_read_only"] = "on"
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(2)
	return db
}

// truncate cuts text to at most limit bytes, at the end of a line, and says so.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	text = text[:limit-len(diffCut)]
	return text[:strings.LastIndexByte(text, '\n')+1] + diffCut
}

// diffLog is the library's logger.
type diffLog struct{ log *slog.Logger }

// Errorf implements the library's interface.
func (d diffLog) Errorf(format string, args ...any) { d.Warnf(format, args...) }

// Warnf implements the library's interface.
func (d diffLog) Warnf(format string, args ...any) {
	d.log.Debug("schema difference", "note", fmt.Sprintf(format, args...))
}
