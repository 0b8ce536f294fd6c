package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
)

// bigParents are databases by their size on disk; an empty one has 7 MB.
var bigParents = []struct {
	size string
	rows int
}{{"10MB", 15_000}, {"100MB", 700_000}, {"1GB", 7_800_000}}

// BenchmarkBranch is how long a branch takes by the size of its parent: the two strategies of CREATE
// DATABASE bare, and a whole Apply of the provider, with role, ownership and marks, over a parent that
// nobody uses (wal_log) and over one with a session (pg_dump and pg_restore).
func BenchmarkBranch(b *testing.B) {
	super := embeddedtest.Postgres(b)
	s, err := postgres.New(b.Context(), postgres.Config{AdminURL: preview.Secret(super), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	for _, p := range bigParents {
		address := embeddedtest.Database(b)
		u, err := url.Parse(address)
		if err != nil {
			b.Fatal("the test database's URL does not parse")
		}
		parent := strings.TrimPrefix(u.Path, "/")
		session := open(b, address)
		run(b, session, fmt.Sprintf(`CREATE TABLE t AS SELECT g AS id, repeat('x', 90) AS body FROM generate_series(1, %d) g`, p.rows))
		run(b, session, `CHECKPOINT`)
		_ = session.Close(b.Context())
		for _, strategy := range []string{"wal_log", "file_copy"} {
			b.Run(p.size+"/bare/"+strategy, func(b *testing.B) { copyBare(b, super, parent, strategy) })
		}
		b.Run(p.size+"/apply/idle", func(b *testing.B) { applyBranch(b, s, parent) })
		b.Run(p.size+"/apply/in-use", func(b *testing.B) {
			session := open(b, address)
			defer func() { _ = session.Close(b.Context()) }()
			applyBranch(b, s, parent)
		})
	}
}

func copyBare(b *testing.B, super, parent, strategy string) {
	admin := open(b, super)
	defer func() { _ = admin.Close(b.Context()) }()
	for b.Loop() {
		run(b, admin, `CREATE DATABASE "`+parent+`_copy" TEMPLATE "`+parent+`" STRATEGY `+strategy)
		b.StopTimer()
		run(b, admin, `DROP DATABASE "`+parent+`_copy"`)
		b.StartTimer()
	}
}

func applyBranch(b *testing.B, s *postgres.Server, parent string) {
	for b.Loop() {
		id := uuid.NewString()
		r := preview.Resource{Kind: preview.KindDatabase, Name: preview.PreviewName(id[:8], 7), Parent: parent, Digest: "1",
			Mark: preview.Mark{Project: uuid.NewString(), Environment: id}}
		if _, err := s.Branches().Apply(b.Context(), r, preview.Inputs{}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Branches().Delete(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func open(b *testing.B, address string) *pgx.Conn {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), address)
	if err != nil {
		b.Fatal(err)
	}
	return conn
}

func run(b *testing.B, conn *pgx.Conn, sql string) {
	b.Helper()
	if _, err := conn.Exec(context.WithoutCancel(b.Context()), sql); err != nil {
		b.Fatal(err)
	}
}
