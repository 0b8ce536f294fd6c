package handlers

import (
	"context"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

type repositoryStore interface {
	projects
	syncs
	onboardings
	// ArchiveProject puts a project out of use, or back, unless factsAt is older than what is known.
	ArchiveProject(ctx context.Context, projectID string, archived bool, factsAt time.Time) error
	// WantProject wants a pass for every environment of the project.
	WantProject(ctx context.Context, projectID string) error
	// RenameAccount gives the installation and its projects another owner's login, unless newer facts are known.
	RenameAccount(ctx context.Context, installationID int64, account string, factsAt time.Time) error
}

// InstallationRepositories handles "installation_repositories": an installation got or lost repositories.
type InstallationRepositories struct{ store repositoryStore }

// Handles implements githubapp.EventHandler.
func (InstallationRepositories) Handles() []string { return []string{"installation_repositories"} }

// Handle implements githubapp.EventHandler.
func (h InstallationRepositories) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.InstallationRepositoriesEvent](event, payload)
	if err != nil {
		return err
	}
	if e.GetInstallation().GetID() <= 0 {
		return invalid(event)
	}
	for _, r := range e.RepositoriesAdded {
		if err := h.set(ctx, e.GetInstallation(), r, false); err != nil {
			return err
		}
	}
	for _, r := range e.RepositoriesRemoved {
		if err := h.set(ctx, e.GetInstallation(), r, true); err != nil {
			return err
		}
	}
	return nil
}

func (h InstallationRepositories) set(ctx context.Context, in *gh.Installation, r *gh.Repository, removed bool) error {
	p, ok, err := project(ctx, h.store, in, r)
	if err != nil || !ok {
		return err
	}
	if err := archive(ctx, h.store, p, removed, time.Time{}); err != nil || removed {
		return err
	}
	return h.store.WantOnboarding(ctx, p.ID)
}

// archive puts a project out of use or back, and lets every environment and the policy be looked at.
func archive(ctx context.Context, s repositoryStore, p preview.Project, archived bool, factsAt time.Time) error {
	if err := s.ArchiveProject(ctx, p.ID, archived, factsAt); err != nil {
		return err
	}
	if err := s.WantProject(ctx, p.ID); err != nil {
		return err
	}
	if archived {
		return nil
	}
	return s.WantSync(ctx, p.ID)
}
