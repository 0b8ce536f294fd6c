package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
)

// elsewhere is another place with a provider of each kind, and the store that hears what was deleted there.
type elsewhere struct {
	Store
	Providers
	refuses map[preview.Kind]bool
	unnamed preview.Kind // the operator names no account for it any more
	deleted []preview.Kind
	left    int // times that a preview gave its place back
}

func (e *elsewhere) Leave(context.Context, preview.Lease) error {
	e.left++
	return nil
}

func (e *elsewhere) Renew(context.Context, preview.Lease, time.Duration) (int64, error) {
	return 0, nil
}

func (e *elsewhere) Forget(context.Context, preview.Lease, preview.Key, string) error { return nil }

func (e *elsewhere) At(_ string, kind preview.Kind) (Provider, bool) {
	return there{e, kind}, kind != e.unnamed
}

// there is the provider of a kind at another place.
type there struct {
	*elsewhere
	kind preview.Kind
}

func (t there) Observe(context.Context, preview.Resource) (preview.Observed, error) {
	return preview.Observed{}, nil
}

func (t there) Apply(context.Context, preview.Resource, preview.Inputs) (preview.Outputs, error) {
	return preview.Outputs{}, nil
}

func (t there) List(context.Context) ([]preview.Found, error) { return nil, nil }

func (t there) Delete(context.Context, preview.Resource) error {
	if t.refuses[t.kind] {
		return errors.New("the key is not valid")
	}
	t.deleted = append(t.deleted, t.kind)
	return nil
}

// What was made at another place goes as far as it can: one account that refuses keeps nothing of the others, but what its Workers use.
func TestLeavePlaces(t *testing.T) {
	t.Parallel()
	database, schema, worker, collection := preview.KindDatabase, preview.KindSchema, preview.KindWorker, preview.KindCollection
	refused := errors.New("the key is not valid")
	for _, tt := range []struct {
		name    string
		kind    preview.EnvironmentKind
		outcome desired.Outcome
		reached error
		refuses preview.Kind
		want    []preview.Kind
		fails   bool
	}{
		{"all is deleted", preview.EnvironmentPreview, desired.Wanted, nil, "", []preview.Kind{collection, worker, schema, database}, false},
		{"the collection's account refuses", preview.EnvironmentPreview, desired.Wanted, nil, collection, []preview.Kind{worker, schema, database}, false},
		{"what the Worker uses stays", preview.EnvironmentPreview, desired.Wanted, nil, worker, []preview.Kind{collection}, false},
		{"the pull request is closed", preview.EnvironmentPreview, desired.Closed, nil, collection, []preview.Kind{worker, schema, database}, true},
		{"a provider refuses while the pull request is closed", preview.EnvironmentPreview, desired.Closed, refused, "", []preview.Kind{collection, worker, schema, database}, true},
		{"a newer event arrived", preview.EnvironmentPreview, desired.Closed, errSuperseded, "", nil, true},
		{"nothing is at the new place yet", preview.EnvironmentPreview, desired.Wanted, refused, "", nil, true},
		{"there is no room at the new place", preview.EnvironmentPreview, desired.Queued, refused, "", nil, true},
		{"a core environment that moved", preview.EnvironmentDev, desired.Wanted, nil, "", []preview.Kind{collection, worker, schema, database}, false},
		{"a core environment that is not named any more", preview.EnvironmentDev, desired.Skipped, nil, "", nil, false},
		{"a core environment that nobody may use", preview.EnvironmentDev, desired.NotEntitled, nil, "", nil, false},
	} {
		at := &elsewhere{refuses: map[preview.Kind]bool{tt.refuses: true}}
		e := active()
		e.Kind = tt.kind
		p := passOver(e)
		p.Store, p.Providers, p.StepTimeout, p.Logger = at, at, time.Minute, slog.New(slog.DiscardHandler)
		p.outputs = map[preview.Key]preview.Outputs{}
		for _, kind := range preview.Kinds() {
			p.moved = append(p.moved, preview.LedgerEntry{Kind: kind, Name: e.Name, Place: "old"})
		}
		err := p.leavePlaces(t.Context(), desired.Verdict{Outcome: tt.outcome}, tt.reached)
		if diff := cmp.Diff(tt.want, at.deleted); diff != "" || (err != nil) != tt.fails || p.remains != (tt.refuses != "") {
			t.Errorf("%s: %v, remains %v (-want +got):\n%s", tt.name, err, p.remains, diff)
		}
	}
}

// Where the operator names an old place no longer, a preview that goes on is told so before anything is done, and one that ends goes from
// everywhere else, and takes no other's place among the project's previews.
func TestUnnamedPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind    preview.EnvironmentKind
		outcome desired.Outcome
		refuses preview.Kind
		refused bool
		want    []preview.Kind // deleted
		left    int
	}{
		{preview.EnvironmentPreview, desired.Wanted, "", true, nil, 0},
		{preview.EnvironmentPreview, desired.Queued, "", true, nil, 0},
		{preview.EnvironmentPreview, desired.Closed, "", false, []preview.Kind{preview.KindWorker}, 1},
		{preview.EnvironmentPreview, desired.Closed, preview.KindWorker, false, nil, 0}, // it may be gone the next time
		{preview.EnvironmentDev, desired.Skipped, "", true, nil, 0},
	} {
		at := &elsewhere{unnamed: preview.KindCollection, refuses: map[preview.Kind]bool{tt.refuses: true}}
		e, v := active(), desired.Verdict{Outcome: tt.outcome}
		e.Kind = tt.kind
		p := passOver(e)
		p.Store, p.Providers, p.StepTimeout, p.Logger = at, at, time.Minute, slog.New(slog.DiscardHandler)
		p.moved = []preview.LedgerEntry{{Kind: preview.KindWorker, Name: e.Name, Place: "old"}, {Kind: preview.KindCollection, Name: e.Name, Place: "older"}}
		if err := p.checkPlaces(desired.Desired{Verdict: v}); (err != nil) != tt.refused {
			t.Errorf("%s, %s: %v", tt.kind, tt.outcome, err)
		}
		if tt.refused {
			continue
		}
		if err := p.leavePlaces(t.Context(), v, nil); err == nil || !slices.Equal(at.deleted, tt.want) || at.left != tt.left {
			t.Errorf("%s, %s: %v, deleted was %v, and its place was given back %d times", tt.kind, tt.outcome, err, at.deleted, at.left)
		}
	}
}
