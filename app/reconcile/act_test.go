package reconcile

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/plan"
	"github.com/flaresmith/flaresmith/app/preview"
)

// intents is a store that hears of nothing else.
type intents struct {
	Store
	keys []string
}

func (i *intents) RecordIntent(_ context.Context, _ preview.Lease, key preview.Key, _, _ string) error {
	i.keys = append(i.keys, key.String())
	return nil
}

// An extension that fails is no reason to deploy again: what is noted as begun is not up to date until it is finished.
func TestIntend(t *testing.T) {
	t.Parallel()
	database, worker := preview.Resource{Kind: preview.KindDatabase}, preview.Resource{Kind: preview.KindWorker}
	steps := func(op plan.Op) plan.Plan {
		return plan.Plan{Steps: []plan.Step{{Op: plan.OpFetch}, {Op: op, Resource: database}, {Op: plan.OpBundle, Resource: worker}, {Op: plan.OpDelete, Resource: worker}}}
	}
	for _, tt := range []struct {
		name   string
		op     plan.Op
		ledger []preview.LedgerEntry
		want   []string
	}{
		{"a change", plan.OpUpdate, []preview.LedgerEntry{{Kind: preview.KindDatabase}}, []string{"database"}},
		{"an extension", plan.OpExtend, []preview.LedgerEntry{{Kind: preview.KindDatabase}}, nil},
		{"an extension of what the ledger has lost", plan.OpExtend, nil, []string{"database"}},
	} {
		p := passOver(active())
		store := &intents{}
		p.Store, p.ledger = store, tt.ledger
		if err := p.intend(t.Context(), steps(tt.op)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, store.keys); diff != "" {
			t.Errorf("%s: begun (-want +got):\n%s", tt.name, diff)
		}
	}
}

// What serves at the old place is told of for as long as the one at the new place was only begun.
func TestKeepMoved(t *testing.T) {
	t.Parallel()
	key := preview.Key{Kind: preview.KindWorker}
	for name, tt := range map[string]struct {
		now  map[preview.Key]preview.Outputs
		want string
	}{
		"nothing":  {map[preview.Key]preview.Outputs{}, "https://old"},
		"begun":    {map[preview.Key]preview.Outputs{key: {WorkerName: "shop"}}, "https://old"},
		"finished": {map[preview.Key]preview.Outputs{key: {URL: "https://new"}}, "https://new"},
	} {
		p := passOver(active())
		p.moved, p.outputs = []preview.LedgerEntry{{Kind: preview.KindWorker, Place: "workerd", Outputs: preview.Outputs{URL: "https://old"}}}, tt.now
		p.keepMoved()
		if got := p.outputs[key].URL; got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
