package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// login opens a session of r's role in database, which is the branch or its unfinished copy. The administrator ends it.
func (s *Server) login(ctx context.Context, r preview.Resource, database string) (*migrator.Session, error) {
	password := s.recall(r.Name).password
	if password == "" {
		return nil, preview.Transient(errors.New("password is not known yet: the database has to be applied first"))
	}
	config := s.roleConfig(database, password)
	config.User = r.Name
	migrator.AsRole(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		if err := s.reopen(ctx, r, password, err); err != nil {
			return nil, fmt.Errorf("log in as %s: %w", r.Name, err)
		}
		if conn, err = pgx.ConnectConfig(ctx, config); err != nil {
			return nil, fmt.Errorf("log in as %s: %w", r.Name, err)
		}
	}
	kill := func(ctx context.Context, pid uint32) error { return s.terminate(ctx, r.Name, pid) }
	return migrator.Watch(ctx, conn, s.config.MigrationTimeout, kill, s.log), nil
}

// reopen repairs what the role can break for itself: its password, or all its sessions being taken.
func (s *Server) reopen(ctx context.Context, r preview.Resource, password preview.Secret, failed error) error {
	switch migrator.Code(failed) {
	case codeInvalidPassword:
		return s.writeRole(ctx, r, password, false)
	case codeTooManyConnections:
		_, err := s.admin.Exec(ctx, `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = $1`, r.Name)
		return err
	}
	return failed
}

// terminate ends a session of role, which no SQL can catch.
func (s *Server) terminate(ctx context.Context, role string, pid uint32) error {
	_, err := s.admin.Exec(ctx, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = $1 AND usename = $2`, int64(pid), role)
	return err
}

// growth bounds what migrations add to a database: every branch, and what else is on the server, has the same disk.
func (s *Server) growth(r preview.Resource, database string) migrator.Growth {
	sizeOf := func(name string) func(context.Context) (int64, error) {
		return func(ctx context.Context) (int64, error) { return s.size(ctx, name) }
	}
	g := migrator.Growth{Size: sizeOf(database), LimitMB: s.config.Limits.GrowthMB}
	if !r.Keep {
		g.Base = sizeOf(r.Parent)
	}
	return g
}

func (s *Server) size(ctx context.Context, database string) (bytes int64, err error) {
	if err = s.admin.QueryRow(ctx, `SELECT pg_database_size($1::name)`, database).Scan(&bytes); err != nil {
		return 0, fmt.Errorf("size of %s: %w", database, err)
	}
	return bytes, nil
}

// reclaim gives the space of rows that were never committed back to the disk, as the role: it is in
// the tables that were there before.
func (s *Server) reclaim(ctx context.Context, r preview.Resource, database string) {
	l, err := s.login(ctx, r, database)
	if err == nil {
		_, err = l.Exec(ctx, `VACUUM`)
		l.End(ctx, err != nil)
	}
	if err != nil {
		s.log.WarnContext(ctx, "reclaim space", "database", database, "err", err)
	}
}
