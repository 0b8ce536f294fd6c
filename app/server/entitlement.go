package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/reconcile"
	"github.com/flaresmith/flaresmith/app/store"
)

// table is the operator's: the store with what the configuration says as its last word. Rows of the database say what an
// installation may branch from; where it is made says the configuration's row that covers it, or else the variables.
type table struct {
	*store.Store
	rows []tenant
	// all is what the variables name, for whom no row covers.
	all set
	// past is what may have been made before the configuration named an account for it.
	past set
}

// tenant is a row of the configuration's with its providers.
type tenant struct {
	config.Tenant
	set set
}

// table opens the providers that the rows name.
func (s *Server) table(ctx context.Context, o Options) (table, error) {
	t := table{Store: s.store}
	if o.Providers != nil {
		t.all = set{Set: reconcile.Set{Kinds: o.Providers, Offered: []string{onPostgres, onWorkerd, onCollection},
			Places: map[preview.Kind]string{preview.KindDatabase: onPostgres, preview.KindSchema: onPostgres, preview.KindWorker: onWorkerd, preview.KindCollection: onCollection}}}
		for _, row := range s.config.Table() {
			t.rows = append(t.rows, tenant{row, t.all})
		}
		return t, nil
	}
	open := newProviders(s, o)
	var err error
	if s.config.UsesVariables() {
		if t.all, err = open.set(ctx, s.config.Clouds); err != nil {
			return table{}, err
		}
	}
	for _, row := range s.config.Table() {
		made, err := open.set(ctx, row.Clouds)
		if err != nil {
			return table{}, err
		}
		s.logger.InfoContext(ctx, "previews are made", slog.String("account", row.Account), slog.Any("repositories", row.Repositories), slog.Any("with", made.Offered))
		t.rows = append(t.rows, tenant{row, made})
	}
	t.past = emptySet()
	if err := open.addCollections(&t.past); err != nil {
		return table{}, err
	}
	return t, s.addPast(ctx, open, &t.past)
}

// addPast opens this machine's databases and Workers where the configuration no longer does and the ledger still names them: the
// operator gave the repository clouds, and what was made here goes when its successor is there. That it can't be opened, as when the
// server of branches is gone, is no reason not to start.
func (s *Server) addPast(ctx context.Context, open *providers, past *set) error {
	if s.store == nil { // no server: nothing was made
		return nil
	}
	places, err := s.store.Places(ctx)
	if err != nil || open.local != nil || !slices.Contains(places, onPostgres) && !slices.Contains(places, onWorkerd) {
		return err
	}
	if err := open.addLocal(ctx, past); err != nil {
		s.logger.WarnContext(ctx, "what was made on this machine can't be deleted: previews that have something here fail until it can",
			slog.Any("error", err))
	}
	return nil
}

// row is the first that covers the project.
func (t table) row(p preview.Project) (tenant, bool) {
	for _, row := range t.rows {
		if row.Covers(p) {
			return row, true
		}
	}
	return tenant{}, false
}

// Entitlement implements reconcile.Projects.
func (t table) Entitlement(ctx context.Context, p preview.Project) (preview.Entitlement, error) {
	e, err := t.Store.Entitlement(ctx, p)
	row, ok := t.row(p)
	if errors.Is(err, preview.ErrNotFound) && ok {
		e, err = row.Entitlement(), nil
	}
	if err == nil && ok {
		e.LongLived = row.LongLived(p)
		own := row.Entitlement()
		e.Bindings, e.AnyBinding = own.Bindings, own.AnyBinding
	}
	return e, err
}

// Set implements reconcile.Providers.
func (t table) Set(_ context.Context, p preview.Project, kind preview.EnvironmentKind) (reconcile.Set, error) {
	return t.setOf(p).of(kind), nil
}

// At implements reconcile.Providers.
func (t table) At(place string, kind preview.Kind) (reconcile.Provider, bool) {
	sets := []set{t.all, t.past}
	for _, row := range t.rows {
		sets = append(sets, row.set)
	}
	for _, s := range sets {
		for _, one := range []reconcile.Set{s.Set, s.core} {
			if provider, ok := one.Kinds[kind]; ok && one.Places[kind] == place {
				return provider, true
			}
		}
	}
	return nil, false
}

func (t table) setOf(p preview.Project) set {
	if row, ok := t.row(p); ok {
		return row.set
	}
	return t.all
}
