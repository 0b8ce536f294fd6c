package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// unfinished is the name under which a copy is made. It does not match preview.NamePattern, so
// that nothing else of ours has it, and fits into the server's 63 bytes.
func unfinished(name string) string { return name + "_new" }

// recreate makes the branch's database from its parent, beside the old one if there is one, and
// swaps it in as the last step, with n as its note. Before that, prepare (if any) works in the copy
// as the role; its failure leaves the old database as it was. The role exists.
func (s *Server) recreate(ctx context.Context, r preview.Resource, n note, prepare func(ctx context.Context, draft string) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.config.CopyTimeout)
	defer cancel()
	if r.Parent == "" || r.Parent == r.Name {
		return fmt.Errorf("parent %q can't be branched from", r.Parent)
	}
	draft := unfinished(r.Name)
	if err := s.dropDatabase(ctx, draft); err != nil {
		return err
	}
	started := time.Now()
	way, err := s.copyParent(ctx, r.Parent, draft)
	if err != nil {
		return fmt.Errorf("copy of %s: %w", r.Parent, err)
	}
	if err := s.handOver(ctx, draft, r.Name, n.Emptied); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if n.Emptied {
		if err := s.empty(ctx, r, draft); err != nil {
			return fmt.Errorf("empty: %w", err)
		}
	}
	if prepare != nil {
		if err := prepare(ctx, draft); err != nil {
			return errors.Join(err, s.discardDraft(ctx, draft))
		}
	}
	if err := s.describe(ctx, "DATABASE", draft, n); err != nil {
		return err
	}
	if err := s.swapIn(ctx, draft, r.Name); err != nil {
		return err
	}
	s.remember(r.Name, func(m *memory) { m.schema = nil })
	s.log.InfoContext(ctx, "database branched", "database", r.Name, "parent", r.Parent, "way", way, "duration", time.Since(started))
	return nil
}

// discardDraft frees the space of a copy that is no use.
func (s *Server) discardDraft(ctx context.Context, draft string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goneTimeout)
	defer cancel()
	return s.dropDatabase(ctx, draft)
}

// swapIn drops the old database, ending its sessions, and gives its name to the new one. It goes on when ctx ends.
func (s *Server) swapIn(ctx context.Context, draft, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goneTimeout)
	defer cancel()
	if err := s.waitEmpty(ctx, draft); err != nil {
		return err
	}
	if err := s.dropDatabase(ctx, name); err != nil {
		return err
	}
	if _, err := s.admin.Exec(ctx, `ALTER DATABASE `+quote(draft)+` RENAME TO `+quote(name)); err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return nil
}

// copyParent makes the database draft, closed to everybody, and says how.
func (s *Server) copyParent(ctx context.Context, parent, draft string) (way string, err error) {
	leave, err := s.parents.copy(ctx, parent)
	if err != nil {
		return "", err
	}
	defer leave()
	busy, err := s.busySoon(ctx, parent)
	if err != nil {
		return "", err
	}
	if !busy {
		err := s.copyTemplate(ctx, parent, draft)
		if err == nil || migrator.Code(err) != codeObjectInUse {
			return "template", err
		}
	}
	// pg_restore runs a parent's functions (in indexes, say) as the administrator, so that it takes
	// parents of the operator alone, not environments that were migrated by what a contributor pushed.
	if s.dump != nil && !preview.NamePattern.MatchString(parent) {
		err := s.copyDump(ctx, parent, draft)
		if err == nil || ctx.Err() != nil {
			return "dump", err
		}
		// Newer tools set parameters that an older server does not know, for one.
		s.log.WarnContext(ctx, "copy by pg_dump failed", "parent", parent, "err", err)
		if err := s.dropDatabase(ctx, draft); err != nil {
			return "", err
		}
	}
	return "fence", s.copyFenced(ctx, parent, draft)
}

