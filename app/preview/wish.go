package preview

import "time"

// Wish is one event's worth of wanting an environment: it says that something changed and lets
// the next pass find out what.
type Wish struct {
	ProjectID string
	Kind      EnvironmentKind
	Name      string // PreviewName or CoreName
	PR        int    // previews only
	// Branch, SHA and PushedAt name the push that a core environment should serve. They count
	// only if the push is newer than the one known, so that an environment never goes backward.
	Branch   string
	SHA      string
	PushedAt time.Time
	// LifecycleAt is when the pull request was closed or reopened; zero for any other event.
	LifecycleAt time.Time
	// NewCheck asks for a check run of its own instead of an update of the last one.
	NewCheck bool
}

// Repository is what an event says of the repository it is about.
type Repository struct {
	InstallationID int64
	RepoID         int64
	Owner          string
	Name           string
	DefaultBranch  string // empty: the event does not say
	// FactsAt is when GitHub last changed what it says here, so that an event that comes late
	// does not undo a newer one. Zero: unknown, and then nothing known is overwritten.
	FactsAt time.Time
}

// Installation is what an event says of an installation of the App.
type Installation struct {
	ID        int64
	Account   string // login of the organisation or user
	AccountID int64
	Suspended bool
	Deleted   bool
	FactsAt   time.Time // as in Repository
}

// Push is the newest known state of a branch.
type Push struct {
	ProjectID string
	Branch    string // hostile text, without "refs/heads/"
	Before    string // the commit that the branch was at; orders pushes within one second
	SHA       string // the commit that it is at now; empty: not known
	PushedAt  time.Time
	Deleted   bool
}

// Onboarding is how far the proposal of a configuration to a repository came.
type Onboarding struct {
	Commit   string // that the branch ConfigureBranch is made at; empty: not yet known
	PR       int    // the pull request; 0: none
	Declined bool   // it was closed unmerged: there is never another
	Done     bool   // it was merged
	Note     string // what kept it from being opened the last time, for the operator
}
