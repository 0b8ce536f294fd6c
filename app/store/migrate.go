package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/migrations"
)

// migrateLock is the advisory lock that one migrating replica holds while the others wait.
const (
	migrateLock     = 0x666c617265736d // "flaresm"
	migrateLockPoll = 50 * time.Millisecond
)

// Migrate brings the database at url up to date: our own tables and River's. It may run in many
// replicas at the same time and as often as wanted; the wait for another one is bounded by ctx.
func Migrate(ctx context.Context, url preview.Secret) error {
	config, err := poolConfig(url, Options{ApplicationName: "flaresmith migrate"})
	if err != nil {
		return err
	}
	// The tables of a long-lived installation are large: only ctx bounds a migration.
	delete(config.ConnConfig.RuntimeParams, "statement_timeout")
	delete(config.ConnConfig.RuntimeParams, "lock_timeout")
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("open database: %w", classed(err))
	}
	defer pool.Close()

	unlock, err := lockMigrations(ctx, pool)
	if err != nil {
		return fmt.Errorf("lock migrations: %w", classed(err))
	}
	defer unlock()
	if err := migrateTables(ctx, pool); err != nil {
		return fmt.Errorf("migrate tables: %w", classed(err))
	}
	if err := migrateRiver(ctx, pool); err != nil {
		return fmt.Errorf("migrate job tables: %w", classed(err))
	}
	return nil
}

// lockMigrations polls rather than waits inside Postgres: a waiting statement holds a snapshot,
// and with it would block a CREATE INDEX CONCURRENTLY of the replica that has the lock.
func lockMigrations(ctx context.Context, pool *pgxpool.Pool) (unlock func(), err error) {
	pooled, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	conn := pooled.Hijack() // ours alone: the lock ends with this session, whatever happens
	unlock = func() { _ = conn.Close(context.WithoutCancel(ctx)) }
	ticker := time.NewTicker(migrateLockPoll)
	defer ticker.Stop()
	for {
		var got bool
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(migrateLock)).Scan(&got); err != nil {
			unlock()
			return nil, err
		}
		if got {
			return unlock, nil
		}
		select {
		case <-ctx.Done():
			unlock()
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

func migrateTables(ctx context.Context, pool *pgxpool.Pool) error {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func migrateRiver(ctx context.Context, pool *pgxpool.Pool) error {
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}
