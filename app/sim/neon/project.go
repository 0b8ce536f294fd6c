package neon

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/embedded"
)

// What a fresh project has.
const (
	firstDatabase = "neondb"
	firstRole     = "neondb_owner"
	region        = "aws-eu-central-1"
)

// project is all that one project holds. Its fields are guarded by the server's lock.
type project struct {
	id         string
	name       string
	created    time.Time
	branches   map[string]*branch   // by id
	operations map[string]operation // by id
}

// branch is a branch with its cluster and its one read-write endpoint.
type branch struct {
	id, name, parent string // parent: an id; empty: a root
	isDefault        bool
	protected        bool
	state            branchState
	initSource       string
	created, updated time.Time
	expires          time.Time // zero: never
	reset            time.Time
	annotation       map[string]string
	roles            map[string]string // name → password; without one it can't log in
	databases        map[string]string // name → owner
	endpoint         *endpoint         // nil: none
	cluster          *embedded.Postgres
	deleting         bool
	masking          string // of an anonymised branch, its state; empty: it is none
}

type branchState string

const (
	stateInit      branchState = "init"
	stateResetting branchState = "resetting"
	stateReady     branchState = "ready"
)

// endpoint is a compute. It answers once active; its first connection waits for that.
type endpoint struct {
	id      string
	name    string // given later; empty: none
	state   string // init, active, idle
	created time.Time
}

// operation is something that goes on for a branch.
type operation struct {
	ID       string
	Action   string
	Status   string
	Branch   string
	Endpoint string
	Created  time.Time
	Updated  time.Time
}

func (o operation) running() bool { return o.Status == "running" || o.Status == "scheduling" }

func (p *project) all() []*branch {
	return slices.SortedFunc(maps.Values(p.branches), func(a, b *branch) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.id, b.id))
	})
}

func (p *project) named(name string) *branch {
	for _, b := range p.branches {
		if b.name == name {
			return b
		}
	}
	return nil
}

func (p *project) children(id string) bool {
	for _, b := range p.branches {
		if b.parent == id {
			return true
		}
	}
	return false
}

// busy reports whether something goes on for the branch.
func (p *project) busy(id string) bool {
	for _, o := range p.operations {
		if o.Branch == id && o.running() {
			return true
		}
	}
	return false
}

// makeProject makes the project with its root branch.
func (s *Server) makeProject(ctx context.Context) error {
	s.project = &project{id: "shop-sim-000001", name: "shop", created: now(), branches: map[string]*branch{}, operations: map[string]operation{}}
	root := s.newBranch("main", "")
	root.isDefault, root.state, root.initSource = true, stateReady, "parent-data"
	root.roles, root.databases = map[string]string{firstRole: newPassword()}, map[string]string{firstDatabase: firstRole}
	root.endpoint = s.newEndpoint()
	root.endpoint.state = "active"
	var err error
	if root.cluster, err = s.startCluster(ctx, root.id, nil); err != nil {
		return err
	}
	s.project.branches[root.id] = root
	return populate(ctx, root)
}

// ProjectID is the id of the one project.
func (s *Server) ProjectID() string { return s.project.id }

func (s *Server) newBranch(name, parent string) *branch {
	return &branch{id: fmt.Sprintf("br-sim-branch-%06d", s.number()), name: name, parent: parent, state: stateInit,
		created: now(), updated: now(), annotation: map[string]string{}}
}

func (s *Server) newEndpoint() *endpoint {
	return &endpoint{id: fmt.Sprintf("ep-sim-compute-%06d", s.number()), state: "init", created: now()}
}

// begin notes an operation that runs. The caller holds the lock.
func (s *Server) begin(action string, b *branch) operation {
	o := operation{ID: uuid.NewString(), Action: action, Status: "running", Branch: b.id, Created: now(), Updated: now()}
	if b.endpoint != nil && (action == "start_compute" || action == "suspend_compute" || action == "apply_config") {
		o.Endpoint = b.endpoint.id
	}
	s.project.operations[o.ID] = o
	return o
}

// end notes how operations ended. The caller holds the lock.
func (s *Server) end(status string, list ...operation) {
	for _, o := range list {
		o.Status, o.Updated = status, now()
		s.project.operations[o.ID] = o
	}
}

func (s *Server) folder(name string) string { return filepath.Join(s.cfg.Dir, name) }

// now has the precision of the API.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }
