package server

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store"
)

// tenants is the store with the operator's variables as its last word: for one organisation they
// are the mapping, for several there are rows in the operator's table, which come first.
type tenants struct {
	*store.Store
	accounts    []string // logins, compared whole and without case
	entitlement preview.Entitlement
}

// Entitlement implements reconcile.Projects.
func (t tenants) Entitlement(ctx context.Context, p preview.Project) (preview.Entitlement, error) {
	e, err := t.Store.Entitlement(ctx, p)
	if !errors.Is(err, preview.ErrNotFound) {
		return e, err
	}
	if slices.ContainsFunc(t.accounts, func(login string) bool { return strings.EqualFold(login, p.Owner) }) {
		return t.entitlement, nil
	}
	return preview.Entitlement{}, preview.ErrNotFound
}
