package onboard

import (
	"context"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Store keeps how far each onboarding came.
type Store interface {
	Project(ctx context.Context, id string) (preview.Project, error)
	// Entitlement is preview.ErrNotFound when the operator listed neither the repository nor its installation.
	Entitlement(ctx context.Context, p preview.Project) (preview.Entitlement, error)
	// Onboarding is the zero value before the first Save.
	Onboarding(ctx context.Context, projectID string) (preview.Onboarding, error)
	// OnboardingWait is how long to wait for the moment that OnboardingSlot gave; 0: it came, or none was given.
	OnboardingWait(ctx context.Context, projectID string) (wait time.Duration, err error)
	// OnboardingSlot is how long to wait before a pull request is opened; asking again takes no other moment,
	// unless that is long past.
	OnboardingSlot(ctx context.Context, p preview.Project) (wait time.Duration, err error)
	// SaveOnboardingCommit replaces the commit before and returns the one that counts, which is another
	// one's when that was first.
	SaveOnboardingCommit(ctx context.Context, projectID, before, commit string) (string, error)
	SaveOnboarding(ctx context.Context, projectID string, o preview.Onboarding) error
}

// GitHub is what is read of a repository. preview.ErrGone means that it is out of reach for good,
// preview.ErrNotFound that the named thing does not exist.
type GitHub interface {
	// Repository follows renames: the project that it returns has the newest names.
	Repository(ctx context.Context, p preview.Project) (preview.Project, preview.RepositoryState, error)
	// ConfigFile is the configuration at ref, or else the organisation's default.
	ConfigFile(ctx context.Context, p preview.Project, ref string) (data []byte, found bool, err error)
	// Proposals are the App's own pull requests from a branch, in any state.
	Proposals(ctx context.Context, p preview.Project, branch string) ([]preview.PullRequest, error)
	Head(ctx context.Context, p preview.Project, branch string) (sha string, err error)
	// Parent is the first parent of a commit.
	Parent(ctx context.Context, p preview.Project, sha string) (parent string, err error)
	// Files lists the paths of a commit.
	Files(ctx context.Context, p preview.Project, sha string) ([]string, error)
	// File is an *preview.InvalidError for a file that is too large.
	File(ctx context.Context, p preview.Project, ref, path string) ([]byte, error)
}

// Proposer writes, and only this: a commit, a branch at it, a pull request of it.
type Proposer interface {
	CommitFile(ctx context.Context, p preview.Project, parent, path string, content []byte, message string) (sha string, err error)
	// CreateBranch finds a branch that is at the commit already. One at another commit is
	// preview.ErrConflict, a commit that is gone preview.ErrNotFound.
	CreateBranch(ctx context.Context, p preview.Project, branch, sha string) error
	// OpenPullRequest answers preview.ErrConflict when there is an open one between the branches.
	OpenPullRequest(ctx context.Context, p preview.Project, head, base, title, body string) (number int, err error)
}
