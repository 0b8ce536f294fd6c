package handlers

import (
	"context"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

type reviewStore interface {
	projects
	scans
}

// PullRequestReview handles "pull_request_review": what a review says, or said before, is reason to look for secrets.
type PullRequestReview struct{ store reviewStore }

// Handles implements githubapp.EventHandler.
func (PullRequestReview) Handles() []string { return []string{"pull_request_review"} }

// Handle implements githubapp.EventHandler.
func (h PullRequestReview) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.PullRequestReviewEvent](event, payload)
	if err != nil {
		return err
	}
	switch e.GetAction() {
	case "submitted", "edited": // a review that is dismissed keeps its text
		return wantReviewScan(ctx, h.store, event, e.GetInstallation(), e.GetRepo(), e.GetPullRequest())
	}
	return nil
}

// wantReviewScan asks for a scan of the pull request that was reviewed.
func wantReviewScan(ctx context.Context, s reviewStore, event string, in *gh.Installation, r *gh.Repository, pr *gh.PullRequest) error {
	if pr.GetNumber() <= 0 {
		return invalid(event)
	}
	p, ok, err := project(ctx, s, in, r)
	if err != nil || !ok {
		return err
	}
	return s.WantScan(ctx, preview.Scan{ProjectID: p.ID, PR: pr.GetNumber()})
}
