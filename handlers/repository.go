package handlers

import (
	"context"

	gh "github.com/google/go-github/v62/github"
)

// Repository handles "repository": it was made, renamed, moved, archived, deleted, or changed its
// visibility or default branch.
type Repository struct{ store repositoryStore }

// Handles implements githubapp.EventHandler.
func (Repository) Handles() []string { return []string{"repository"} }

// Handle implements githubapp.EventHandler.
func (h Repository) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.RepositoryEvent](event, payload)
	if err != nil {
		return err
	}
	p, ok, err := project(ctx, h.store, e.GetInstallation(), e.GetRepo())
	if err != nil || !ok {
		return err
	}
	at := facts(e.GetInstallation(), e.GetRepo()).FactsAt
	switch e.GetAction() {
	case "deleted":
		return archive(ctx, h.store, p, true, at)
	case "archived", "unarchived", "privatized", "publicized":
		return archive(ctx, h.store, p, e.GetRepo().GetArchived(), at)
	case "created", "edited", "renamed", "transferred":
		return h.store.WantSync(ctx, p.ID)
	}
	return nil
}
