package preview

import "time"

// PullRequest is what GitHub says of a pull request right now.
type PullRequest struct {
	Number      int
	Open        bool
	Merged      bool
	Draft       bool
	Title       string // hostile text
	Author      string // login
	AuthorIsBot bool
	HeadSHA     string // 40 hexadecimal characters
	HeadRef     string // hostile text
	Fork        bool   // the head is in another repository, or in one that was deleted
	BaseRef     string
	BaseSHA     string
	Labels      []string
	URL         string // the page of the pull request
}

// ConfigureBranch is the head of the pull request with which Flaresmith proposes a configuration.
const ConfigureBranch = "flaresmith/configure"

// RepositoryState is what a repository is, apart from its content.
type RepositoryState struct {
	Archived bool // nothing can be written to it
	Fork     bool // it is somebody's copy of another repository
}

// Role is a person's standing on a repository, from GitHub's role_name.
type Role string

// The roles, weakest first.
const (
	RoleNone        Role = "none"
	RoleViewer      Role = "viewer"      // read, triage
	RoleContributor Role = "contributor" // write
	RoleMaintainer  Role = "maintainer"  // maintain
	RoleOwner       Role = "owner"       // admin
)

// AtLeast reports whether r may do what needs min. An unknown role may do nothing.
func (r Role) AtLeast(min Role) bool {
	return r.rank() > 0 && r.rank() >= min.rank()
}

func (r Role) rank() int {
	switch r {
	case RoleViewer:
		return 1
	case RoleContributor:
		return 2
	case RoleMaintainer:
		return 3
	case RoleOwner:
		return 4
	}
	return 0
}

// Person is somebody whom GitHub vouched for. The id is theirs for ever; the login may be given up
// and taken by somebody else.
type Person struct {
	ID    int64
	Login string
}

// Standing is what the owner of a login is on a repository right now.
type Standing struct {
	UserID int64 // 0: nobody has that login
	Role   Role
	// Everybody is set where the role is no more than anybody has, because the repository is public.
	Everybody bool
}

// Verb is a slash command's name, or a button's action.
type Verb string

// The commands. VerbUnknown stands for anything else that began with "/flaresmith".
const (
	VerbHelp    Verb = "help"
	VerbStatus  Verb = "status"
	VerbRebuild Verb = "rebuild"
	VerbResetDB Verb = "reset-db"
	VerbExtend  Verb = "extend"
	VerbDestroy Verb = "destroy"
	VerbPreview Verb = "preview"
	VerbApprove Verb = "approve"
	VerbSpec    Verb = "spec" // with an argument: check or apply
	VerbUnknown Verb = "unknown"
)

// CommandOutcome is how a command ended.
type CommandOutcome string

// The outcomes of a command.
const (
	CommandDone    CommandOutcome = "done"
	CommandRefused CommandOutcome = "refused" // the actor's role is too low
	CommandInvalid CommandOutcome = "invalid" // it can't be done, whoever asks
	// CommandDropped is one that nobody is told about: given before the pull request's last close or reopen, where
	// nothing is configured, or on a fork's pull request.
	CommandDropped CommandOutcome = "dropped"
)

// Command is one wish of a person, recorded once whatever happens to the delivery that brought it.
type Command struct {
	Key       string // "comment:<comment id>", or "check:<check run id>:<identifier>:<time>"
	ProjectID string
	PR        int
	CommentID int64 // 0: a button
	Verb      Verb
	Argument  string // hostile text, at most 100 characters
	Actor     string // login
	ActorID   int64
	CreatedAt time.Time // as GitHub says
	ReplyID   int64     // the comment that answers, once written
}
