package handlers

import (
	"context"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

type mergeGroupStore interface {
	projects
	scans
	// WantMergeGroup wants the check of a merge group's commit answered.
	WantMergeGroup(ctx context.Context, projectID, sha string) error
}

// MergeGroup handles "merge_group": our check is answered, so that a queue which requires it goes on.
type MergeGroup struct{ store mergeGroupStore }

// Handles implements githubapp.EventHandler.
func (MergeGroup) Handles() []string { return []string{"merge_group"} }

// Handle implements githubapp.EventHandler.
func (h MergeGroup) Handle(ctx context.Context, event, _ string, payload []byte) error {
	e, err := decode[gh.MergeGroupEvent](event, payload)
	if err != nil || e.GetAction() != "checks_requested" {
		return err
	}
	sha := e.GetMergeGroup().GetHeadSHA()
	if !fullSHA.MatchString(sha) {
		return invalid(event)
	}
	p, ok, err := project(ctx, h.store, e.GetInstallation(), e.GetRepo())
	if err != nil || !ok {
		return err
	}
	if base := e.GetMergeGroup().GetBaseSHA(); fullSHA.MatchString(base) {
		if err := h.store.WantScan(ctx, preview.Scan{ProjectID: p.ID, SHA: sha, Before: base}); err != nil {
			return err
		}
	}
	return h.store.WantMergeGroup(ctx, p.ID, sha)
}
