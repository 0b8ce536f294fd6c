package handlers

import (
	"context"

	gh "github.com/google/go-github/v62/github"
)

// PullRequestReviewComment handles "pull_request_review_comment": what a comment on a line says, does not say any more,
// or said otherwise before, is reason to look for secrets.
type PullRequestReviewComment struct{ store reviewStore }

// Handles implements githubapp.EventHandler.
func (PullRequestReviewComment) Handles() []string { return []string{"pull_request_review_comment"} }

// Handle implements githubapp.EventHandler.
func (h PullRequestReviewComment) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.PullRequestReviewCommentEvent](event, payload)
	if err != nil {
		return err
	}
	switch e.GetAction() {
	case "created", "edited", "deleted":
		return wantReviewScan(ctx, h.store, event, e.GetInstallation(), e.GetRepo(), e.GetPullRequest())
	}
	return nil
}
