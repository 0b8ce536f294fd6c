package migrator

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/preview"
)

// SQLSTATE codes that are decided by.
const (
	codeObjectInUse       = "55006"
	codeDuplicateDatabase = "42P04" // a copy that a killed server began is still being made
	codeUniqueViolation   = "23505" // the same, at the moment when it is finished
	codeInternal          = "XX000" // "tuple concurrently updated"
	codeDiskFull          = "53100"
)

// Code is the SQLSTATE of err, or "".
func Code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// Classify gives an error of the server or the network its class; one that has a class keeps it.
func Classify(err error) error {
	if err == nil || preview.Classify(err) != preview.ClassPermanent {
		return err
	}
	if Passing(err) {
		return preview.Transient(err)
	}
	return err
}

// Passing reports whether the same call may work later.
func Passing(err error) bool {
	if c := Code(err); c != "" {
		return passingCode(c, err)
	}
	var network net.Error
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.As(err, &connect), errors.As(err, &network), pgconn.SafeToRetry(err):
		return true
	}
	return false
}

func passingCode(c string, err error) bool {
	switch c {
	case "40001", "40P01", "55P03", "57014", codeObjectInUse, codeDuplicateDatabase:
		return true
	case codeUniqueViolation:
		return strings.Contains(err.Error(), "pg_database_datname_index")
	case codeInternal:
		return strings.Contains(err.Error(), "concurrently") // the server has no code of its own for it
	}
	for _, class := range []string{"08", "53", "57P"} { // connection, resources, operator's intervention
		if strings.HasPrefix(c, class) {
			return true
		}
	}
	return false
}
