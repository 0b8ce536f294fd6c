package store

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"github.com/flaresmith/flaresmith/app/preview"
)

// SQLSTATE codes that the store decides by.
const (
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeLockTimeout   = "55P03"
	codeQueryCanceled = "57014" // also statement_timeout
	codeNoTable       = "42P01"
	codeUnique        = "23505"
)

// classed gives err the class that package preview knows: a missing row is preview.ErrNotFound,
// what another try may cure is a *preview.TransientError.
func classed(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return preview.ErrNotFound
	case preview.Classify(err) == preview.ClassTransient:
		return err
	case transient(err):
		return preview.Transient(err)
	}
	return err
}

func transient(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return lostRace(err) || pg.Code == codeLockTimeout || pg.Code == codeQueryCanceled ||
			strings.HasPrefix(pg.Code, "08") || // connection exception
			strings.HasPrefix(pg.Code, "53") || // out of connections, memory, disk
			strings.HasPrefix(pg.Code, "57P0") // shut down, starting up
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, puddle.ErrClosedPool) || pgconn.SafeToRetry(err)
}

// sameNew reports whether two transactions inserted the same new row at the same moment, and this one found its name taken
// before ON CONFLICT, which looks at the key alone, could find the row.
func sameNew(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == codeUnique && (pg.ConstraintName == "environments_name_key" || pg.ConstraintName == "projects_hash_key")
}

// lostRace reports whether the transaction was ended in favour of a concurrent one.
func lostRace(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == codeSerialization || pg.Code == codeDeadlock)
}
