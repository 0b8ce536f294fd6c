package specsync

import (
	"context"
	"io/fs"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// Store keeps what is published, and the commands that people gave.
type Store interface {
	Project(ctx context.Context, id string) (preview.Project, error)
	// Entitlement is preview.ErrNotFound when the operator listed neither the repository nor its installation.
	Entitlement(ctx context.Context, p preview.Project) (preview.Entitlement, error)
	// GoodConfig is the newest configuration of the default branch that was valid.
	GoodConfig(ctx context.Context, projectID string) (data []byte, found bool, err error)
	// AcquireSpec lets one look at a pull request's specs; preview.ErrLeased while another one does. published is the
	// JSON of a report.Published.
	AcquireSpec(ctx context.Context, projectID string, pr int, ttl time.Duration) (l preview.SpecLease, published []byte, err error)
	// SaveSpec is preview.ErrLeaseLost when another look holds the lease. renewed: a wish for a new check is fulfilled.
	SaveSpec(ctx context.Context, l preview.SpecLease, published []byte, renewed bool) error
	ReleaseSpec(ctx context.Context, l preview.SpecLease) error
	// PendingSpecCommands are those not done, oldest first.
	PendingSpecCommands(ctx context.Context, projectID string, pr int) ([]preview.Command, error)
	FinishSpecCommand(ctx context.Context, c preview.Command, outcome preview.CommandOutcome, commit string) error
	Commits
}

// Commits remembers commits before a branch is moved to them.
type Commits interface {
	SaveSpecCommit(ctx context.Context, projectID, branch, base, commit string) error
	// SpecCommit is head if it is a commit that was made for the branch, from base if that is not empty; else empty.
	SpecCommit(ctx context.Context, projectID, branch, base, head string) (commit string, err error)
}

// GitHub is what is read of a repository and shown in it. preview.ErrGone means that it is out of reach for good,
// preview.ErrNotFound that the named thing does not exist.
type GitHub interface {
	PullRequest(ctx context.Context, p preview.Project, number int) (preview.PullRequest, error)
	ChangedFiles(ctx context.Context, p preview.Project, number int) ([]string, error)
	// ConfigFile is the configuration at ref, or else the organisation's default.
	ConfigFile(ctx context.Context, p preview.Project, ref string) (data []byte, found bool, err error)
	BranchHead(ctx context.Context, p preview.Project, branch string) (sha string, err error)
	// Standing is what somebody is on the repository at this moment.
	Standing(ctx context.Context, p preview.Project, login string) (preview.Standing, error)
	// PublishCheck brings a check run up to date, and returns what was published even with an error.
	PublishCheck(ctx context.Context, p preview.Project, prev report.Published, check report.Check) (report.Published, error)
	Reply(ctx context.Context, p preview.Project, pr int, marker, body string) (int64, error)
	React(ctx context.Context, p preview.Project, commentID int64, content string) error
}

// Committer writes, and only this: a commit, and a branch moved on to it.
// preview.ErrNotPermitted: the App lacks the permission, or a rule of the repository forbids it.
type Committer interface {
	// Blobs are the ids of a commit's files by path. A symbolic link and a submodule are files here, too.
	Blobs(ctx context.Context, p preview.Project, sha string) (map[string]string, error)
	// CommitFiles makes a commit on its parent that no branch has yet. A nil content deletes a file.
	CommitFiles(ctx context.Context, p preview.Project, parent string, files []preview.CommitFile, message string) (sha string, err error)
	// MoveBranch moves a branch forward to a commit; one that has it already is no error. preview.ErrConflict: the
	// branch went on to something else, or is gone.
	MoveBranch(ctx context.Context, p preview.Project, branch, sha string) error
}

// Sources gives the files of a commit. The caller closes them.
type Sources interface {
	Source(ctx context.Context, p preview.Project, sha string) (Source, error)
}

// Source is a commit's files, which can't be left by any path. Symbolic links are not in it.
type Source interface {
	fs.FS
	Close() error
}
