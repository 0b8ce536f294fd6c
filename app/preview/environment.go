package preview

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// EnvironmentKind tells a pull request's preview from the long-lived (core) environments.
type EnvironmentKind string

// The kinds of environment.
const (
	EnvironmentPreview EnvironmentKind = "preview"
	EnvironmentDev     EnvironmentKind = "dev"
	EnvironmentStaging EnvironmentKind = "staging"
	EnvironmentProd    EnvironmentKind = "prod"
)

// Valid reports whether k is one of the known kinds.
func (k EnvironmentKind) Valid() bool {
	switch k {
	case EnvironmentPreview, EnvironmentDev, EnvironmentStaging, EnvironmentProd:
		return true
	}
	return false
}

// Core reports whether k is a long-lived environment, which is converged and never deleted.
func (k EnvironmentKind) Core() bool { return k.Valid() && k != EnvironmentPreview }

// State is where an environment stands in its life.
type State string

// The states of an environment. Previews use queued, provisioning, active, updating, error and archived.
const (
	StateQueued       State = "queued"       // wanted, nothing exists yet
	StateProvisioning State = "provisioning" // being created for the first time
	StateActive       State = "active"       // exists and is up to date
	StateUpdating     State = "updating"     // exists, a newer wish is being applied
	StateError        State = "error"        // the last pass failed; what served before still serves
	StateFailed       State = "failed"       // core environments only: needs a person
	StateArchived     State = "archived"     // gone: nothing exists at any provider
)

// Valid reports whether s is one of the known states.
func (s State) Valid() bool {
	switch s {
	case StateQueued, StateProvisioning, StateActive, StateUpdating, StateError, StateFailed, StateArchived:
		return true
	}
	return false
}

// Project is one repository seen through one installation of the App.
// The ids are GitHub's; Owner and Name follow renames.
type Project struct {
	ID             string // UUID, ours
	InstallationID int64
	RepoID         int64
	Owner          string
	Name           string
	DefaultBranch  string
	Hash           string // ProjectHash(InstallationID, RepoID)
	Archived       bool   // the repository is archived or gone, or its installation is: nothing can be written there
}

// FullName is "owner/name".
func (p Project) FullName() string { return p.Owner + "/" + p.Name }

// Environment is one row of the environments table: what is wanted of one environment and
// what the last pass left behind.
type Environment struct {
	ID        string // UUID
	ProjectID string
	Kind      EnvironmentKind
	Name      string // provider-side name, see PreviewName and CoreName; never changes
	PR        int    // previews only
	Title     string // previews: the pull request's when last reported on; plain text on one line, shortened; read only
	HeadRef   string // previews: its branch, likewise
	Branch    string // core environments: the branch of the newest push
	SHA       string // core environments: the newest push's commit
	State     State
	Wanted    int64 // generation; each event adds one
	Observed  int64 // the generation of the last finished pass
	Closed    bool  // the pull request is closed: only its own events wake it again
	Held      bool  // destroyed by a person: stays down until preview or rebuild
	Rebuild   bool  // asks for everything but the database to be made anew, until that has succeeded
	// ResetDatabase asks for a fresh copy of the parent, until there is one.
	ResetDatabase bool
	ExpiresAt     time.Time // zero: not set
	ExpiredSHA    string    // the head at which the preview expired; a newer push brings it back
	ApprovedSHA   string    // the head that a person approved: void as soon as there is another
	GoodSHA       string    // the commit that serves now; empty when nothing serves
	HeadSHA       string    // the commit the last pass worked on
	Message       string    // for a person: why it is as it is
	Problems      []Problem // what the user must fix, from the last pass
	FailingSince  time.Time // zero while nothing fails
	Attempts      int       // passes in a row that ended in a transient error
	NextPassAt    time.Time // the sweep wants a pass then; zero: no time
	CreatedAt     time.Time
}

// ProjectHash is the short name of a project that every name given to a provider carries:
// eight lower-case base32 characters of SHA-256 over the installation and repository id.
func ProjectHash(installationID, repoID int64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%d", installationID, repoID))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
}

// PreviewName is the name of a pull request's preview at every provider and the first label of
// its host name: "preview-<project hash>-pr-<number>". It is made of no text that a contributor
// chose, so two pull requests never share one, and it fits every provider's limit (at most 40 characters).
func PreviewName(projectHash string, pr int) string {
	return fmt.Sprintf("preview-%s-pr-%d", projectHash, pr)
}

// CoreName is the name of a core environment at every provider: "<kind>-<project hash>".
func CoreName(projectHash string, kind EnvironmentKind) string {
	return fmt.Sprintf("%s-%s", kind, projectHash)
}

// NamePattern is what every provider-side name of ours matches. Providers refuse any other, so
// that a name can be put into a path, a host name or a quoted SQL identifier.
var NamePattern = regexp.MustCompile(`^(preview|dev|staging|prod)-[a-z0-9-]{1,50}$`)
