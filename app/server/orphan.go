package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/reconcile"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// orphanLease is how long the environment is kept from the server while its remains are deleted.
const orphanLease = 5 * time.Minute

// Orphan is a thing at a provider that carries our mark and belongs to no open pull request.
type Orphan struct {
	preview.Found
	Where   string // the provider
	Why     string
	Foreign bool // of a project that this database does not know: another server's, perhaps
	Deleted bool
	Err     error // it could not be deleted, or not be looked at
}

// SweepOptions say what becomes of orphans. The zero value only looks.
type SweepOptions struct {
	Delete  bool
	Foreign bool // delete also what may be another server's
}

// Sweep looks for orphans at every account that the configuration names, and at the server of branches; the Workers and files of this
// machine are the running server's own. Core environments are never orphans. It calls report for each, and returns an
// error where it could not look.
func Sweep(ctx context.Context, c config.Config, o Options, how SweepOptions, report func(Orphan)) error {
	logger := slog.New(telemetry.NewHandler(slog.DiscardHandler, telemetry.NewRedactor(c.Secrets()...)))
	s, err := openStore(ctx, c, store.Options{MaxConns: 2, Logger: logger})
	if err != nil {
		return err
	}
	defer s.Close()
	w := &sweeping{store: s, how: how, report: report}
	open := newProviders(&Server{config: c, logger: logger, metrics: newMetrics()}, o)
	var rows []config.Clouds
	if c.UsesVariables() {
		rows = append(rows, c.Clouds)
	}
	for _, t := range c.Tenants {
		rows = append(rows, t.Clouds)
	}
	for _, row := range rows {
		if err := w.row(ctx, open, row); err != nil {
			w.failed = append(w.failed, err)
		}
	}
	return errors.Join(w.failed...)
}

type sweeping struct {
	store  *store.Store
	how    SweepOptions
	report func(Orphan)
	seen   []string // places
	failed []error
}

// row looks at the accounts of one row of the operator's table.
func (w *sweeping) row(ctx context.Context, open *providers, c config.Clouds) error {
	made := emptySet()
	if c.Neon.Used() {
		if err := open.addClouds(&made, c); err != nil {
			return err
		}
	} else {
		config := open.server.config
		branches, err := postgres.New(ctx, postgres.Config{AdminURL: config.BranchDatabaseURL, Untouched: true, Logger: open.server.logger})
		if err != nil {
			return atDatabase(branchVariable(config), err)
		}
		defer branches.Close()
		made.add(onPostgres, preview.KindDatabase, branches.Branches())
	}
	if c.Postman.Used() {
		if err := open.addPostman(&made, c.Postman); err != nil {
			return err
		}
	}
	for _, kind := range []preview.Kind{preview.KindWorker, preview.KindCollection, preview.KindDatabase} { // a Worker uses the database
		for _, at := range []reconcile.Set{made.Set, made.core} { // another driver may have left something where long-lived ones are
			if provider := at.Kinds[kind]; provider != nil && !slices.Contains(w.seen, at.Places[kind]) {
				w.seen = append(w.seen, at.Places[kind])
				w.place(ctx, at.Places[kind], provider)
			}
		}
	}
	return nil
}

func (w *sweeping) place(ctx context.Context, place string, provider reconcile.Provider) {
	where, _, _ := strings.Cut(place, "/")
	list, err := provider.List(ctx)
	if err != nil {
		w.failed = append(w.failed, fmt.Errorf("%s: %w", where, err))
		return
	}
	for _, found := range list {
		orphan, err := w.judge(ctx, found)
		if err != nil {
			w.failed = append(w.failed, fmt.Errorf("%s: %s: %w", where, found.Name, err))
			return
		}
		if orphan == nil {
			continue
		}
		orphan.Where = where
		if w.how.Delete && (!orphan.Foreign || w.how.Foreign) {
			if orphan.Err = w.delete(ctx, provider, found); orphan.Err != nil {
				w.failed = append(w.failed, fmt.Errorf("%s: %s: %w", where, found.Name, orphan.Err))
			}
			orphan.Deleted = orphan.Err == nil
		}
		w.report(*orphan)
	}
}

// judge tells whether a thing is an orphan; nil: it is not.
func (w *sweeping) judge(ctx context.Context, found preview.Found) (*Orphan, error) {
	if !strings.HasPrefix(found.Name, "preview-") {
		return nil, nil //nolint:nilnil // a core environment's, which nobody sweeps away
	}
	e, err := w.store.Environment(ctx, found.Mark.Environment)
	switch {
	case err == nil && (e.Kind.Core() || e.State != preview.StateArchived):
		return nil, nil //nolint:nilnil // it is wanted, or a pass sees to it
	case err == nil:
		return &Orphan{Found: found, Why: fmt.Sprintf("pull request %d has no preview any more", e.PR)}, nil
	case !errors.Is(err, preview.ErrNotFound):
		return nil, err
	}
	_, err = w.store.Project(ctx, found.Mark.Project)
	switch {
	case err == nil:
		return &Orphan{Found: found, Why: "this database does not know its environment"}, nil
	case errors.Is(err, preview.ErrNotFound):
		return &Orphan{Found: found, Foreign: true, Why: "this database does not know its repository: it may be another server's"}, nil
	}
	return nil, err
}

// delete removes a thing while no pass can begin for its environment, if that is known and still archived.
func (w *sweeping) delete(ctx context.Context, provider reconcile.Provider, found preview.Found) error {
	resource := preview.Resource{Kind: found.Kind, Name: found.Name, Mark: found.Mark}
	lease, e, err := w.store.Acquire(ctx, found.Mark.Environment, orphanLease)
	switch {
	case errors.Is(err, preview.ErrNotFound):
		return provider.Delete(ctx, resource)
	case err != nil:
		return err
	case e.State != preview.StateArchived:
		err = errors.New("its pull request has a preview again")
	default:
		err = provider.Delete(ctx, resource)
	}
	return errors.Join(err, w.store.Release(context.WithoutCancel(ctx), lease))
}
