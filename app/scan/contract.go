package scan

import (
	"context"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// GitHub is what a search reads and writes. Errors are classed as in preview.Classify; none tells a path or a text.
type GitHub interface {
	// ConfigFile is the configuration at ref, or else the organisation's default.
	ConfigFile(ctx context.Context, p preview.Project, ref string) (data []byte, found bool, err error)
	PullHead(ctx context.Context, p preview.Project, number int) (preview.Head, error)
	// PullHeads are the open pull requests whose head is this commit.
	PullHeads(ctx context.Context, p preview.Project, sha string) ([]preview.Head, error)
	// Compare lists the commits that head has and base lacks, oldest first; it ends soon after so many.
	Compare(ctx context.Context, p preview.Project, base, head string, most int) (preview.Comparison, error)
	Commit(ctx context.Context, p preview.Project, sha string) (preview.Commit, error)
	// Difference lists the files in which two commits differ; whole is false if there may be more.
	Difference(ctx context.Context, p preview.Project, from, to string) (files []preview.ChangedFile, whole bool, err error)
	Tree(ctx context.Context, p preview.Project, sha string) (files []preview.TreeFile, whole bool, err error)
	// Blob is preview.ErrTooLarge beyond most bytes, and preview.ErrNotFound for what is no blob.
	Blob(ctx context.Context, p preview.Project, id string, most int64) ([]byte, error)
	// Tag is an annotated tag by its object.
	Tag(ctx context.Context, p preview.Project, id string) (preview.Tag, error)
	// Comments are those below a pull request, its reviews and the comments in these; whole is false if there may be more.
	Comments(ctx context.Context, p preview.Project, number int) (comments []preview.Comment, whole bool, err error)
	// Answered is the conclusion and the summary of the completed check run of that name and external id; empty: there
	// is none.
	Answered(ctx context.Context, p preview.Project, check report.Check) (conclusion, summary string, err error)
	// ShowCheck writes the commit's check run of that name and external id.
	ShowCheck(ctx context.Context, p preview.Project, check report.Check) error
}

// Store keeps what was clean, by secretscan's keys.
type Store interface {
	Project(ctx context.Context, id string) (preview.Project, error)
	Entitlement(ctx context.Context, p preview.Project) (preview.Entitlement, error)
	// GoodConfig is the newest configuration of the default branch that was valid.
	GoodConfig(ctx context.Context, projectID string) (data []byte, found bool, err error)
	// ScanAlone does something unless somebody does it for the same commit: then it is preview.ErrLeased.
	ScanAlone(ctx context.Context, projectID, sha string, do func(ctx context.Context) error) error
	Clean(ctx context.Context, projectID string, keys [][32]byte) (map[[32]byte]bool, error)
	SaveClean(ctx context.Context, projectID string, keys [][32]byte) error
}
