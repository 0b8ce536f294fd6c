package reconcile

import (
	"context"
	"io"
	"io/fs"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// Provider observes and changes one kind of resource at one outside system.
//
// All methods are idempotent, safe for concurrent use on different names, bounded by ctx, and
// refuse a name that does not match preview.NamePattern. An environment may have several resources of
// one kind (Workers), each with a name of its own and all with one mark. Errors are classed as in
// preview.Classify: transient ones may be retried by the caller, an *preview.InvalidError is the
// user's fault, preview.ErrConflict means that something without our mark is in the way.
type Provider interface {
	// Observe looks and changes nothing. A resource that does not exist is no error, nor is one that can't be used as it is: it is
	// unfinished, Apply tells why, and Delete removes it.
	Observe(ctx context.Context, r preview.Resource) (preview.Observed, error)
	// Apply creates the resource or brings it up to date, and records r.Digest with the mark as
	// its last act. An existing resource with another mark, or none, is preview.ErrConflict and
	// stays as it is. After an error the next Apply continues from whatever is there.
	Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error)
	// Delete removes the resource, and returns only when it is observed gone. A missing one is
	// no error; one that does not carry the mark is preview.ErrConflict and stays.
	Delete(ctx context.Context, r preview.Resource) error
	// List finds everything that carries any mark of ours, in name order.
	List(ctx context.Context) ([]preview.Found, error)
}

// Set is the providers that environments of one project use.
type Set struct {
	Kinds map[preview.Kind]Provider
	// Offered are their names, as a repository's policy may pick them.
	Offered []string
	// Places are where each makes things: no two accounts have the same. Without, what is in the ledger is there.
	Places map[preview.Kind]string
}

// Providers tells what each project uses: nothing in a pass knows which. It is safe for concurrent use.
type Providers interface {
	// Set is what environments of a kind use. Of a project that the operator does not list it is what everybody gets: what was made for it
	// can still be deleted.
	Set(ctx context.Context, p preview.Project, kind preview.EnvironmentKind) (Set, error)
	// At is the provider of a kind at a place where something was made before; false: the operator names that place no longer.
	At(place string, kind preview.Kind) (Provider, bool)
}

// Headroom is implemented by a provider that learns how many environments its account has room for, as it does from an answer that
// is preview.ErrNoRoom.
type Headroom interface {
	// Headroom is how many environments of the project there can be; false: not known. It calls nobody.
	Headroom(project string) (environments int, known bool)
}

// ApprovalChecker is implemented by a provider of KindSchema that can tell, before the database exists or
// is reset, that Apply would answer with a *preview.ApprovalError. It changes nothing.
type ApprovalChecker interface {
	CheckApproval(ctx context.Context, r preview.Resource, in preview.Inputs) error
}

// Store keeps environments, their ledger and their history. Every write that takes a lease
// changes nothing and returns preview.ErrLeaseLost when the lease is no longer the caller's.
type Store interface {
	Leases
	Environments
	Projects
	Commands
	Ledger
	History
}

// Leases keep two passes from working on one environment at once.
type Leases interface {
	// Acquire leases the environment, or returns preview.ErrLeased, or preview.ErrNotFound.
	Acquire(ctx context.Context, environmentID string, ttl time.Duration) (preview.Lease, preview.Environment, error)
	// Renew extends the lease and tells the newest wanted generation: the fence of a pass.
	Renew(ctx context.Context, l preview.Lease, ttl time.Duration) (wanted int64, err error)
	Release(ctx context.Context, l preview.Lease) error
}

// Environments are the rows that passes write.
type Environments interface {
	// SaveEnvironment writes what a pass decided: everything but the generations, which events bump.
	SaveEnvironment(ctx context.Context, l preview.Lease, e preview.Environment) error
	// Admit takes one of the project's places, of which there are limit, for a preview. It returns
	// 0 when the preview has a place, else its position in the queue from 1, oldest first.
	Admit(ctx context.Context, l preview.Lease, limit int) (position int, err error)
	// Leave gives the place back and wants a pass for each preview that waits for one.
	Leave(ctx context.Context, l preview.Lease) error
}

// Projects are the repositories and what they may use.
type Projects interface {
	Project(ctx context.Context, id string) (preview.Project, error)
	// Entitlement is preview.ErrNotFound when the operator listed neither the repository nor its installation.
	Entitlement(ctx context.Context, p preview.Project) (preview.Entitlement, error)
	// GoodConfig is the newest configuration of the default branch that was valid.
	GoodConfig(ctx context.Context, projectID string) (data []byte, found bool, err error)
	// SaveGoodConfig keeps such a configuration; nil says that there is none any more.
	SaveGoodConfig(ctx context.Context, projectID string, data []byte) error
}

