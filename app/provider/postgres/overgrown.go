package postgres

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// workerShare is how many times what its migrations may add a preview's database may have beyond its parent's size
// until it is closed: what they leave behind when they are ended must not close it.
const workerShare = 2

// CloseOvergrown looks at the size of every preview's database, and closes those that have grown too large by what
// their Workers write: the role may connect no more and its sessions end, which it can't undo. Only a reset opens it
// again, by a fresh copy of the parent; Apply says so. It gives the marks of those closed just now, also with an error.
//
// It touches nothing but databases whose note says that they are a preview's: no core environment, and no parent. It
// may run beside everything else; what it misses because of that, the next look sees.
func (b *Branches) CloseOvergrown(ctx context.Context) (closed []preview.Mark, err error) {
	s := b.server
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	previews, err := s.previews(ctx)
	if err != nil {
		return nil, fmt.Errorf("sizes of previews: %w", migrator.Classify(err))
	}
	limits := map[string]int64{} // by parent
	for name, n := range previews {
		done, err := s.closeOvergrown(ctx, name, n, limits)
		switch {
		case migrator.Code(err) == codeUndefinedDatabase: // it went meanwhile, or its parent did: then there is nothing to reset it to
		case err != nil:
			return closed, fmt.Errorf("size of %s: %w", name, migrator.Classify(err))
		case done:
			closed = append(closed, n.Mark)
		}
	}
	return closed, nil
}

// previews are the finished databases of previews, by name.
func (s *Server) previews(ctx context.Context) (map[string]note, error) {
	rows, err := s.admin.Query(ctx, `
		SELECT datname, shobj_description(d.oid, 'pg_database') FROM pg_database d
		JOIN pg_roles ON rolname = datname WHERE shobj_description(d.oid, 'pg_database') IS NOT NULL`)
	if err != nil {
		return nil, err
	}
	previews := map[string]note{}
	var name, comment string
	_, err = pgx.ForEachRow(rows, []any{&name, &comment}, func() error {
		if n, ours := parseNote(comment); ours && n.Preview && n.Digest != "" && preview.NamePattern.MatchString(name) {
			previews[name] = n
		}
		return nil
	})
	return previews, err
}

// closeOvergrown closes one database if it is too large, and reports whether it was open.
func (s *Server) closeOvergrown(ctx context.Context, name string, n note, limits map[string]int64) (closed bool, err error) {
	if n.Closed { // a login that was under way when it was closed
		return false, s.endSessions(ctx, name)
	}
	most, known := limits[n.Parent]
	if !known {
		base, err := s.size(ctx, n.Parent)
		if err != nil {
			return false, err
		}
		most = base + workerShare*migrator.Room(base, s.config.Limits.GrowthMB)
		limits[n.Parent] = most
	}
	size, err := s.size(ctx, name)
	if err != nil || size <= most {
		return false, err
	}
	// The note is last: without it, all of this is done again.
	if _, err := s.admin.Exec(ctx, `REVOKE CONNECT ON DATABASE `+quote(name)+` FROM `+quote(name)); err != nil {
		return false, err
	}
	if err := s.endSessions(ctx, name); err != nil {
		return false, err
	}
	l, err := s.look(ctx, name)
	if err != nil || !l.owned(n.Mark) {
		return false, err
	}
	l.databaseNote.Closed = true
	if err := s.describe(ctx, "DATABASE", name, l.databaseNote); err != nil {
		return false, err
	}
	s.log.WarnContext(ctx, "preview's database has grown too large and is closed", slog.String("database", name),
		slog.Int64("size", size), slog.Int64("most", most))
	return true, nil
}

// endSessions ends those of a branch's role in its database.
func (s *Server) endSessions(ctx context.Context, name string) error {
	_, err := s.admin.Exec(ctx, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1 AND usename = $1`, name)
	return err
}

// errClosed is what a closed branch's user must do.
func errClosed() error {
	return preview.Invalid("the preview's database is closed", preview.Problem{
		Message: "the preview's database has grown too large, and its Worker can't reach it any more",
		Hint:    "comment /flaresmith reset-db to give it a fresh copy of the parent, and let the Worker write less",
	})
}
