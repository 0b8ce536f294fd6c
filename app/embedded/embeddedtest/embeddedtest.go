// Package embeddedtest gives tests a Postgres server and the workerd binary.
//
// It is for tests only. Postgres honours FLARESMITH_TEST_DATABASE_URL and otherwise starts one private,
// not durable server for the test process, which is stopped and removed when the process ends, however it ends.
package embeddedtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/npm"
)

// The environment variables that name what to use instead of our own.
const (
	DatabaseURLVariable = "FLARESMITH_TEST_DATABASE_URL" // a superuser's URL of a Postgres server, 15 or newer
	WorkerdVariable     = "FLARESMITH_WORKERD"           // the path of a workerd binary
)

const startTimeout = 5 * time.Minute // with a download

// server is the shared server and what keeps it.
type server struct {
	url  string
	life *os.File // open as long as the process lives, see hireUndertaker
}

// One server serves all tests of the process: a start takes a second.
var sharedPostgres = sync.OnceValues(startPostgres)

// Postgres returns the URL of a superuser on a server that all tests of the process share, database "postgres".
// Use names that nobody else uses (databases, roles) and drop them at cleanup.
func Postgres(tb testing.TB) string {
	tb.Helper()
	if given := os.Getenv(DatabaseURLVariable); given != "" {
		return given
	}
	shared, err := sharedPostgres()
	if err != nil {
		tb.Fatalf("no Postgres for tests: %v; or set %s to a superuser's URL", err, DatabaseURLVariable)
	}
	return shared.url
}

// Database makes an empty database with a unique name on the server of Postgres and returns its URL (superuser).
// It is dropped at cleanup, whoever is still connected.
func Database(tb testing.TB) string {
	tb.Helper()
	server := Postgres(tb)
	parsed, err := url.Parse(server)
	if err != nil {
		tb.Fatal("the test server's URL does not parse")
	}
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	execute(tb, server, `CREATE DATABASE "`+name+`"`)
	tb.Cleanup(func() { execute(tb, server, `DROP DATABASE IF EXISTS "`+name+`" WITH (FORCE)`) })
	parsed.Path = "/" + name
	return parsed.String()
}

// Workerd returns the path of the workerd binary: FLARESMITH_WORKERD, else the pinned one, fetched once.
func Workerd(tb testing.TB) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tools, err := Tools()
	if err != nil {
		tb.Fatalf("no workerd for tests: %v", err)
	}
	path, err := tools.Workerd(ctx)
	if err != nil {
		tb.Fatalf("no workerd for tests: %v (or set %s)", err, WorkerdVariable)
	}
	return path
}

// Tools are the embedded tools with the cache that all test processes and the demo share.
func Tools() (embedded.Tools, error) {
	cache, err := embedded.DefaultCacheDir()
	if err != nil {
		return embedded.Tools{}, err
	}
	client, err := npm.NewClient(npm.Config{CacheDir: filepath.Join(cache, "npm")})
	if err != nil {
		return embedded.Tools{}, err
	}
	return embedded.Tools{Client: client, CacheDir: cache, WorkerdPath: os.Getenv(WorkerdVariable)}, nil
}

// startPostgres starts the server of this process in a folder that its undertaker removes.
func startPostgres() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tools, err := Tools()
	if err != nil {
		return nil, err
	}
	binDir, err := tools.Postgres(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "flaresmith-test-postgres-*")
	if err != nil {
		return nil, err
	}
	life, err := hireUndertaker(folder)
	if err != nil {
		_ = os.RemoveAll(folder)
		return nil, fmt.Errorf("watch over the test server: %w", err)
	}
	postgres, err := embedded.StartPostgres(ctx, embedded.PostgresOptions{BinDir: binDir, DataDir: folder})
	if err != nil {
		return nil, err
	}
	return &server{url: postgres.URL().Reveal(), life: life}, nil
}

// execute runs one statement on a connection of its own. It takes no context of the test, which is
// cancelled before cleanup functions run. Postgres gives the sessions of a database that is dropped or copied
// five seconds to end, which a busy machine may need for other things: then it is asked again.
func execute(tb testing.TB, server, statement string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := pgx.Connect(ctx, server)
	if err != nil {
		tb.Fatalf("connect to the test server: %v", err)
	}
	defer func() { _ = connection.Close(ctx) }()
	const inUse = "55006"
	var refused *pgconn.PgError
	for {
		_, err := connection.Exec(ctx, statement)
		switch {
		case err == nil:
			return
		case !errors.As(err, &refused) || refused.Code != inUse:
			tb.Fatalf("%s: %v", statement, err)
		}
	}
}
