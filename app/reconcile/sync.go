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
	// WantSync wants a Sync of the project.
	WantSync(ctx context.Context, projectID string) error
	// WantScans wants every open pull request of the project scanned for secrets.
	WantScans(ctx context.Context, projectID string) error
	// ProjectsOfInstallation are those that are not archived.
	ProjectsOfInstallation(ctx context.Context, installationID int64) ([]preview.Project, error)
}

// ownerDefaults is the repository that holds the configuration of those that have none.
const ownerDefaults = ".github"

// Sync reads a project's policy after a push and wants the core environments that follow from it
// and from the newest pushes. When the policy itself changed, every environment gets a pass.
func (r *Reconciler) Sync(ctx context.Context, s SyncStore, projectID string) error {
	project, err := r.Store.Project(ctx, projectID)
	if err != nil {
		return fmt.Errorf("sync project %s: %w", projectID, err)
	}
	if project.Archived {
		return nil // nothing there can be read or written; its coming back is another event
	}
	p := &pass{Reconciler: r, project: project}
	err = p.readPolicy(ctx)
	if errors.Is(err, preview.ErrGone) || errors.Is(err, preview.ErrNotFound) {
		return nil // the previews' own passes find out
	}
	if err == nil {
		err = p.keepPolicy(ctx, s)
	}
	if err == nil && p.facts.Configured {
		err = wantCore(ctx, s, project, p.facts.Policy)
	}
	if err != nil {
		return fmt.Errorf("sync project %s: %w", project.FullName(), err)
	}
	return nil
}

// keepPolicy keeps the configuration that is in force and wakes those whom a change concerns. It
// wakes first, so that an interruption wakes them again; and no pass may keep it, or the pass over
// the very pull request that changed it would hide the change from here.
func (p *pass) keepPolicy(ctx context.Context, s SyncStore) (err error) {
	before, known, err := p.Store.GoodConfig(ctx, p.project.ID)
	if err != nil {
		return err
	}
	if known == (p.config != nil) && bytes.Equal(before, p.config) {
		return nil
	}
	if err := s.WantProject(ctx, p.project.ID); err != nil {
		return err
	}
	if p.facts.Policy.Secrets == repoconfig.SecretsApp { // it may have been somebody else's work until now
		defer func() {
			if err == nil { // a scan goes by what is kept
				err = s.WantScans(ctx, p.project.ID)
			}
		}()
	}
	if p.project.Name == ownerDefaults {
		others, err := s.ProjectsOfInstallation(ctx, p.project.InstallationID)
		if err != nil {
			return err
		}
		for _, other := range others {
			if other.ID == p.project.ID {
				continue
			}
			if err := s.WantSync(ctx, other.ID); err != nil {
				return err
			}
		}
	}
	return p.Store.SaveGoodConfig(ctx, p.project.ID, p.config)
}

func wantCore(ctx context.Context, s SyncStore, project preview.Project, policy repoconfig.Policy) error {
	heads, err := s.Branches(ctx, project.ID)
	if err != nil {
		return err
	}
	for _, wish := range desired.CoreWishes(policy, heads) {
		_, err := s.Want(ctx, preview.Wish{ProjectID: project.ID, Kind: wish.Kind, Name: preview.CoreName(project.Hash, wish.Kind),
			Branch: wish.Head.Branch, SHA: wish.Head.SHA, PushedAt: wish.Head.PushedAt})
		if err != nil {
			return err
		}
	}
	return nil
}
