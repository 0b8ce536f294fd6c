package neon

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	longestExpiry = 30 * 24 * time.Hour
	longestName   = 256
)

func (s *Server) branchJSON(b *branch) object {
	j := object{"id": b.id, "project_id": s.project.id, "name": b.name, "current_state": string(b.state), "state_changed_at": b.updated,
		"creation_source": "console", "default": b.isDefault, "primary": b.isDefault, "protected": b.protected, "init_source": b.initSource,
		"created_at": b.created, "updated_at": b.updated, "cpu_used_sec": 0, "active_time_seconds": 0, "compute_time_seconds": 0,
		"written_data_bytes": 0, "data_transfer_bytes": 0}
	if b.parent != "" {
		j["parent_id"] = b.parent
	}
	if !b.expires.IsZero() {
		j["expires_at"], j["ttl_interval_seconds"] = b.expires, int(b.expires.Sub(b.created).Seconds())
	}
	if !b.reset.IsZero() {
		j["last_reset_at"] = b.reset
	}
	if b.masking != "" {
		const reason = "the branch is anonymized"
		j["restricted_actions"] = []object{{"name": "restore", "reason": reason}, {"name": "delete-rw-endpoint", "reason": reason}}
	}
	return j
}

// getAnonymizedStatus is how far masking is. That itself is a person's matter: a scenario says what has become of it.
func (s *Server) getAnonymizedStatus(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.branchOf(r)
	if err == nil && b.masking == "" {
		err = fail(http.StatusNotFound, "", "branch is not anonymized")
	}
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"project_id": s.project.id, "branch_id": b.id, "state": b.masking, "created_at": b.created, "updated_at": b.updated}, nil
}

func annotationJSON(b *branch) object {
	return object{"object": object{"type": "console/branch", "id": b.id}, "value": b.annotation, "created_at": b.created, "updated_at": b.updated}
}

// branchOf is the branch that a request names. The caller holds the lock.
func (s *Server) branchOf(r *http.Request) (*branch, error) {
	b := s.project.branches[r.PathValue("branch_id")]
	if b == nil || b.deleting {
		return nil, fail(http.StatusNotFound, "", "branch not found")
	}
	return b, nil
}

// idleBranch is branchOf where nothing may go on for the branch.
func (s *Server) idleBranch(r *http.Request) (*branch, error) {
	b, err := s.branchOf(r)
	if err == nil && s.project.busy(b.id) {
		return nil, errLocked()
	}
	return b, err
}

func errLocked() error {
	return fail(http.StatusLocked, "", "project already has running conflicting operations, scheduling of new ones is prohibited")
}

func (s *Server) listBranches(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	search := r.URL.Query().Get("search")
	branches, annotations := []object{}, object{}
	for _, b := range s.project.all() {
		if b.deleting || !strings.Contains(b.name, search) && !strings.Contains(b.id, search) {
			continue
		}
		branches = append(branches, s.branchJSON(b))
		if len(b.annotation) > 0 {
			annotations[b.id] = annotationJSON(b)
		}
	}
	slices.Reverse(branches)
	page, next := paged(branches, r, 100)
	answer := object{"branches": page, "annotations": annotations}
	if next != "" {
		answer["pagination"] = object{"next": next, "sort_by": "updated_at", "sort_order": "DESC"}
	}
	return http.StatusOK, answer, nil
}

func (s *Server) countBranches(*http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return http.StatusOK, object{"count": s.count()}, nil
}

func (s *Server) count() (n int) {
	for _, b := range s.project.branches {
		if !b.deleting {
			n++
		}
	}
	return n
}

func (s *Server) getBranch(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.branchOf(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"branch": s.branchJSON(b), "annotation": annotationJSON(b)}, nil
}

// branchWish is the body of a creation.
type branchWish struct {
	Branch struct {
		ParentID   string     `json:"parent_id"`
		Name       string     `json:"name"`
		InitSource string     `json:"init_source"`
		Protected  bool       `json:"protected"`
		ExpiresAt  *time.Time `json:"expires_at"`
	} `json:"branch"`
	Endpoints []struct {
		Type string `json:"type"`
	} `json:"endpoints"`
	Annotation map[string]string `json:"annotation_value"`
}