// Commands are what people asked for on a pull request, each once.
type Commands interface {
	// PendingCommands are those not yet done, oldest first. Those not newer than the pull request's
	// last close or reopen are marked dropped and are not in the answer.
	PendingCommands(ctx context.Context, e preview.Environment) ([]preview.Command, error)
	// FinishCommand saves the environment as the command changed it, the command's outcome
	// (done, refused or invalid) and an audit entry, all or nothing.
	FinishCommand(ctx context.Context, l preview.Lease, e preview.Environment, c preview.Command, outcome preview.CommandOutcome) error
}

// Ledger is what was begun at the providers, so that nothing exists that it does not know.
type Ledger interface {
	// Ledger lists what was ever begun for the environment and not yet forgotten.
	Ledger(ctx context.Context, environmentID string) ([]preview.LedgerEntry, error)
	// RecordIntent is written before a provider creates or changes a resource, whose entry has no digest until RecordApplied. place is
	// where: Set.Places.
	RecordIntent(ctx context.Context, l preview.Lease, key preview.Key, name, place string) error
	RecordApplied(ctx context.Context, l preview.Lease, key preview.Key, place, digest string, out preview.Outputs) error
	Forget(ctx context.Context, l preview.Lease, key preview.Key, place string) error
	// RecordDeployment notes which version of a Worker serves, where the provider keeps them. It may be told again.
	RecordDeployment(ctx context.Context, l preview.Lease, d preview.Deployment) error
}

// History is what passes did and what GitHub was told.
type History interface {
	Audit(ctx context.Context, e preview.AuditEntry) error
	RecordPass(ctx context.Context, p preview.PassRecord) error
	// Published is the JSON of report.Published; empty before the first report.
	Published(ctx context.Context, environmentID string) ([]byte, error)
	// SavePublished replaces prev, as it was read before.
	SavePublished(ctx context.Context, l preview.Lease, prev, published []byte) error
}

// GitHub is what a pass reads of a repository. preview.ErrGone means that the installation or the
// repository is out of reach for good, preview.ErrNotFound that the named thing does not exist.
type GitHub interface {
	PullRequest(ctx context.Context, p preview.Project, number int) (preview.PullRequest, error)
	ChangedFiles(ctx context.Context, p preview.Project, number int) ([]string, error)
	BranchHead(ctx context.Context, p preview.Project, branch string) (sha string, err error)
	File(ctx context.Context, p preview.Project, ref, path string) ([]byte, error)
	// ConfigFile is the configuration at ref, or else the organisation's default.
	ConfigFile(ctx context.Context, p preview.Project, ref string) (data []byte, found bool, err error)
	// Archive is the repository at a commit as a gzip tar; the caller closes it.
	Archive(ctx context.Context, p preview.Project, sha string) (io.ReadCloser, error)
}

// Conversation is how a pass answers people on a pull request.
type Conversation interface {
	Role(ctx context.Context, p preview.Project, login string) (preview.Role, error)
	React(ctx context.Context, p preview.Project, commentID int64, content string) error
	// Reply writes or edits the one comment that carries marker.
	Reply(ctx context.Context, p preview.Project, pr int, marker, body string) (commentID int64, err error)
}

// Reporter shows a rendering on GitHub. It writes only what changed since prev, and returns what
// was published so far even with an error. When ctx ends, it finishes the writes at hand and begins no other.
type Reporter interface {
	Publish(ctx context.Context, p preview.Project, pr preview.PullRequest, prev report.Published, r report.Rendering) (report.Published, error)
	// AnswerCheck writes one finished check run on a commit that has no environment.
	AnswerCheck(ctx context.Context, p preview.Project, sha string, check report.Check) error
}

// Source is an unpacked repository. Close removes it.
type Source interface {
	fs.FS
	Close() error
}

// Builder turns an archive into a source tree, and that into a Worker's bundle. Neither runs
// anything of what it is given. What is wrong with the content is an *preview.InvalidError.
type Builder interface {
	Unpack(ctx context.Context, archive io.Reader) (Source, error)
	// Bundle is that of the layout's Worker whose preview.Key has that name.
	Bundle(ctx context.Context, source fs.FS, layout preview.Layout, worker string) (*preview.Bundle, error)
}
