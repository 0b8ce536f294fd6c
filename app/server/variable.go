package server

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/migrator"
	"github.com/flaresmith/flaresmith/app/store"
)

// Migrate brings the tables of the server's own database up to date.
func Migrate(ctx context.Context, c config.Config) error {
	if err := store.Migrate(ctx, c.DatabaseURL); err != nil {
		return atDatabase("DATABASE_URL", fmt.Errorf("migrate: %w", err))
	}
	return nil
}

// openStore opens the server's own database.
func openStore(ctx context.Context, c config.Config, o store.Options) (*store.Store, error) {
	s, err := store.Open(ctx, c.DatabaseURL, o)
	if err != nil {
		return nil, atDatabase("DATABASE_URL", err)
	}
	return s, nil
}

// atDatabase says of an error of a database in which variable its URL is, and what to look at.
func atDatabase(variable string, err error) error {
	advice := ""
	switch code := migrator.Code(err); {
	case code == "28P01", code == "28000":
		advice = "; correct the role and its password in the URL, or pg_hba.conf"
	case code == "3D000":
		advice = "; create the database, or correct its name in the URL"
	case code == "42501":
		advice = "; make the role the database's owner"
	case code == "" && errors.As(err, new(*pgconn.ConnectError)):
		advice = "; is that server up, and are host, port and sslmode of the URL right?"
	}
	return fmt.Errorf("%s: %w%s", variable, migrator.Unreachable(err), advice)
}

// branchVariable is where the URL of the branches' server stands.
func branchVariable(c config.Config) string {
	if c.BranchDatabaseURL == c.DatabaseURL {
		return "DATABASE_URL, which is also FLARESMITH_BRANCH_DATABASE_URL"
	}
	return "FLARESMITH_BRANCH_DATABASE_URL"
}

// atAddress says of an error of listening in which variable the address is, and what to do.
func atAddress(variable string, err error) error {
	advice := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "; end the program that listens there, or choose another address"
	case errors.Is(err, syscall.EACCES):
		advice = "; choose a port from 1024, or let this user listen below it"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "; choose an address of this machine, or :8080 for all of them"
	}
	return fmt.Errorf("%s: %w%s", variable, err, advice)
}
