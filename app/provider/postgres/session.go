package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// session is a login of a branch's role whose time is limited from outside: SQL that runs in it can
// neither prolong nor catch the end.
type session struct {
	*pgx.Conn
	server   *Server
	pid      uint32
	role     string
	watchdog *time.Timer
	timedOut atomic.Bool
	overgrew atomic.Bool
}

// The ends of a session by a watchdog.
var (
	errTimeLimit = errors.New("time limit exceeded")
	errGrowth    = errors.New("database grows too much")
	errFull      = errors.New("database is too large to be migrated")
)

// growthEvery is how often the size of a database is looked at while it is migrated.
const growthEvery = 200 * time.Millisecond

// login opens a session of r's role in database, which is the branch or its unfinished copy.
func (s *Server) login(ctx context.Context, r preview.Resource, database string) (*session, error) {
	password := s.recall(r.Name).password
	if password == "" {
		return nil, preview.Transient(errors.New("password is not known yet: the database has to be applied first"))
	}
	config := s.roleConfig(database, password)
	config.User = r.Name
	config.RuntimeParams["search_path"] = `"$user", public` // whatever the role set for itself
	config.RuntimeParams["client_encoding"] = "UTF8"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		if err := s.reopen(ctx, r, password, err); err != nil {
			return nil, fmt.Errorf("log in as %s: %w", r.Name, err)
		}
		if conn, err = pgx.ConnectConfig(ctx, config); err != nil {
			return nil, fmt.Errorf("log in as %s: %w", r.Name, err)
		}
	}
	l := &session{Conn: conn, server: s, pid: conn.PgConn().PID(), role: r.Name}
	l.watchdog = time.AfterFunc(s.config.MigrationTimeout, func() {
		l.timedOut.Store(true)
		l.terminate(ctx)
	})
	return l, nil
}

// reopen repairs what the role can break for itself: its password, or all its sessions being taken.
func (s *Server) reopen(ctx context.Context, r preview.Resource, password preview.Secret, failed error) error {
	switch code(failed) {
	case codeInvalidPassword:
		return s.writeRole(ctx, r, password, false)
	case codeTooManyConnections:
		_, err := s.admin.Exec(ctx, `SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE usename = $1`, r.Name)
		return err
	}
	return failed
}

// terminate ends the session at the server, which no SQL can catch, even when ctx is over.
func (l *session) terminate(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	_, err := l.server.admin.Exec(ctx, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = $1 AND usename = $2`, int64(l.pid), l.role)
	if err != nil {
		l.server.log.WarnContext(ctx, "end session", "role", l.role, "err", err)
	}
}

// end closes the session; after a failure it makes sure that nothing of it runs on at the server.
func (l *session) end(ctx context.Context, failed bool) {
	l.watchdog.Stop()
	if failed {
		l.terminate(ctx)
	}
	closeConn(ctx, l.Conn)
}

// cause replaces err if a watchdog is behind it.
func (l *session) cause(err error) error {
	switch {
	case err != nil && l.timedOut.Load():
		return errTimeLimit
	case err != nil && l.overgrew.Load():
		return errGrowth
	}
	return err
}

// watchGrowth ends the session when its database becomes too large: every branch, and what else is on the
// server, has the same disk. Call stop to end the watch. Where a size can't be read nothing is watched, and
// nothing must be run; one that is too large already is errFull.
func (l *session) watchGrowth(ctx context.Context, r preview.Resource, database string) (stop func(), err error) {
	before, err := l.server.size(ctx, database)
	if err != nil {
		return nil, fmt.Errorf("size of %s: %w", database, err)
	}
	base := before
	if !r.Keep {
		if base, err = l.server.size(ctx, r.Parent); err != nil {
			return nil, fmt.Errorf("size of parent %s: %w", r.Parent, err)
		}
	}
	most := base + l.server.growth(base)
	if before > most {
		return nil, errFull
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for pause(ctx, growthEvery) == nil {
			now, err := l.server.size(ctx, database)
			switch {
			case err == nil && now > most:
				l.overgrew.Store(true)
				l.terminate(ctx)
				return
			case err != nil && !passing(err):
				l.server.log.WarnContext(ctx, "watch size", "database", database, "err", err)
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}, nil
}

func (s *Server) size(ctx context.Context, database string) (bytes int64, err error) {
	err = s.admin.QueryRow(ctx, `SELECT pg_database_size($1::name)`, database).Scan(&bytes)
	return bytes, err
}

// growth is how many bytes a database may have beyond its base: rewriting its tables needs as much as they have,
// until the end. A preview's base is its parent, so that push after push adds up to no more; a core environment's,
// which grows by its use, is what it has before each run.
func (s *Server) growth(size int64) int64 {
	return max(int64(s.config.Limits.GrowthMB)<<20, 2*size)
}

// reclaim gives the space of rows that were never committed back to the disk, as the role: it is in
// the tables that were there before.
func (s *Server) reclaim(ctx context.Context, r preview.Resource, database string) {
	l, err := s.login(ctx, r, database)
	if err == nil {
		_, err = l.Exec(ctx, `VACUUM`)
		l.end(ctx, err != nil)
	}
	if err != nil {
		s.log.WarnContext(ctx, "reclaim space", "database", database, "err", err)
	}
}
