package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Limits of one connection, so that no query and no forgotten transaction waits for ever.
const (
	connectTimeout   = 5 * time.Second
	statementTimeout = "60s"
	lockTimeout      = "15s"
	idleInTxTimeout  = "60s"

	// A transaction that lost against a concurrent one is tried this often.
	txAttempts = 4
)

// Options are the knobs of Open; the zero value is good for a server of one or two replicas.
type Options struct {
	MaxConns        int32        // connections at most; 0: 16
	ApplicationName string       // shown in pg_stat_activity; empty: "flaresmith"
	Logger          *slog.Logger // nil: slog.Default()
}

// intakeConns are kept apart for storing deliveries, so that a request never waits for the workers
// that it woke.
const intakeConns = 2

// Store is the database. It is safe for concurrent use.
type Store struct {
	pool   *pgxpool.Pool
	intake *pgxpool.Pool
	jobs   *river.Client[pgx.Tx] // inserts only; the server runs its own client to work
}

// Open connects to the database at url, which Migrate has made or will make ready; it returns
// once a connection works.
func Open(ctx context.Context, url preview.Secret, opts Options) (*Store, error) {
	config, err := poolConfig(url, opts)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", classed(err))
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to database: %w", classed(err))
	}
	config = config.Copy()
	config.MaxConns = intakeConns
	intake, err := pgxpool.NewWithConfig(ctx, config) // connects when a delivery comes
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", classed(err))
	}
	logger := opts.Logger
	if logger == nil {
		logger = slog.Default()
	}
	jobs, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: logger})
	if err != nil {
		pool.Close()
		intake.Close()
		return nil, fmt.Errorf("make job client: %w", err)
	}
	return &Store{pool: pool, intake: intake, jobs: jobs}, nil
}

func poolConfig(url preview.Secret, opts Options) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		// The cause may quote the URL, and with it the password.
		return nil, errors.New("database url can't be parsed")
	}
	config.MaxConns = 16
	if opts.MaxConns > 0 {
		config.MaxConns = opts.MaxConns
	}
	config.MaxConnIdleTime = 5 * time.Minute
	config.MaxConnLifetime = time.Hour
	config.MaxConnLifetimeJitter = 10 * time.Minute
	config.ConnConfig.ConnectTimeout = connectTimeout
	name := opts.ApplicationName
	if name == "" {
		name = "flaresmith"
	}
	for key, value := range map[string]string{
		"application_name":                    name,
		"statement_timeout":                   statementTimeout,
		"lock_timeout":                        lockTimeout,
		"idle_in_transaction_session_timeout": idleInTxTimeout,
	} {
		if _, set := config.ConnConfig.RuntimeParams[key]; !set {
			config.ConnConfig.RuntimeParams[key] = value
		}
	}
	return config, nil
}

// Close waits for running queries and closes every connection.
func (s *Store) Close() {
	s.intake.Close()
	s.pool.Close()
}

// Pool is the connection pool, for River's working client and for health checks.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("ping database: %w", classed(err))
	}
	return nil
}

// InTx runs fn in one transaction and commits when it returns nil. A transaction that lost
// against a concurrent one is run again, so fn must have no effect outside of it.
func (s *Store) InTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return inTx(ctx, s.pool, fn)
}

func inTx(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) error {
	var err error
	for range txAttempts {
		err = pgx.BeginFunc(ctx, pool, fn)
		if err == nil || (!lostRace(err) && !sameNew(err)) || ctx.Err() != nil {
			break
		}
	}
	return classed(err)
}

// querier is what a statement needs: the pool, or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// timeOrNil makes NULL of the zero time.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// timeOrZero makes the zero time of NULL.
func timeOrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
