package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Diagnose reads whether branches of the parents, databases by the name that repositories pick, can be made at the server of adminURL. It changes nothing.
func Diagnose(ctx context.Context, adminURL preview.Secret, parents map[string]string) []preview.Finding {
	const what = "Branch server"
	ctx, cancel := context.WithTimeout(ctx, migrator.ConnectTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, adminURL.Reveal())
	if err != nil {
		return []preview.Finding{preview.Amiss(what, migrator.Unreachable(err).Error(), "check FLARESMITH_BRANCH_DATABASE_URL, or DATABASE_URL in its place, and that the server there is up")}
	}
	defer migrator.Close(ctx, conn)
	var version int
	var super bool
	if err := conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, rolsuper FROM pg_roles WHERE rolname = current_user`).Scan(&version, &super); err != nil {
		return []preview.Finding{preview.Amiss(what, err.Error(), "try again")}
	}
	switch {
	case version < minVersion:
		return []preview.Finding{preview.Amiss(what, fmt.Sprintf("is version %d", version/10000), "use PostgreSQL 15 or newer")}
	case !super:
		return []preview.Finding{preview.Amiss(what, "the user is no superuser", "give a superuser's URL in FLARESMITH_BRANCH_DATABASE_URL")}
	}
	findings := []preview.Finding{preview.Fine(what, fmt.Sprintf("is PostgreSQL %d", version/10000))}
	for _, name := range slices.Sorted(maps.Keys(parents)) {
		findings = append(findings, diagnoseParent(ctx, conn, name, parents[name]))
	}
	return findings
}

func diagnoseParent(ctx context.Context, conn *pgx.Conn, name, database string) preview.Finding {
	what := fmt.Sprintf("Parent %s", name)
	var size string
	err := conn.QueryRow(ctx, `SELECT pg_size_pretty(pg_database_size(datname)) FROM pg_database WHERE datname = $1 AND NOT datistemplate`, database).Scan(&size)
	if err != nil {
		return preview.Amiss(what, fmt.Sprintf("there is no database %q", database), "create it, or correct FLARESMITH_PARENTS")
	}
	return preview.Fine(what, fmt.Sprintf("is the database %s of %s", database, size))
}
