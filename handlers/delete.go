package handlers

import (
	"context"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Delete handles "delete" of a branch: the core environments look for another one, and stay as
// they are if there is none.
type Delete struct{ store pushStore }

// Handles implements githubapp.EventHandler.
func (Delete) Handles() []string { return []string{"delete"} }

// Handle implements githubapp.EventHandler.
func (h Delete) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.DeleteEvent](event, payload)
	if err != nil || e.GetRefType() != "branch" {
		return err
	}
	p, ok, err := project(ctx, h.store, e.GetInstallation(), e.GetRepo())
	if err != nil || !ok {
		return err
	}
	at := e.GetRepo().GetPushedAt().Time
	if e.GetRef() == "" || at.IsZero() {
		return h.store.WantSync(ctx, p.ID)
	}
	return h.store.RecordPush(ctx, preview.Push{ProjectID: p.ID, Branch: e.GetRef(), PushedAt: at, Deleted: true})
}