func (s *Server) createBranch(r *http.Request) (int, object, error) {
	var wish branchWish
	if err := decode(r, &wish); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	parent, err := s.parentOf(wish)
	if err != nil {
		return 0, nil, err
	}
	b := s.newBranch(wish.Branch.Name, parent.id)
	if b.name == "" {
		b.name = strings.TrimPrefix(b.id, "br-")
	}
	if err := s.mayCreate(b.name, wish, parent); err != nil {
		return 0, nil, err
	}
	b.initSource, b.protected = wish.Branch.InitSource, wish.Branch.Protected
	switch b.initSource {
	case "", "parent-data":
		b.initSource = "parent-data"
	case "schema-only":
		b.parent = "" // a root of its own
	default:
		return 0, nil, fail(http.StatusBadRequest, "", "init_source %q is not valid", b.initSource)
	}
	if wish.Branch.ExpiresAt != nil {
		b.expires = wish.Branch.ExpiresAt.UTC()
	}
	if wish.Annotation != nil {
		b.annotation = wish.Annotation
	}
	b.roles, b.databases = maps.Clone(parent.roles), maps.Clone(parent.databases)
	if parent.protected {
		for name, password := range b.roles {
			if password != "" {
				b.roles[name] = newPassword()
			}
		}
	}
	operations := []operation{s.begin("create_branch", b)}
	endpoints := []object{}
	if len(wish.Endpoints) > 0 {
		b.endpoint = s.newEndpoint()
		endpoints = append(endpoints, s.endpointJSON(b))
		operations = append(operations, s.begin("start_compute", b))
	}
	s.project.branches[b.id] = b
	s.later(s.cfg.Latency.Branch, func(ctx context.Context) { s.finishCreation(ctx, b, parent, operations) })
	answer := object{"branch": s.branchJSON(b), "endpoints": endpoints, "operations": s.operationsJSON(operations),
		"roles": s.rolesJSON(b, true), "databases": s.databasesJSON(b), "annotation": annotationJSON(b)}
	if b.endpoint != nil {
		answer["connection_uris"] = s.connectionURIs(b)
	}
	return http.StatusCreated, answer, nil
}

func (s *Server) parentOf(wish branchWish) (*branch, error) {
	for _, b := range s.project.branches {
		if b.id == wish.Branch.ParentID || wish.Branch.ParentID == "" && b.isDefault {
			if b.deleting {
				break
			}
			return b, nil
		}
	}
	return nil, fail(http.StatusNotFound, "", "parent branch not found")
}

// mayCreate is why a branch can't be made, if so.
func (s *Server) mayCreate(name string, wish branchWish, parent *branch) error {
	switch {
	case len(name) > longestName:
		return fail(http.StatusBadRequest, "", "branch name is too long")
	case s.project.named(name) != nil:
		return fail(http.StatusConflict, "BRANCH_ALREADY_EXISTS", "branch with name %q already exists", name)
	case s.count() >= s.cfg.Branches:
		return fail(http.StatusUnprocessableEntity, "BRANCHES_LIMIT_EXCEEDED", "branches limit exceeded")
	case !parent.expires.IsZero():
		return fail(http.StatusBadRequest, "", "cannot create a branch from a branch that expires")
	case parent.state != stateReady || s.project.busy(parent.id):
		return errLocked()
	}
	if len(wish.Endpoints) > 1 || len(wish.Endpoints) == 1 && wish.Endpoints[0].Type != "read_write" {
		return fail(http.StatusBadRequest, "", "a branch can have one read_write endpoint")
	}
	return mayExpire(wish.Branch.ExpiresAt)
}

func mayExpire(at *time.Time) error {
	switch {
	case at == nil:
		return nil
	case at.Nanosecond() != 0:
		return fail(http.StatusBadRequest, "", "expires_at must be in whole seconds")
	case !at.After(time.Now()) || at.After(time.Now().Add(longestExpiry)):
		return fail(http.StatusBadRequest, "", "expires_at must be in the future, and within 30 days")
	}
	return nil
}

