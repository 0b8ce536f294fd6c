package server

import (
	"context"
	"io/fs"
	"sync"

	"github.com/flaresmith/flaresmith/app/preview"
)

// unmigrated stands for the migrations of branches at Neon, which are not run there yet: it refuses a repository that has any.
type unmigrated struct {
	mu   sync.Mutex
	done map[preview.Mark]string // digest
}

func newUnmigrated() *unmigrated { return &unmigrated{done: map[preview.Mark]string{}} }

// Observe implements reconcile.Provider.
func (u *unmigrated) Observe(_ context.Context, r preview.Resource) (preview.Observed, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return preview.Observed{Exists: u.done[r.Mark] != "", Owned: true, Digest: u.done[r.Mark]}, nil
}

// Apply implements reconcile.Provider.
func (u *unmigrated) Apply(_ context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	if r.Layout.Migrations != "" {
		if found, err := fs.ReadDir(in.Source, r.Layout.Migrations); err == nil && len(found) > 0 {
			return preview.Outputs{}, preview.Invalid("migrations can't be run at Neon yet", preview.Problem{Path: r.Layout.Migrations,
				Message: "Migrations are run on databases of this machine only."})
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.done[r.Mark] = r.Digest
	return preview.Outputs{Migrations: []string{}}, nil
}

// Delete implements reconcile.Provider.
func (u *unmigrated) Delete(_ context.Context, r preview.Resource) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.done, r.Mark)
	return nil
}

// List implements reconcile.Provider.
func (u *unmigrated) List(context.Context) ([]preview.Found, error) { return nil, nil }
