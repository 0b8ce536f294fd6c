package preview

import (
	"errors"
	"slices"
	"time"
)

// ErrLeased is returned when another pass holds the environment.
var ErrLeased = errors.New("environment is leased by another pass")

// ErrLeaseLost is returned by a write whose lease ran out and was taken over.
var ErrLeaseLost = errors.New("lease lost")

// Lease is the right to write one environment for a while. Its token fences every write.
type Lease struct {
	EnvironmentID string
	Token         string
}

// CommitFile is a file that a commit changes.
type CommitFile struct {
	Path    string
	Content []byte // nil: the file is deleted
}

// SpecLease is the right to look at the specs of one pull request for a while.
type SpecLease struct {
	ProjectID string
	PR        int
	Token     string
}

// Entitlement is what the operator lets a repository use.
type Entitlement struct {
	Parents       map[string]string // the name that a repository picks → the database
	DefaultParent string            // a key of Parents
	MaxPreviews   int
	// LongLived are the operator's own databases that core environments are, as their kinds; the others get copies.
	LongLived map[EnvironmentKind]string
	// Bindings are what bindings.allow may list, as it does; AnyBinding: everything in the account.
	Bindings   []string
	AnyBinding bool
}

// MayBind reports whether an entry of bindings.allow may be there.
func (e Entitlement) MayBind(entry string) bool {
	return e.AnyBinding || slices.Contains(e.Bindings, entry)
}

// LedgerEntry is one resource that was begun for an environment.
type LedgerEntry struct {
	Kind    Kind
	Worker  string // the name in its key
	Name    string
	Place   string  // where it was made, as the providers call it; empty: not noted
	Digest  string  // of the last Apply; empty until it has finished
	Outputs Outputs // of the last finished Apply; never a secret
}

// Key is what tells the entry from the others of its environment.
func (e LedgerEntry) Key() Key { return Key{Kind: e.Kind, Worker: e.Worker} }

// Deployment is a version of a Worker that a long-lived environment serves or served.
type Deployment struct {
	Worker     string // the name in its key
	Place      string
	Version    string // as the provider at the place calls it
	SHA        string
	DeployedAt time.Time
}

// AuditEntry is one line of the audit table.
type AuditEntry struct {
	ProjectID string
	Actor     string // login; empty: the system
	ActorID   int64
	Operation string // e.g. "environment.destroy"
	Subject   string // e.g. the environment's name
	Detail    map[string]string
}

// PassRecord is the history of one pass.
type PassRecord struct {
	EnvironmentID string
	Generation    int64
	SHA           string
	Outcome       string
	Steps         []StepRecord
	StartedAt     time.Time
	Duration      time.Duration
}

// StepRecord is one step of a pass, with times relative to the pass's start.
type StepRecord struct {
	Name       string `json:"name"`
	Op         string `json:"op"`
	OK         bool   `json:"ok"`
	StartMS    int64  `json:"startMs"`
	DurationMS int64  `json:"durationMs"`
	Error      string `json:"error,omitempty"`
}