// busySoon asks a few times: a session that we ourselves closed needs a moment to be gone.
func (s *Server) busySoon(ctx context.Context, parent string) (busy bool, err error) {
	for range 4 {
		if busy, err = s.busy(ctx, parent); err != nil || !busy {
			return busy, err
		}
		if err := pause(ctx, 15*time.Millisecond); err != nil {
			return false, err
		}
	}
	return true, nil
}

// busy reports whether TEMPLATE would be refused. Asking first saves the five seconds for which the server
// itself waits for sessions to go.
func (s *Server) busy(ctx context.Context, parent string) (bool, error) {
	var exists, busy bool
	err := s.admin.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1),
			EXISTS (SELECT FROM pg_stat_activity WHERE datname = $1 AND backend_type NOT LIKE 'autovacuum%') OR
			EXISTS (SELECT FROM pg_prepared_xacts WHERE database = $1)`, parent).Scan(&exists, &busy)
	if err != nil {
		return false, fmt.Errorf("sessions of %s: %w", parent, err)
	}
	if !exists {
		return false, errors.New("no such database")
	}
	return busy, nil
}

// bigParent is the size in bytes from which STRATEGY file_copy is worth its two checkpoints; doc.go has figures.
const bigParent = 256 << 20

// copyTemplate lets the server copy the files.
func (s *Server) copyTemplate(ctx context.Context, parent, draft string) error {
	size, err := s.size(ctx, parent)
	if err != nil {
		return fmt.Errorf("size of %s: %w", parent, err)
	}
	strategy := "wal_log"
	if size >= bigParent {
		strategy = "file_copy"
	}
	_, err = s.admin.Exec(ctx, `CREATE DATABASE `+quote(draft)+` TEMPLATE `+quote(parent)+` STRATEGY `+strategy+` ALLOW_CONNECTIONS false`)
	if err != nil {
		return fmt.Errorf("from template: %w", err)
	}
	return nil
}

// copyFenced copies a parent that has sessions. From its start CREATE DATABASE holds a lock that
// makes new sessions of the parent wait; the idle ones are ended, and those that are in the middle of something
// get the five seconds that the server gives them. The lock ends with the statement, whatever happens.
func (s *Server) copyFenced(ctx context.Context, parent, draft string) error {
	if parent == s.admin.Config().ConnConfig.Database {
		return errors.New("the administrator's own database can't be fenced: install pg_dump or use another admin database")
	}
	watch, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.endIdle(watch, parent)
	}()
	err := s.copyTemplate(ctx, parent, draft)
	stop()
	<-ended
	return err
}

// endIdle ends the idle sessions of a database again and again until ctx ends.
func (s *Server) endIdle(ctx context.Context, database string) {
	for pause(ctx, 20*time.Millisecond) == nil {
		_, err := s.admin.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND state = 'idle'`, database)
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "end idle sessions", "database", database, "err", err)
		}
	}
}

// dropDatabase drops one of ours and ends its sessions; a missing one is fine.
func (s *Server) dropDatabase(ctx context.Context, name string) error {
	if err := s.rollBackPrepared(ctx, name); err != nil {
		return err
	}
	if _, err := s.admin.Exec(ctx, `DROP DATABASE IF EXISTS `+quote(name)+` WITH (FORCE)`); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// rollBackPrepared ends prepared transactions, which even FORCE does not.
func (s *Server) rollBackPrepared(ctx context.Context, name string) error {
	rows, err := s.admin.Query(ctx, `SELECT gid FROM pg_prepared_xacts WHERE database = $1`, name)
	if err != nil {
		return fmt.Errorf("prepared transactions of %s: %w", name, err)
	}
	gids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(gids) == 0 {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, s.adminConfig(name))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", name, err)
	}
	defer migrator.Close(ctx, conn)
	for _, gid := range gids {
		literal := "'" + strings.ReplaceAll(gid, "'", "''") + "'"
		if _, err := conn.Exec(ctx, `ROLLBACK PREPARED `+literal); err != nil && migrator.Code(err) != codeUndefinedObject {
			return fmt.Errorf("roll back prepared transaction of %s: %w", name, err)
		}
	}
	return nil
}
