package migrator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
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

// Unreachable tells in one line why there is no session, and of which database, as whom. pgx has a line for each
// of its tries, with TLS and without, and most often they say the same. Other errors are as they are.
func Unreachable(err error) error {
	var connect *pgconn.ConnectError
	if !errors.As(err, &connect) {
		return err
	}
	c := connect.Config
	return &unreachableError{cause: err, text: fmt.Sprintf("can't connect to the database %q at %s as %q: %s",
		c.Database, net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), c.User, refusal(connect.Unwrap()))}
}

type unreachableError struct {
	text  string
	cause error
}

func (e *unreachableError) Error() string { return e.text }
func (e *unreachableError) Unwrap() error { return e.cause }

// refusal is what the server said, or else what kept it from being asked.
func refusal(err error) string {
	var pg *pgconn.PgError
	var lookup *net.DNSError
	var network *net.OpError
	switch {
	case errors.As(err, &pg):
		return pg.Message
	case errors.As(err, &lookup):
		return lookup.Err
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &network):
		return network.Err.Error()
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
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
