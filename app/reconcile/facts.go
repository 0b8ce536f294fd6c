package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/flaresmith/flaresmith/app/desired"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// patience is how many passes in a row have to miss a pull request before it counts as gone: GitHub
// may tell of one a moment before it can be read.
const patience = 4

// readFacts asks GitHub and the store for everything that decides, in one round. Only what another branch
// or commit than usual says takes a second one.
func (p *pass) readFacts(ctx context.Context) error {
	p.facts = desired.Facts{Project: p.project, Environment: p.env, Offered: p.set.Offered, Now: p.Now()}
	if p.project.Archived {
		p.gone = true
		return nil
	}
	if p.env.Kind.Core() {
		return p.readCoreFacts(ctx)
	}
	var changed []string
	var unlisted error                           // why the changed files are not known: no matter where there is no preview
	listing, needless := context.WithCancel(ctx) // nothing waits for a long list that nobody needs
	defer needless()
	err := inParallel(ctx,
		fact{"pull request", func(ctx context.Context) (err error) {
			if p.facts.PullRequest, err = p.GitHub.PullRequest(ctx, p.project, p.env.PR); !p.facts.PullRequest.Open {
				needless()
			}
			return err
		}},
		fact{"policy", func(ctx context.Context) error {
			err := p.readPolicy(ctx)
			if !p.facts.Configured {
				needless()
			}
			return err
		}},
		fact{"entitlement", p.readEntitlement},
		fact{"changed files", func(ctx context.Context) error {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			defer context.AfterFunc(listing, stop)()
			changed, unlisted = p.GitHub.ChangedFiles(ctx, p.project, p.env.PR)
			return nil
		}},
	)
	switch {
	case errors.Is(err, preview.ErrNotFound) && p.env.Attempts < patience:
		return preview.Transient(err)
	case errors.Is(err, preview.ErrGone), errors.Is(err, preview.ErrNotFound):
		p.gone = true
		return nil
	case err != nil:
		return err
	}
	if !p.facts.PullRequest.Open || !p.facts.Configured {
		return nil
	}
	if unlisted != nil {
		return unlisted
	}
	if p.Changes != nil {
		if err := p.Changes(ctx, p.project, p.facts.PullRequest, changed); err != nil {
			return err
		}
	}
	return p.readChange(ctx, changed)
}

// fact is something to find out.
type fact struct {
	name string
	read func(context.Context) error
}

// inParallel reads facts at once, each in a span of its own. The first error ends the others.
func inParallel(ctx context.Context, facts ...fact) error {
	group, gctx := errgroup.WithContext(ctx)
	for _, f := range facts {
		group.Go(func() error {
			return span(gctx, "fact "+f.name, func(ctx context.Context) error {
				return telemetry.Guarded(func() error { return f.read(ctx) })
			})
		})
	}
	return group.Wait()
}

// readPolicy parses the default branch's configuration. An invalid one leaves the last valid one in
// force, as Sync keeps it.
func (p *pass) readPolicy(ctx context.Context) error {
	data, found, err := p.GitHub.ConfigFile(ctx, p.project, p.project.DefaultBranch)
	if err != nil {
		return err
	}
	p.facts.Configured = found
	if !found {
		return nil
	}
	config, problems := repoconfig.Parse(data)
	if len(problems) == 0 {
		p.facts.Policy, p.facts.Layout = config.Policy, config.Layout
		p.config = append([]byte{}, data...) // not nil: an empty file is one
		return nil
	}
	good, found, err := p.Store.GoodConfig(ctx, p.project.ID)
	if err != nil {
		return storeError("last good configuration", err)
	}
	if config, old := repoconfig.Parse(good); found && len(old) == 0 {
		p.facts.Policy, p.facts.Layout, p.config, p.policyProblems = config.Policy, config.Layout, good, problems
		return nil
	}
	p.facts.ConfigProblems = problems
	return nil
}

func (p *pass) readEntitlement(ctx context.Context) error {
	entitlement, err := p.Store.Entitlement(ctx, p.project)
	switch {
	case errors.Is(err, preview.ErrNotFound):
		return nil
	case err != nil:
		return storeError("entitlement", err)
	}
	p.facts.Entitlement = &entitlement
	return nil
}

// readChange reads what the pull request itself touches: the layout of its base, the paths that
// the policy may ignore, and a change to the configuration, which is checked but not used.
func (p *pass) readChange(ctx context.Context, changed []string) error {
	pr := p.facts.PullRequest
	if len(p.facts.Policy.Paths.Ignore) > 0 {
		p.facts.ChangedFiles = changed
	}
	var facts []fact
	if pr.BaseRef != p.project.DefaultBranch {
		facts = append(facts, fact{"layout", func(ctx context.Context) error { return p.readLayout(ctx, pr.BaseRef) }})
	}
	if !pr.Fork && slices.Contains(changed, repoconfig.Path) {
		facts = append(facts, fact{"proposed configuration", p.readProposal})
	}
	return inParallel(ctx, facts...)
}

// readProposal checks the configuration as the pull request would have it.
func (p *pass) readProposal(ctx context.Context) error {
	data, err := p.GitHub.File(ctx, p.project, p.facts.PullRequest.HeadSHA, repoconfig.Path)
	switch {
	case errors.Is(err, preview.ErrNotFound): // the change deletes it
		return nil
	case err != nil:
		return err
	}
	_, p.configProblems = repoconfig.Parse(data)
	return nil
}

// readLayout takes the layout from the base branch where that has a valid configuration.
func (p *pass) readLayout(ctx context.Context, ref string) error {
	data, err := p.GitHub.File(ctx, p.project, ref, repoconfig.Path)
	switch {
	case errors.Is(err, preview.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if config, problems := repoconfig.Parse(data); len(problems) == 0 {
		p.facts.Layout = config.Layout
	}
	return nil
}

// readCoreFacts reads what decides about dev, staging or prod: the policy, and where the branch
// of the newest push stands now.
func (p *pass) readCoreFacts(ctx context.Context) error {
	err := p.readPolicy(ctx)
	if err == nil {
		err = p.readEntitlement(ctx)
	}
	if err == nil {
		var head string
		if head, err = p.GitHub.BranchHead(ctx, p.project, p.env.Branch); err == nil {
			p.env.SHA = head
			p.facts.PullRequest = preview.PullRequest{HeadSHA: head, HeadRef: p.env.Branch}
			return nil
		}
	}
	if errors.Is(err, preview.ErrGone) || errors.Is(err, preview.ErrNotFound) {
		return p.keepCore()
	}
	return fmt.Errorf("facts of %s: %w", p.env.Name, err)
}

// keepCore leaves a core environment exactly as it is: its branch or repository is out of sight.
func (p *pass) keepCore() error {
	p.facts.Configured = false
	return nil
}
