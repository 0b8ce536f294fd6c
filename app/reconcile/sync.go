package reconcile

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

// SyncStore is what Sync needs of the store.
type SyncStore interface {
	// Branches are the newest pushes to the project's branches that still exist.
	Branches(ctx context.Context, projectID string) ([]preview.Push, error)
	// Want wants an environment; a push that is older than the one it follows changes nothing.
	Want(ctx context.Context, w preview.Wish) (environmentID string, err error)
	// WantProject wants a pass for every environment of the project.
	WantProject(ctx context.Context, projectID string) error
}

// Sync reads a project's policy after a push and wants the core environments that follow from it
// and from the newest pushes. When the policy itself changed, every environment gets a pass.
func (r *Reconciler) Sync(ctx context.Context, s SyncStore, projectID string) error {
	project, err := r.Store.Project(ctx, projectID)
	if err != nil {
		return fmt.Errorf("sync project %s: %w", projectID, err)
	}
	before, _, err := r.Store.GoodConfig(ctx, projectID)
	if err != nil {
		return fmt.Errorf("sync project %s: %w", project.FullName(), err)
	}
	p := &pass{Reconciler: r, project: project}
	if err := p.readPolicy(ctx); errors.Is(err, preview.ErrGone) || errors.Is(err, preview.ErrNotFound) {
		return nil // the previews' own passes find out
	} else if err != nil {
		return fmt.Errorf("sync project %s: %w", project.FullName(), err)
	}
	after, _, err := r.Store.GoodConfig(ctx, projectID)
	if err != nil {
		return fmt.Errorf("sync project %s: %w", project.FullName(), err)
	}
	if !p.facts.Configured || !bytes.Equal(before, after) {
		if err := s.WantProject(ctx, projectID); err != nil {
			return fmt.Errorf("sync project %s: %w", project.FullName(), err)
		}
	}
	if !p.facts.Configured {
		return nil
	}
	return wantCore(ctx, s, project, p.facts.Policy)
}

func wantCore(ctx context.Context, s SyncStore, project preview.Project, policy repoconfig.Policy) error {
	heads, err := s.Branches(ctx, project.ID)
	if err != nil {
		return fmt.Errorf("sync project %s: %w", project.FullName(), err)
	}
	for _, wish := range desired.CoreWishes(policy, heads) {
		_, err := s.Want(ctx, preview.Wish{ProjectID: project.ID, Kind: wish.Kind, Name: preview.CoreName(project.Hash, wish.Kind),
			Branch: wish.Head.Branch, SHA: wish.Head.SHA, PushedAt: wish.Head.PushedAt})
		if err != nil {
			return fmt.Errorf("sync project %s: %w", project.FullName(), err)
		}
	}
	return nil
}
