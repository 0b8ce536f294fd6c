package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// splitLedger tells apart what was made at another place than the project's own now, because the operator moved it.
func (p *pass) splitLedger() {
	var here []preview.LedgerEntry
	for _, entry := range p.ledger {
		if entry.Place == "" || entry.Place == p.set.Places[entry.Kind] {
			here = append(here, entry)
		} else {
			p.moved = append(p.moved, entry)
		}
	}
	p.ledger = here
}

// checkPlaces refuses to go on where what was made elsewhere could never be deleted. A core environment holds data that nobody can
// make again, so it is not moved, nor does it get a copy of something in the place of the operator's own database.
// A preview that ends does so wherever it can: leavePlaces tells of the rest.
func (p *pass) checkPlaces(want desired.Desired) error {
	if isOver(want.Verdict) && !p.env.Kind.Core() {
		return nil
	}
	for _, r := range want.Resources {
		if had := p.outputs[r.Key()].LongLived; r.Kind == preview.KindDatabase && r.LongLived == "" && had != "" {
			return fmt.Errorf("%s had the operator's database %q, and the operator's configuration names none for it any more: was the repository renamed?", p.env.Name, had)
		}
	}
	for _, entry := range p.moved {
		if p.env.Kind.Core() && (entry.Kind == preview.KindDatabase || entry.Kind == preview.KindSchema) {
			return fmt.Errorf("%s was made at %s: a core environment is not moved by itself", p.env.Name, entry.Place)
		}
		if _, ok := p.Providers.At(entry.Place, entry.Kind); !ok {
			return fmt.Errorf("%s was made at %s, and the operator's configuration no longer names that place, or it can't be reached", entry.Key(), entry.Place)
		}
	}
	return nil
}

// errUnnamed is why what is at a place of before can't be reached.
var errUnnamed = errors.New("the operator's configuration no longer names that place")

// isOver reports whether nothing of a preview is wanted any more. One in the queue comes back.
func isOver(v desired.Verdict) bool {
	return v.Outcome != desired.Wanted && v.Outcome != desired.Queued
}

// leavePlaces deletes what is elsewhere once it is at its new place, or not wanted any more: users before what they use, which stays where
// a user does. What can't be deleted now is tried again; while a preview serves at its new place, that is no failure of it. Where the new
// places could not be reached, which is not nil then, all of it stays, unless its preview ends. A core environment that has nothing at its
// new place stays where it is. A preview of which nothing is left but at places that nobody names takes no other's place in the queue.
func (p *pass) leavePlaces(ctx context.Context, v desired.Verdict, reached error) error {
	if reached != nil {
		p.keepMoved()
	}
	if reached != nil && (!isOver(v) || isStoreError(reached) || errors.Is(reached, errSuperseded)) || p.env.Kind.Core() && v.Outcome != desired.Wanted {
		return reached
	}
	errs := []error{reached}
	used, unnamed := false, reached == nil
	for _, kind := range slices.Backward(preview.Kinds()) {
		for _, entry := range p.moved {
			if entry.Kind != kind || used && (kind == preview.KindDatabase || kind == preview.KindSchema) {
				continue
			}
			err := p.leavePlace(ctx, entry)
			if err == nil {
				continue
			}
			errs = append(errs, fmt.Errorf("delete %s at %s: %w", entry.Key(), entry.Place, err))
			if isStoreError(err) || errors.Is(err, errSuperseded) {
				return errors.Join(errs...)
			}
			p.remains = true
			unnamed = unnamed && errors.Is(err, errUnnamed)
			p.log().WarnContext(ctx, "what was made at another place is still there", slog.String("kind", string(entry.Kind)),
				slog.String("place", entry.Place), slog.Any("error", err))
			used = used || kind == preview.KindWorker
		}
	}
	if v.Outcome == desired.Wanted {
		return nil
	}
	if p.remains && unnamed && isOver(v) {
		errs = append(errs, storeError("leave", p.Store.Leave(ctx, p.lease)))
	}
	return errors.Join(errs...)
}

// keepMoved tells of what still is at the old places while there is nothing at the new ones, where it may have been begun.
func (p *pass) keepMoved() {
	for _, entry := range p.moved {
		p.outputs[entry.Key()] = entry.Outputs.Merge(p.outputs[entry.Key()])
	}
}

func (p *pass) leavePlace(ctx context.Context, entry preview.LedgerEntry) error {
	provider, ok := p.Providers.At(entry.Place, entry.Kind)
	if !ok {
		return errUnnamed
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
	return storeError("forget "+entry.Key().String(), p.Store.Forget(ctx, p.lease, entry.Key(), entry.Place))
}
