package handlers

import (
	"context"
	"time"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

type pullRequestStore interface {
	projects
	onboardings
	scans
	// Want wants a pass for an environment, which exists afterwards.
	Want(ctx context.Context, w preview.Wish) (environmentID string, err error)
}

// PullRequest handles "pull_request". What happened to it does not matter, except that a close or
// reopen ends the life of older commands, and may be the answer to a proposed configuration: the
// pass reads the rest itself.
type PullRequest struct{ store pullRequestStore }

// Handles implements githubapp.EventHandler.
func (PullRequest) Handles() []string { return []string{"pull_request"} }

// Handle implements githubapp.EventHandler.
func (h PullRequest) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.PullRequestEvent](event, payload)
	if err != nil {
		return err
	}
	number := e.GetPullRequest().GetNumber()
	if number <= 0 {
		return invalid(event)
	}
	var lifecycle time.Time
	switch e.GetAction() {
	case "opened", "synchronize", "edited", "ready_for_review", "converted_to_draft", "labeled", "unlabeled":
	case "closed":
		lifecycle = e.GetPullRequest().GetClosedAt().Time
	case "reopened":
		lifecycle = e.GetPullRequest().GetUpdatedAt().Time
	default:
		return nil
	}
	p, ok, err := project(ctx, h.store, e.GetInstallation(), e.GetRepo())
	if err != nil || !ok {
		return err
	}
	w := wish(p, number)
	w.LifecycleAt = lifecycle
	if _, err := h.store.Want(ctx, w); err != nil {
		return err
	}
	switch e.GetAction() {
	case "opened", "synchronize", "edited", "reopened": // what changes the commits, the base or the text
		if err := h.store.WantScan(ctx, preview.Scan{ProjectID: p.ID, PR: number}); err != nil {
			return err
		}
	}
	if !lifecycle.IsZero() && e.GetPullRequest().GetHead().GetRef() == preview.ConfigureBranch {
		return h.store.WantOnboarding(ctx, p.ID)
	}
	return nil
}
