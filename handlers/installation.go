package handlers

import (
	"context"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

type installationStore interface {
	projects
	syncs
	// RecordInstallation keeps what is newest; a deletion is for good.
	RecordInstallation(ctx context.Context, in preview.Installation) error
	// WantInstallation wants a pass for every environment of the installation.
	WantInstallation(ctx context.Context, installationID int64) error
	// WantInstallationOnboarding wants a look at each repository of the installation that may lack a configuration.
	WantInstallationOnboarding(ctx context.Context, installationID int64) error
}

// syncs asks for a look at a project's policy and the environments that follow from it.
type syncs interface {
	WantSync(ctx context.Context, projectID string) error
}

// onboardings asks for a look whether a configuration should be proposed to a repository, or what
// became of the proposal.
type onboardings interface {
	WantOnboarding(ctx context.Context, projectID string) error
}

// Installation handles "installation": the App was installed, removed, suspended, or given other permissions.
type Installation struct{ store installationStore }

// Handles implements githubapp.EventHandler.
func (Installation) Handles() []string { return []string{"installation"} }

// Handle implements githubapp.EventHandler.
func (h Installation) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.InstallationEvent](event, payload)
	if err != nil {
		return err
	}
	if e.GetInstallation().GetID() <= 0 {
		return invalid(event)
	}
	switch e.GetAction() {
	case "created", "deleted", "suspend", "unsuspend", "new_permissions_accepted":
		return h.handle(ctx, &e)
	}
	return nil
}

func (h Installation) handle(ctx context.Context, e *gh.InstallationEvent) error {
	in := e.GetInstallation()
	err := h.store.RecordInstallation(ctx, preview.Installation{
		ID:        in.GetID(),
		Account:   in.GetAccount().GetLogin(),
		AccountID: in.GetAccount().GetID(),
		Suspended: in.SuspendedAt != nil,
		Deleted:   e.GetAction() == "deleted",
		FactsAt:   later(in.GetUpdatedAt().Time, in.GetCreatedAt().Time),
	})
	if err != nil {
		return err
	}
	if e.GetAction() == "created" {
		if err := addRepositories(ctx, h.store, in, e.Repositories); err != nil {
			return err
		}
	}
	switch e.GetAction() {
	case "created", "unsuspend", "new_permissions_accepted":
		if err := h.store.WantInstallationOnboarding(ctx, in.GetID()); err != nil {
			return err
		}
	}
	return h.store.WantInstallation(ctx, in.GetID())
}

// addRepositories makes a project of each repository and wants a look at its policy.
func addRepositories(ctx context.Context, s interface {
	projects
	syncs
}, in *gh.Installation, list []*gh.Repository) error {
	for _, r := range list {
		p, ok, err := project(ctx, s, in, r)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := s.WantSync(ctx, p.ID); err != nil {
			return err
		}
	}
	return nil
}
