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
}

// errTimeLimit is the end of a session by its watchdog.
var errTimeLimit = errors.New("time limit exceeded")

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

// cause replaces err by errTimeLimit if the watchdog is behind it.
func (l *session) cause(err error) error {
	if err != nil && l.timedOut.Load() {
		return errTimeLimit
	}
	return err
}
