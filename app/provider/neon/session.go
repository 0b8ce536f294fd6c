package neon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Answers to a login that has not the password of today.
const (
	codeInvalidPassword      = "28P01"
	codeInvalidAuthorization = "28000"
)

// sessionConfig is how a session is opened: by the branch's own compute, whose certificate is checked.
func (p *Branches) sessionConfig(uri preview.Secret) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(uri.Reveal())
	if err != nil { // the error quotes parts of the string
		return nil, errors.New("neon's connection string can't be parsed")
	}
	migrator.Harden(config)
	config.TLSConfig = &tls.Config{ServerName: config.Host, RootCAs: p.roots, MinVersion: tls.VersionTLS12}
	config.Fallbacks = nil
	if p.dial != nil {
		config.DialFunc = p.dial
		config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
	return config, nil
}

// connect opens a session of the database's owner in a branch. change is of its settings.
func (p *Branches) connect(ctx context.Context, id string, change func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	conn, err := p.login(ctx, id, change)
	for look := 0; look < 3 && wrongPassword(err); look++ { // a compute learns a new one a moment after Neon's API answered
		if pause(ctx, p.look) != nil {
			return nil, err
		}
		conn, err = p.login(ctx, id, change)
	}
	if wrongPassword(err) {
		p.forgetURL(id) // somebody gave the role another password
		conn, err = p.login(ctx, id, change)
	}
	return conn, err
}

func wrongPassword(err error) bool {
	code := migrator.Code(err)
	return code == codeInvalidPassword || code == codeInvalidAuthorization
}

func (p *Branches) login(ctx context.Context, id string, change func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	uri, err := p.direct(ctx, id)
	if err != nil {
		return nil, err
	}
	return p.loginWith(ctx, uri, change)
}

func (p *Branches) loginWith(ctx context.Context, uri preview.Secret, change func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	config, err := p.sessionConfig(uri)
	if err != nil {
		return nil, err
	}
	change(config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("log in to the branch: %w", migrator.Classify(err))
	}
	return conn, nil
}

// guard watches a session of a branch from outside and ends it: by other sessions of the same role, which the hostile SQL
// could end in turn, and if that does not help by suspending the compute over Neon's API, which no SQL reaches. A long-lived
// environment's compute is not suspended: others use it, and what it is migrated with was merged.
type guard struct {
	branches *Branches
	id       string // of the branch
	core     bool
	pool     *pgxpool.Pool
}

// guardTimeout bounds what a guard's session is told, so that the compute is suspended soon if it does not answer.
const guardTimeout = 8 * time.Second

// newGuard makes a guard of a session's branch; it connects when it has something to do.
func (p *Branches) newGuard(ctx context.Context, id string, core bool, session *pgx.ConnConfig) (*guard, error) {
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("guard of the session: %w", err)
	}
	config.ConnConfig = session.Copy()
	config.ConnConfig.RuntimeParams["search_path"] = "pg_catalog"
	config.MaxConns, config.MinConns = 2, 0
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, errors.New("guard of the session can't be made")
	}
	return &guard{branches: p, id: id, core: core, pool: pool}, nil
}

// kill ends the session with that process id.
func (g *guard) kill(ctx context.Context, pid uint32) error {
	if g.terminate(ctx, pid) {
		return nil
	}
	for g.core {
		if err := pause(ctx, g.branches.look); err != nil {
			return err
		}
		if g.terminate(ctx, pid) {
			return nil
		}
	}
	for {
		compute, err := g.branches.api.compute(ctx, g.id)
		if err == nil {
			err = g.branches.api.suspend(ctx, compute.ID)
		}
		if err == nil || errors.Is(err, preview.ErrNotFound) || status(err) == http.StatusNotFound {
			return nil
		}
		if preview.Classify(classify(err)) != preview.ClassTransient {
			return err
		}
		if pause(ctx, g.branches.look) != nil {
			return err
		}
	}
}

// terminate reports whether the session is gone.
func (g *guard) terminate(ctx context.Context, pid uint32) (gone bool) {
	ctx, cancel := context.WithTimeout(ctx, guardTimeout)
	defer cancel()
	err := g.pool.QueryRow(ctx, `SELECT coalesce((SELECT pg_catalog.pg_terminate_backend(pid, 5000)
		FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND usename = current_user), true)`, int64(pid)).Scan(&gone)
	return err == nil && gone
}

// size is how many bytes the branch's database has.
func (g *guard) size(ctx context.Context) (int64, error) { return databaseSize(ctx, g.pool) }

func databaseSize(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (bytes int64, err error) {
	err = q.QueryRow(ctx, `SELECT pg_catalog.pg_database_size(pg_catalog.current_database())`).Scan(&bytes)
	return bytes, err
}

// book is what a parent's bookkeeping says, and how large it is.
type book struct {
	rows []migrator.Row
	size int64 // bytes
	at   time.Time
}

// readBook reads a parent's, as the owner of its database, in whose session nothing of a migration's may run.
func (p *Branches) readBook(ctx context.Context, id string) (book, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := p.connect(ctx, id, func(c *pgx.ConnConfig) { c.RuntimeParams["default_transaction_read_only"] = "on" })
	if err != nil {
		return book{}, fmt.Errorf("parent: %w", err)
	}
	defer migrator.Close(ctx, conn)
	b := book{at: time.Now()}
	if b.rows, err = migrator.ReadBooks(ctx, conn); err != nil {
		return book{}, fmt.Errorf("parent: %w", migrator.Classify(err))
	}
	if b.size, err = databaseSize(ctx, conn); err != nil {
		return book{}, fmt.Errorf("size of the parent: %w", migrator.Classify(err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.books[id] = b
	return b, nil
}
