package onboard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

const title = "Configure Flaresmith"

var errOther = preview.Transient(errors.New("another look at the repository is under way"))

// Onboarder looks at repositories. It is safe for concurrent use, also on one project: whoever is
// first decides, and the other finds it done.
type Onboarder struct {
	Store    Store
	GitHub   GitHub
	Proposer Proposer
	Logger   *slog.Logger
}

// look is one look at one repository.
type look struct {
	*Onboarder
	project preview.Project
	state   preview.Onboarding
	parents bool // there is a database to branch from
}

// Look proposes a configuration if one is due, and says how long to wait before it is: 0 means that
// there is nothing to come back for. Its error is worth another try; what no retry cures is noted and
// waits for the next event, such as permissions that are granted.
func (o *Onboarder) Look(ctx context.Context, projectID string) (again time.Duration, err error) {
	l, due, err := o.begin(ctx, projectID)
	if err != nil || !due {
		return 0, err
	}
	again, err = l.run(ctx)
	switch {
	case err == nil, errors.Is(err, preview.ErrGone):
		return again, nil
	case preview.Classify(err) == preview.ClassTransient, ctx.Err() != nil:
		return 0, fmt.Errorf("onboard %s: %w", l.project.FullName(), err)
	}
	l.Logger.Warn("no configuration was proposed", slog.String("repo", l.project.FullName()), slog.Any("error", err))
	l.state.Note = err.Error()
	return 0, l.save(ctx)
}

// begin reads what we know; due is false when that is enough to leave the repository alone.
func (o *Onboarder) begin(ctx context.Context, projectID string) (l *look, due bool, err error) {
	l = &look{Onboarder: o}
	if l.project, err = o.Store.Project(ctx, projectID); err != nil {
		return nil, false, fmt.Errorf("onboard project %s: %w", projectID, err)
	}
	if l.state, err = o.Store.Onboarding(ctx, projectID); err != nil {
		return nil, false, err
	}
	if l.project.Archived || l.state.Declined || l.state.Done {
		return l, false, nil
	}
	entitlement, err := o.Store.Entitlement(ctx, l.project)
	if errors.Is(err, preview.ErrNotFound) {
		return l, false, nil
	}
	l.parents = len(entitlement.Parents) > 0
	return l, err == nil, err
}

func (l *look) run(ctx context.Context) (again time.Duration, err error) {
	var is preview.RepositoryState
	if l.project, is, err = l.GitHub.Repository(ctx, l.project); err != nil {
		return 0, err
	}
	// A fork is a workbench for somebody else's project; whoever wants previews there adds the file.
	if is.Archived || is.Fork {
		return 0, nil
	}
	if known, err := l.settle(ctx); err != nil || known {
		return 0, err
	}
	if _, found, err := l.GitHub.ConfigFile(ctx, l.project, l.project.DefaultBranch); err != nil || found {
		return 0, err
	}
	if wait, err := l.Store.OnboardingWait(ctx, l.project.ID); err != nil || wait > 0 { // before the many reads
		return wait, err
	}
	proposal, commit, err := l.propose(ctx)
	if err != nil || commit == "" {
		return 0, err
	}
	if wait, err := l.Store.OnboardingSlot(ctx, l.project); err != nil || wait > 0 {
		return wait, err
	}
	return 0, l.open(ctx, proposal, commit)
}

// settle asks GitHub what became of an earlier proposal, and reports whether there was one.
func (l *look) settle(ctx context.Context) (known bool, err error) {
	list, err := l.GitHub.Proposals(ctx, l.project, preview.ConfigureBranch)
	if err != nil {
		return false, err
	}
	if len(list) == 0 {
		return l.state.PR != 0, nil // never a second one, whatever hides the first
	}
	standing := list[0]
	for _, pr := range list[1:] {
		if pr.Open && !standing.Open || pr.Merged && !standing.Open && !standing.Merged {
			standing = pr
		}
	}
	want := preview.Onboarding{Commit: l.state.Commit, PR: standing.Number, Done: standing.Merged, Declined: !standing.Open && !standing.Merged}
	if want == l.state {
		return true, nil
	}
	l.state = want
	l.Logger.Info("a configuration was proposed", slog.String("repo", l.project.FullName()), slog.Int("pr", want.PR),
		slog.Bool("merged", want.Done), slog.Bool("declined", want.Declined))
	return true, l.save(ctx)
}

