package specsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

// Applied is what became of an attempt to commit what specs ask for.
type Applied struct {
	Result
	Commit string // what was committed; empty: all was as the specs say
}

// ErrMoved is returned when a branch is no longer at the commit that was looked at.
var ErrMoved = errors.New("the branch went on to another commit")

// ErrConflicts is returned when files are in the way, or specs contradict themselves: nothing was written. The
// result has them.
var ErrConflicts = errors.New("conflicts are to be resolved first")

// ErrInvalid is returned when nothing can be generated; the result has the problems.
var ErrInvalid = errors.New("the specs are not valid")

const (
	commitTitle = "Apply the specs"
	maxBreaking = 20 // in a commit's message
)

// Attempt is how an attempt to apply ended.
type Attempt string

// The ends of attempts.
const (
	AttemptApplied   Attempt = "applied"
	AttemptClean     Attempt = "clean" // there was nothing to commit
	AttemptConflicts Attempt = "conflicts"
	AttemptInvalid   Attempt = "invalid"
	AttemptMoved     Attempt = "moved"   // the branch went on meanwhile
	AttemptRefused   Attempt = "refused" // GitHub does not let the App commit
	AttemptFailed    Attempt = "failed"
)

// Attempts are all of them.
func Attempts() []Attempt {
	return []Attempt{AttemptApplied, AttemptClean, AttemptConflicts, AttemptInvalid, AttemptMoved, AttemptRefused, AttemptFailed}
}

func attempt(done Applied, err error) Attempt {
	switch {
	case errors.Is(err, ErrConflicts):
		return AttemptConflicts
	case errors.Is(err, ErrInvalid):
		return AttemptInvalid
	case errors.Is(err, ErrMoved):
		return AttemptMoved
	case errors.Is(err, preview.ErrNotPermitted):
		return AttemptRefused
	case err != nil:
		return AttemptFailed
	case done.Commit != "":
		return AttemptApplied
	}
	return AttemptClean
}

// apply makes one attempt, and tells of it.
func (s *Syncer) apply(ctx context.Context, p preview.Project, branch, sha, actor string, fallback []byte) (Applied, error) {
	began := s.Now()
	done, err := s.commit(ctx, p, branch, sha, actor, fallback)
	s.Attempted(attempt(done, err), s.Now().Sub(began))
	return done, err
}

// commit commits what the specs at sha ask for to the branch, if that is still there. What an earlier attempt did is
// found again: where its answer got lost, the branch is at a commit that was written down before.
func (s *Syncer) commit(ctx context.Context, p preview.Project, branch, sha, actor string, fallback []byte) (Applied, error) {
	r, err := s.compareAt(ctx, p, sha, fallback)
	done := Applied{Result: r}
	switch {
	case err != nil:
		return done, err
	case len(r.Problems) > 0:
		return done, ErrInvalid
	case r.Report.Summary.HasConflicts:
		return done, ErrConflicts
	case r.NoSpecs, r.Report.Summary.Status == drift.Clean:
		return done, nil
	}
	if err := s.guard(ctx, p, sha, &done.Result); err != nil {
		return done, err
	}
	commit, err := s.Committer.CommitFiles(ctx, p, sha, r.files(), message(r.Report, actor))
	if err != nil {
		return done, err
	}
	if err := s.Store.SaveSpecCommit(ctx, p.ID, branch, sha, commit); err != nil {
		return done, err
	}
	err = s.Committer.MoveBranch(ctx, p, branch, commit)
	if errors.Is(err, preview.ErrConflict) {
		return done, ErrMoved
	}
	if err != nil {
		return done, err
	}
	done.Commit = commit
	return done, nil
}