// finishCreation makes the branch's cluster and starts its compute.
func (s *Server) finishCreation(ctx context.Context, b, parent *branch, operations []operation) {
	cluster, err := s.startCluster(ctx, b.id, parent.cluster)
	if err == nil && parent.protected {
		for name, password := range b.roles {
			if password == "" {
				continue
			}
			if err = setPassword(ctx, cluster, name, password); err != nil {
				break
			}
		}
	}
	if err == nil && b.initSource == "schema-only" {
		err = s.emptyTables(ctx, b, cluster)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.cluster = cluster
	if err != nil {
		s.log.Error("branch", "id", b.id, "err", err)
		s.end("failed", operations...)
		return
	}
	b.state, b.updated = stateReady, now()
	s.end("finished", operations[0])
	if b.endpoint == nil {
		return
	}
	s.later(s.cfg.Latency.Compute, func(context.Context) {
		s.mu.Lock()
		defer s.mu.Unlock()
		b.endpoint.state = "active"
		s.end("finished", operations[1:]...)
	})
}

func (s *Server) emptyTables(ctx context.Context, b *branch, cluster clusterOf) error {
	for _, database := range slices.Sorted(maps.Keys(b.databases)) {
		if err := execute(ctx, cluster, database, `DO $$ DECLARE names text; BEGIN
			SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') INTO names FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema');
			IF names IS NOT NULL THEN EXECUTE 'TRUNCATE ' || names || ' RESTART IDENTITY'; END IF; END $$`); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) updateBranch(r *http.Request) (int, object, error) {
	var wish struct {
		Branch struct {
			Name      *string             `json:"name"`
			Protected *bool               `json:"protected"`
			ExpiresAt optional[time.Time] `json:"expires_at"`
		} `json:"branch"`
	}
	if err := decode(r, &wish); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.branchOf(r)
	if err != nil {
		return 0, nil, err
	}
	if name := wish.Branch.Name; name != nil {
		if other := s.project.named(*name); other != nil && other != b {
			return 0, nil, fail(http.StatusConflict, "BRANCH_ALREADY_EXISTS", "branch with name %q already exists", *name)
		}
		b.name = *name
	}
	if wish.Branch.ExpiresAt.given {
		if err := mayExpire(wish.Branch.ExpiresAt.value); err != nil {
			return 0, nil, err
		}
		if at := wish.Branch.ExpiresAt.value; at == nil {
			b.expires = time.Time{}
		} else if b.isDefault || b.protected || s.project.children(b.id) {
			return 0, nil, fail(http.StatusUnprocessableEntity, "", "default, protected and parent branches can't expire")
		} else {
			b.expires = at.UTC()
		}
	}
	if wish.Branch.Protected != nil {
		b.protected = *wish.Branch.Protected
	}
	b.updated = now()
	return http.StatusOK, object{"branch": s.branchJSON(b), "operations": []object{}}, nil
}

func (s *Server) deleteBranch(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.branchOf(r)
	if err != nil {
		return http.StatusNoContent, nil, nil // as documented
	}
	switch {
	case b.isDefault:
		return 0, nil, fail(http.StatusUnprocessableEntity, "", "cannot delete the default branch")
	case b.protected:
		return 0, nil, fail(http.StatusUnprocessableEntity, "", "cannot delete a protected branch")
	case s.project.children(b.id):
		return 0, nil, fail(http.StatusUnprocessableEntity, "", "cannot delete a branch that has children")
	case s.project.busy(b.id):
		return 0, nil, errLocked()
	}
	operations := s.remove(b)
	return http.StatusOK, object{"branch": s.branchJSON(b), "operations": s.operationsJSON(operations)}, nil
}

// remove begins the end of a branch. The caller holds the lock.
func (s *Server) remove(b *branch) []operation {
	b.deleting = true
	var operations []operation
	if b.endpoint != nil {
		operations = append(operations, s.begin("suspend_compute", b))
	}
	operations = append(operations, s.begin("delete_timeline", b))
	s.gate.cut(func(id string) bool { return id == b.id })
	s.later(0, func(ctx context.Context) {
		err := s.stopCluster(ctx, b.id, b.cluster)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			s.log.Error("delete branch", "id", b.id, "err", err)
			s.end("failed", operations...)
			return
		}
		s.end("finished", operations...)
		delete(s.project.branches, b.id)
	})
	return operations
}

// restoreBranch makes a branch again from another: its address stays, its connections and what was in it go.
func (s *Server) restoreBranch(r *http.Request) (int, object, error) {
	var wish struct {
		Source string `json:"source_branch_id"`
	}
	if err := decode(r, &wish); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.idleBranch(r)
	if err != nil {
		return 0, nil, err
	}
	source := s.project.branches[wish.Source]
	switch {
	case source == nil || source.deleting:
		return 0, nil, fail(http.StatusNotFound, "", "source branch not found")
	case b.parent == "":
		return 0, nil, fail(http.StatusUnprocessableEntity, "", "a root branch can't be restored from another")
	case s.project.children(b.id):
		return 0, nil, fail(http.StatusUnprocessableEntity, "", "the branch has children: preserve_under_name is needed")
	case source.state != stateReady || s.project.busy(source.id):
		return 0, nil, errLocked()
	}
	operations := []operation{s.begin("create_branch", b), s.begin("start_compute", b)}
	b.state, b.updated = stateResetting, now()
	if b.endpoint != nil {
		b.endpoint.state = "init"
	}
	if !b.expires.IsZero() { // a reset starts the time anew
		b.expires = now().Add(b.expires.Sub(b.created))
	}
	old := b.cluster
	s.gate.cut(func(id string) bool { return id == b.id })
	s.later(s.cfg.Latency.Branch, func(ctx context.Context) {
		if err := s.stopCluster(ctx, b.id, old); err != nil {
			s.log.Error("restore branch", "id", b.id, "err", err)
		}
		s.mu.Lock()
		b.cluster, b.reset = nil, now()
		b.roles, b.databases = maps.Clone(source.roles), maps.Clone(source.databases)
		s.mu.Unlock()
		s.finishCreation(ctx, b, source, operations)
	})
	return http.StatusOK, object{"branch": s.branchJSON(b), "operations": s.operationsJSON(operations)}, nil
}

// expire removes branches whose time is up, as a job of Neon's does.
func (s *Server) expire() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		s.mu.Lock()
		for _, b := range s.project.all() {
			if !b.expires.IsZero() && !b.deleting && time.Now().After(b.expires) && !s.project.busy(b.id) {
				s.remove(b)
			}
		}
		s.mu.Unlock()
	}
}