// propose detects the layout. commit is where it was detected; empty when there is nothing to propose.
func (l *look) propose(ctx context.Context) (p Proposal, commit string, err error) {
	commit, err = l.start(ctx)
	if err != nil || commit == "" {
		return p, "", err
	}
	paths, err := l.GitHub.Files(ctx, l.project, commit)
	if err != nil {
		return p, "", l.lost(ctx, err)
	}
	found, err := Detect(paths, l.reader(ctx, commit))
	if err != nil || len(found.Workers) == 0 {
		return p, "", err
	}
	found.NoParent = !l.parents
	p, err = found.Proposal()
	return p, commit, err
}

// start is the commit that an interrupted look left, or else the head of the default branch; empty: the
// repository is.
func (l *look) start(ctx context.Context) (commit string, err error) {
	head, err := l.GitHub.Head(ctx, l.project, l.project.DefaultBranch)
	if absent(err) {
		return "", nil
	}
	if err != nil || l.state.Commit == "" {
		return head, err
	}
	old, err := l.outdated(ctx, head)
	if err != nil {
		return "", l.lost(ctx, err)
	}
	if !old {
		return l.state.Commit, nil
	}
	if l.state.Commit, err = l.Store.SaveOnboardingCommit(ctx, l.project.ID, l.state.Commit, ""); err != nil {
		return "", err
	}
	if l.state.Commit != "" {
		return "", errOther
	}
	return head, nil
}

// outdated reports whether the default branch went on since the saved commit was made, and no branch is at that
// commit: as when a rule of the repository refused the branch, long ago.
func (l *look) outdated(ctx context.Context, head string) (bool, error) {
	parent, err := l.GitHub.Parent(ctx, l.project, l.state.Commit)
	if err != nil || parent == head {
		return false, err
	}
	_, err = l.GitHub.Head(ctx, l.project, preview.ConfigureBranch)
	if absent(err) {
		return true, nil
	}
	return false, err
}

// absent tells that the repository is there and the named thing is not.
func absent(err error) bool {
	return errors.Is(err, preview.ErrNotFound) && !errors.Is(err, preview.ErrGone)
}

// reader reads files of a commit for Detect.
func (l *look) reader(ctx context.Context, commit string) Reader {
	return func(path string) (data []byte, ok bool, err error) {
		data, err = l.GitHub.File(ctx, l.project, commit, path)
		switch {
		case absent(err):
			return nil, false, nil
		case preview.Classify(err) == preview.ClassInvalid:
			return nil, true, nil // too large to look into
		}
		return data, err == nil, err
	}
}

// open makes commit, branch and pull request. Each is found again by the next look if this one is
// interrupted: the commit by what is saved before the branch is made, the others at GitHub.
func (l *look) open(ctx context.Context, p Proposal, commit string) (err error) {
	if commit != l.state.Commit {
		if commit, err = l.Proposer.CommitFile(ctx, l.project, commit, repoconfig.Path, p.File, title); err != nil {
			return err
		}
		if l.state.Commit, err = l.Store.SaveOnboardingCommit(ctx, l.project.ID, "", commit); err != nil {
			return err
		}
		if l.state.Commit != commit { // another look was first, and its commit may hold another file
			return errOther
		}
	}
	if err := l.Proposer.CreateBranch(ctx, l.project, preview.ConfigureBranch, commit); err != nil {
		return l.lost(ctx, err)
	}
	number, err := l.Proposer.OpenPullRequest(ctx, l.project, preview.ConfigureBranch, l.project.DefaultBranch, title, p.Body)
	if errors.Is(err, preview.ErrConflict) {
		if known, err := l.settle(ctx); err != nil || known {
			return err
		}
	}
	if err != nil {
		return err
	}
	l.state.PR, l.state.Note = number, ""
	l.Logger.Info("a configuration is proposed", slog.String("repo", l.project.FullName()), slog.Int("pr", number))
	return l.save(ctx)
}

// lost forgets the saved commit when GitHub does not have it any more, so that the next look makes another.
func (l *look) lost(ctx context.Context, err error) error {
	if l.state.Commit == "" || !absent(err) {
		return err
	}
	if _, saveErr := l.Store.SaveOnboardingCommit(ctx, l.project.ID, l.state.Commit, ""); saveErr != nil {
		return saveErr
	}
	return preview.Transient(err)
}

func (l *look) save(ctx context.Context) error {
	return l.Store.SaveOnboarding(ctx, l.project.ID, l.state)
}
