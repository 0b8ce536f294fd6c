package postgres_test

import (
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/reconcile"
)

var (
	_ reconcile.Provider = (*postgres.Branches)(nil)
	_ reconcile.Provider = (*postgres.Schema)(nil)
)
