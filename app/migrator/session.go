package migrator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	// ConnectTimeout is that of every connection.
	ConnectTimeout = 10 * time.Second
	// terminateTimeout bounds the end of a session from outside, which may need more than the database.
	terminateTimeout = 30 * time.Second
	// MaxAnswer bounds one message of the server, in bytes: hostile SQL makes rows, notices and
	// errors of a gigabyte, each of which would be held in memory as a whole.
	MaxAnswer = 16 << 20
	// growthEvery is how often the size of a database is looked at while it is migrated.
	growthEvery = 200 * time.Millisecond
	// lookTimeout bounds a look: a size that comes late watches nothing.
	lookTimeout = 8 * time.Second
	// blindLooks is after how many looks in a row without an answer the session is ended.
	blindLooks = 10
)

// Harden makes sessions of c resolve nothing but the system's own names, bounds their memory, and makes a cancelled
// context cancel the statement at the server instead of leaving it running there.
func Harden(c *pgx.ConnConfig) {
	c.RuntimeParams["search_path"] = "pg_catalog"
	c.RuntimeParams["application_name"] = "flaresmith"
	c.ConnectTimeout = ConnectTimeout
	c.MaxProtocolMessageBodyLen = MaxAnswer
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 5 * time.Second}
	}
}

// AsRole makes a hardened c resolve names as the role's own sessions do, whatever the role set for itself.
func AsRole(c *pgx.ConnConfig) {
	c.RuntimeParams["search_path"] = `"$user", public`
	c.RuntimeParams["client_encoding"] = "UTF8"
}

// Session is a login whose time is limited from outside: SQL that runs in it can neither prolong nor catch the end.
type Session struct {
	*pgx.Conn
	limit    time.Duration
	kill     func(ctx context.Context, pid uint32) error
	log      *slog.Logger
	pid      uint32
	watchdog *time.Timer
	ended    atomic.Pointer[error] // what the first watchdog ended it for: the end may take longer than the time that is left
	overgrew atomic.Bool
}

// The ends of a session by a watchdog.
var (
	errTimeLimit = errors.New("time limit exceeded")
	errGrowth    = errors.New("database grows too much")
	errBlind     = preview.Transient(errors.New("the database's size can't be read"))
	errFull      = errors.New("database is too large to be migrated")
)

// Watch makes a Session of conn, which has limit from now on. kill ends the session with that process id at the server, in a
// way that no SQL of its own can catch; it must be safe to call when there is none any more.
func Watch(ctx context.Context, conn *pgx.Conn, limit time.Duration, kill func(ctx context.Context, pid uint32) error, log *slog.Logger) *Session {
	s := &Session{Conn: conn, limit: limit, kill: kill, log: log, pid: conn.PgConn().PID()}
	s.watchTime(ctx)
	return s
}

// watchTime ends the session when its time is up.
func (s *Session) watchTime(ctx context.Context) {
	s.watchdog = time.AfterFunc(s.limit, func() {
		s.ended.CompareAndSwap(nil, &errTimeLimit)
		s.terminate(ctx)
	})
}

// terminate ends the session at the server, even when ctx is over.
func (s *Session) terminate(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), terminateTimeout)
	defer cancel()
	if err := s.kill(ctx, s.pid); err != nil {
		s.log.WarnContext(ctx, "end session", "role", s.Config().User, "err", err)
	}
}

// End closes the session; after a failure it makes sure that nothing of it runs on at the server.
func (s *Session) End(ctx context.Context, failed bool) {
	s.watchdog.Stop()
	if failed {
		s.terminate(ctx)
	}
	Close(ctx, s.Conn)
}

// Overgrew reports whether the session was ended because its database grew too much.
func (s *Session) Overgrew() bool { return s.overgrew.Load() }

// Cause replaces err if a watchdog is behind it.
func (s *Session) Cause(err error) error {
	if ended := s.ended.Load(); err != nil && ended != nil {
		return *ended
	}
	return err
}

// Growth bounds how large a database becomes while it is migrated.
type Growth struct {
	// Size is how many bytes the database has, asked outside the session.
	Size func(ctx context.Context) (int64, error)
	// Base is how many bytes count as none: a preview's parent's, so that push after push adds up to no more than one.
	// Nil: what the database has before the run, as with a core environment, which grows by its use.
	Base func(ctx context.Context) (int64, error)
	// LimitMB is how much it may have beyond its base, unless twice the base is more: rewriting tables needs
	// as much as they have, until the end.
	LimitMB int
}

// most is how many bytes the database may have; errFull if it has more already.
func (g Growth) most(ctx context.Context) (int64, error) {
	before, err := look(ctx, g.Size)
	if err != nil {
		return 0, fmt.Errorf("size of the database: %w", err)
	}
	base := before
	if g.Base != nil {
		if base, err = look(ctx, g.Base); err != nil {
			return 0, fmt.Errorf("size of the parent: %w", err)
		}
	}
	most := base + Room(base, g.LimitMB)
	if before > most {
		return 0, errFull
	}
	return most, nil
}

// look asks for a size, and not for long.
func look(ctx context.Context, size func(context.Context) (int64, error)) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return size(ctx)
}

// Room is how many bytes a database may have beyond its base of that size.
func Room(base int64, limitMB int) int64 { return max(int64(limitMB)<<20, 2*base) }

// watchGrowth ends the session when its database becomes too large. Call stop to end the watch. Where a size can't be read
// nothing is watched, and nothing must be run; one that is too large already is errFull.
func (s *Session) watchGrowth(ctx context.Context, g Growth) (stop func(), err error) {
	most, err := g.most(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for missed := 0; pause(ctx, growthEvery) == nil; {
			now, err := look(ctx, g.Size)
			if err == nil {
				missed = 0
			} else {
				missed++
			}
			switch {
			case err == nil && now > most:
				s.ended.CompareAndSwap(nil, &errGrowth)
				s.overgrew.Store(true)
				s.terminate(ctx)
				return
			case err != nil && ctx.Err() == nil && (!Passing(err) || missed == blindLooks): // SQL of the same role may be behind it
				s.log.WarnContext(ctx, "a session whose database's size can't be read is ended", "pid", s.pid, "err", err)
				s.ended.CompareAndSwap(nil, &errBlind)
				s.terminate(ctx)
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}, nil
}

// Close ends a session in an orderly way even if ctx is over.
func Close(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // nothing is left to lose
}

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
