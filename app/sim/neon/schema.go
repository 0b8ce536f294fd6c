package neon

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// compareSchema tells a branch's schema from its base's: a line for each column and index, marked as a diff marks
// them. Neon's own compares two dumps.
func (s *Server) compareSchema(r *http.Request) (int, object, error) {
	q := r.URL.Query()
	s.mu.Lock()
	b, err := s.branchOf(r)
	base := s.project.branches[q.Get("base_branch_id")]
	if base == nil && b != nil {
		base = s.project.branches[b.parent]
	}
	name := q.Get("db_name")
	var clusters [2]clusterOf
	switch {
	case err != nil:
	case base == nil || base.cluster == nil || b.cluster == nil:
		err = fail(http.StatusNotFound, "", "base branch not found")
	case b.databases[name] == "":
		err = fail(http.StatusNotFound, "", "database not found")
	default:
		clusters = [2]clusterOf{base.cluster, b.cluster}
	}
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	from, err := describe(r.Context(), clusters[0], name)
	if err != nil {
		return 0, nil, err
	}
	to, err := describe(r.Context(), clusters[1], name)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"diff": difference(from, to)}, nil
}

// getSchema is one branch's schema in the same lines.
func (s *Server) getSchema(r *http.Request) (int, object, error) {
	s.mu.Lock()
	name := r.URL.Query().Get("db_name")
	b, err := s.branchOf(r)
	var cluster clusterOf
	switch {
	case err != nil:
	case b.cluster == nil || b.databases[name] == "":
		err = fail(http.StatusNotFound, "", "database not found")
	default:
		cluster = b.cluster
	}
	s.mu.Unlock()
	if err != nil {
		return 0, nil, err
	}
	lines, err := describe(r.Context(), cluster, name)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"sql": strings.Join(lines, "\n") + "\n"}, nil
}

const schemaLines = `
	SELECT format('%I.%I', table_schema, table_name), format('%I %s%s%s', column_name, data_type,
		CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END, coalesce(' DEFAULT ' || column_default, ''))
	FROM information_schema.columns WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
	UNION ALL
	SELECT format('%I.%I', schemaname, tablename), indexdef FROM pg_indexes WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
	ORDER BY 1, 2`

func describe(ctx context.Context, cluster clusterOf, database string) ([]string, error) {
	address, err := url.Parse(cluster.URL().Reveal())
	if err != nil {
		return nil, fmt.Errorf("address of a cluster can't be parsed")
	}
	address.Path = "/" + database
	conn, err := pgx.Connect(ctx, address.String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, schemaLines)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var table, line string
		err := row.Scan(&table, &line)
		return table + " " + line, err
	})
}

func difference(from, to []string) string {
	var b strings.Builder
	for _, line := range from {
		if !slices.Contains(to, line) {
			fmt.Fprintf(&b, "-%s\n", line)
		}
	}
	for _, line := range to {
		if !slices.Contains(from, line) {
			fmt.Fprintf(&b, "+%s\n", line)
		}
	}
	return b.String()
}
