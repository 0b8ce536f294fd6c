package reconcile

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/desired"
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
	both := []preview.LedgerEntry{{Kind: preview.KindDatabase}, {Kind: preview.KindCollection}}
	for _, tt := range []struct {
		name   string
		op     plan.Op
		ledger []preview.LedgerEntry
		unseen preview.Kind
		want   []string
	}{
		{"a change", plan.OpUpdate, []preview.LedgerEntry{{Kind: preview.KindDatabase}}, "", []string{"database"}},
		{"an extension", plan.OpExtend, []preview.LedgerEntry{{Kind: preview.KindDatabase}}, "", nil},
		{"an extension of what the ledger has lost", plan.OpExtend, nil, "", []string{"database"}},
		{"a Worker at another place", plan.OpCreate, both, "", []string{"database", "worker"}},
		{"a Worker at another place while the collection's account is away", plan.OpCreate, both, preview.KindCollection, []string{"database", "worker", "collection"}},
	} {
		p := passOver(active())
		store := &intents{}
		p.Store, p.ledger, p.unseen = store, tt.ledger, map[preview.Key]error{{Kind: tt.unseen}: errors.New("away")}
		change := steps(tt.op)
		if tt.op == plan.OpCreate {
			change.Steps = append(change.Steps, plan.Step{Op: plan.OpCreate, Resource: worker})
		}
		if err := p.intend(t.Context(), change); err != nil {
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

// left is a store that counts who gives a place back, and admits everybody.
type left struct {
	Store
	times int
}

func (l *left) Leave(context.Context, preview.Lease) error {
	l.times++
	return nil
}

func (l *left) Admit(context.Context, preview.Lease, int) (int, error) { return 0, nil }

// crowded is a provider whose account has no room.
type crowded struct{ Provider }

func (crowded) Apply(context.Context, preview.Resource, preview.Inputs) (preview.Outputs, error) {
	return preview.Outputs{}, preview.Transient(fmt.Errorf("one too many: %w", preview.ErrNoRoom))
}

// counted is one that knows how many environments there can be.
type counted struct{ crowded }

func (counted) Headroom(string) (environments int, known bool) { return 3, true }

// A place is given back where it is known how many there are: else the same preview would take it again at once, and wake all that wait.
func TestQueueAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		kinds map[preview.Kind]Provider
		full  preview.Kind
		want  int
	}{
		{"nobody knows", map[preview.Kind]Provider{preview.KindCollection: crowded{}}, preview.KindCollection, 0},
		{"the databases' account tells", map[preview.Kind]Provider{preview.KindDatabase: counted{}}, preview.KindDatabase, 1},
		{"the databases' account tells, and another one is full", map[preview.Kind]Provider{preview.KindDatabase: counted{}, preview.KindCollection: crowded{}}, preview.KindCollection, 0},
	} {
		e, store := active(), &left{}
		e.GoodSHA = ""
		p := passOver(e)
		p.Store, p.set.Kinds, p.facts.Entitlement = store, tt.kinds, &preview.Entitlement{MaxPreviews: 15}
		want := desired.Desired{Verdict: desired.Verdict{Outcome: desired.Wanted}}
		full := p.apply(t.Context(), preview.Resource{Kind: tt.full}, &materials{})
		if err := p.queueAgain(t.Context(), &want, full); !errors.Is(err, preview.ErrNoRoom) || store.times != tt.want {
			t.Errorf("%s: %v, given back %d times, want %d", tt.name, err, store.times, tt.want)
		}
	}
}