// guard asks git itself what is at each path: an archive lacks links, submodules and files that export-ignore
// names, and may have others than are committed. Whatever is not what was compared is in the way.
func (s *Syncer) guard(ctx context.Context, p preview.Project, sha string, r *Result) error {
	blobs, err := s.Committer.Blobs(ctx, p, sha)
	var invalid *preview.InvalidError
	if errors.As(err, &invalid) {
		r.Problems = invalid.Problems
		return ErrInvalid
	}
	if err != nil {
		return err
	}
	var names []string
	for _, c := range r.Report.ChangedFiles {
		names = append(names, c.Path)
	}
	var foreign []drift.Conflict
	for _, name := range append(names, drift.ManifestPath) {
		if above := blobAbove(blobs, name); above != "" {
			foreign = append(foreign, drift.Conflict{Path: above, Reason: drift.ManualDivergence, Resolution: "A link, a submodule or a file is where a folder should be: move it away; then apply again."})
		} else if blobs[name] != r.blobs[name] {
			foreign = append(foreign, drift.Conflict{Path: name, Reason: drift.ManualDivergence, Resolution: "What is committed here is not in the repository's archive as it is, such as a link, or a file with attributes for export: move it away; then apply again."})
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	r.Report.Conflicts = append(r.Report.Conflicts, foreign...)
	r.Report.Mismatch(nil) // judges anew
	return ErrConflicts
}

// blobAbove is what is a file where a path has a folder, if anything is.
func blobAbove(blobs map[string]string, name string) string {
	for i, char := range name {
		if char == '/' && blobs[name[:i]] != "" {
			return name[:i]
		}
	}
	return ""
}

// files are what a commit changes: what the report says, and the manifest.
func (r Result) files() []preview.CommitFile {
	var files []preview.CommitFile
	for _, c := range r.Report.ChangedFiles {
		files = append(files, preview.CommitFile{Path: c.Path, Content: c.After()})
	}
	return append(files, preview.CommitFile{Path: drift.ManifestPath, Content: r.manifest})
}

// message is the commit's. Nobody is mentioned in a way that GitHub would tell them of.
func message(r drift.Report, actor string) string {
	text := commitTitle + "\n\nThe specs changed, and what is made of them with them.\n"
	for i, b := range r.BreakingChanges {
		if i == maxBreaking {
			text += fmt.Sprintf("and %d more breaking changes\n", len(r.BreakingChanges)-i)
			break
		}
		if i == 0 {
			text += "\n"
		}
		text += fmt.Sprintf("Breaking: %s %s\n", b.Kind, clip(b.Name))
	}
	return text + "\nAsked for by " + actor + ".\n"
}

// compareAt compares the files of a commit with its specs. Few run at once: each may take some hundred megabytes.
func (s *Syncer) compareAt(ctx context.Context, p preview.Project, sha string, fallback []byte) (Result, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return Result{}, preview.Transient(fmt.Errorf("wait for another comparison: %w", ctx.Err()))
	}
	source, err := s.Sources.Source(ctx, p, sha)
	if preview.Classify(err) == preview.ClassInvalid {
		var invalid *preview.InvalidError
		errors.As(err, &invalid)
		return Result{Problems: invalid.Problems}, nil
	}
	if err != nil {
		return Result{}, err
	}
	r, err := Compare(ctx, source, fallback)
	return r, errors.Join(err, source.Close())
}

// Request asks for a branch of a project from outside of pull requests.
type Request struct {
	Project preview.Project
	Branch  string
	HeadSHA string // where the branch must be; empty, for a dry run only: wherever it is
	DryRun  bool
	Actor   string // login of who asks, whose rights the caller has checked
}

// Outcome is what a request came to. Its JSON is the drift report, with where it holds.
type Outcome struct {
	drift.Report
	Branch   string            `json:"branch"`
	HeadSHA  string            `json:"headSha"` // that the report is of
	Commit   string            `json:"commit"`  // that was made; empty: none
	Problems []preview.Problem `json:"-"`
}

// ErrNoSpecs is returned where a commit has neither specs nor anything that was generated from some.
var ErrNoSpecs = errors.New("there are no specs")

// ErrDefaultBranch is returned where somebody would commit to the default branch, past all pull requests.
var ErrDefaultBranch = errors.New("nothing is committed to the default branch")

// Apply compares a branch with its specs and, unless it is a dry run, commits what they ask for. The outcome has the
// report also with ErrConflicts, and the problems with ErrInvalid. ErrMoved: the branch is not where it must be.
// preview.ErrNotFound: there is no such branch, or nothing is done in this repository. A request that is sent again
// because its answer got lost finds what it did.
func (s *Syncer) Apply(ctx context.Context, r Request) (Outcome, error) {
	done := Outcome{Branch: r.Branch}
	config, served, err := s.configuration(ctx, r.Project)
	if err != nil {
		return done, err
	}
	if !served || r.Project.Archived {
		return done, fmt.Errorf("specs of %s: %w", r.Project.FullName(), preview.ErrNotFound)
	}
	if !r.DryRun && r.Branch == r.Project.DefaultBranch {
		return done, ErrDefaultBranch
	}
	if done.HeadSHA, done.Commit, err = s.position(ctx, r); err != nil {
		return done, err
	}
	var made Applied
	if r.DryRun || done.Commit != "" {
		made.Result, err = s.compareAt(ctx, r.Project, done.HeadSHA, config)
	} else {
		made, err = s.apply(ctx, r.Project, r.Branch, done.HeadSHA, r.Actor, config)
		done.Commit = made.Commit
	}
	done.Report, done.Problems = made.Report, made.Problems
	switch {
	case err != nil:
		return done, err
	case made.NoSpecs:
		return done, ErrNoSpecs
	case len(made.Problems) > 0:
		return done, ErrInvalid
	case done.Commit != "":
		done.Applied(s.Now())
	}
	return done, nil
}

// position is where a request finds its branch, and the commit there if an equal request made it before. Anywhere
// else than the request says is ErrMoved.
func (s *Syncer) position(ctx context.Context, r Request) (head, commit string, err error) {
	head, err = s.GitHub.BranchHead(ctx, r.Project, r.Branch)
	if err != nil || r.HeadSHA == "" || r.HeadSHA == head {
		return head, "", err
	}
	if !r.DryRun {
		commit, err = s.Store.SpecCommit(ctx, r.Project.ID, r.Branch, r.HeadSHA, head)
	}
	if err == nil && commit == "" {
		err = ErrMoved
	}
	return head, commit, err
}
