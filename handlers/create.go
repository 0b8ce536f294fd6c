package handlers

import (
	"context"

	gh "github.com/google/go-github/v62/github"
)

// Create handles "create" of a branch. It does not say at which commit; the push beside it does,
// so this one asks for a look only.
type Create struct{ store pushStore }

// Handles implements githubapp.EventHandler.
func (Create) Handles() []string { return []string{"create"} }

// Handle implements githubapp.EventHandler.
func (h Create) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.CreateEvent](event, payload)
	if err != nil || e.GetRefType() != "branch" {
		return err
	}
	p, ok, err := project(ctx, h.store, e.GetInstallation(), e.GetRepo())
	if err != nil || !ok {
		return err
	}
	return h.store.WantSync(ctx, p.ID)
}
