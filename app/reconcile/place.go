package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// elsewhere are the ledger's things that were made at another place than the project's own now, because the operator moved it.
func (p *pass) elsewhere() []preview.LedgerEntry {
	return slices.DeleteFunc(slices.Clone(p.ledger), func(entry preview.LedgerEntry) bool {
		return entry.Place == "" || entry.Place == p.set.Places[entry.Kind]
	})
}

// leavePlaces deletes what was made elsewhere, users before what they use: the ledger holds one thing of a key, so that it must be
// gone before there is another. A core environment holds data that nobody can make again, so it is not moved.
func (p *pass) leavePlaces(ctx context.Context) error {
	moved := p.elsewhere()
	if len(moved) == 0 {
		return nil
	}
	if p.env.Kind.Core() && slices.ContainsFunc(moved, func(e preview.LedgerEntry) bool {
		return e.Kind == preview.KindDatabase || e.Kind == preview.KindSchema
	}) {
		return fmt.Errorf("%s was made at %s: a core environment is not moved by itself", p.env.Name, moved[0].Place)
	}
	for _, kind := range slices.Backward(preview.Kinds()) {
		for _, entry := range moved {
			if entry.Kind != kind {
				continue
			}
			if err := p.leavePlace(ctx, entry); err != nil {
				return fmt.Errorf("delete %s at %s: %w", entry.Key(), entry.Place, err)
			}
			delete(p.outputs, entry.Key())
			p.ledger = slices.DeleteFunc(p.ledger, func(e preview.LedgerEntry) bool { return e.Key() == entry.Key() })
		}
	}
	p.env.GoodSHA = "" // nothing serves until it is made again
	return nil
}

func (p *pass) leavePlace(ctx context.Context, entry preview.LedgerEntry) error {
	provider, ok := p.Providers.At(entry.Place, entry.Kind)
	if !ok {
		return errors.New("the operator's configuration no longer names that place")
	}
	if err := p.fence(ctx); err != nil {
		return err
	}
	dctx, cancel := context.WithTimeout(ctx, p.StepTimeout)
	defer cancel()
	p.log().InfoContext(ctx, "what was made at another place is deleted", slog.String("kind", string(entry.Kind)), slog.String("place", entry.Place))
	r := preview.Resource{Kind: entry.Kind, Worker: entry.Worker, Name: entry.Name, Mark: preview.Mark{Project: p.project.ID, Environment: p.env.ID}}
	if err := telemetry.Guarded(func() error { return provider.Delete(dctx, r) }); err != nil && !errors.Is(err, preview.ErrConflict) { // somebody else's by now
		return err
	}
	return storeError("forget "+entry.Key().String(), p.Store.Forget(ctx, p.lease, entry.Key()))
}
