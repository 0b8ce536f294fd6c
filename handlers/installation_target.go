package handlers

import (
	"context"

	gh "github.com/google/go-github/v62/github"
)

// InstallationTarget handles "installation_target": the account that installed the App was renamed.
type InstallationTarget struct{ store repositoryStore }

// Handles implements githubapp.EventHandler.
func (InstallationTarget) Handles() []string { return []string{"installation_target"} }

// Handle implements githubapp.EventHandler.
func (h InstallationTarget) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.InstallationTargetEvent](event, payload)
	if err != nil {
		return err
	}
	id, login := e.GetInstallation().GetID(), e.GetAccount().GetLogin()
	if e.GetAction() != "renamed" || id <= 0 || login == "" {
		return nil
	}
	return h.store.RenameAccount(ctx, id, login, e.GetAccount().GetUpdatedAt().Time)
}
