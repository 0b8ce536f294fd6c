package neon

import (
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
)

func (s *Server) roleJSON(b *branch, name string, password bool) object {
	j := object{"branch_id": b.id, "name": name, "protected": false, "authentication_method": "password", "created_at": b.created, "updated_at": b.updated}
	if b.roles[name] == "" {
		j["authentication_method"], password = "no_login", false
	}
	if password {
		j["password"] = b.roles[name]
	}
	return j
}

func (s *Server) rolesJSON(b *branch, passwords bool) []object {
	list := []object{}
	for _, name := range slices.Sorted(maps.Keys(b.roles)) {
		list = append(list, s.roleJSON(b, name, passwords))
	}
	return list
}

func (s *Server) databasesJSON(b *branch) []object {
	list := []object{}
	for _, name := range slices.Sorted(maps.Keys(b.databases)) {
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(b.id + name))
		list = append(list, object{"id": sum.Sum32(), "branch_id": b.id, "name": name, "owner_name": b.databases[name],
			"created_at": b.created, "updated_at": b.updated})
	}
	return list
}

func (s *Server) listRoles(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.branchOf(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"roles": s.rolesJSON(b, false)}, nil
}

func (s *Server) listDatabases(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.branchOf(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"databases": s.databasesJSON(b)}, nil
}

// readyBranch is idleBranch with a cluster that can be changed.
func (s *Server) readyBranch(r *http.Request) (*branch, error) {
	b, err := s.idleBranch(r)
	if err == nil && (b.state != stateReady || b.cluster == nil) {
		return nil, errLocked()
	}
	return b, err
}

func (s *Server) createRole(r *http.Request) (int, object, error) {
	var wish struct {
		Role struct {
			Name    string `json:"name"`
			NoLogin bool   `json:"no_login"`
		} `json:"role"`
	}
	if err := decode(r, &wish); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.readyBranch(r)
	if err != nil {
		return 0, nil, err
	}
	name := wish.Role.Name
	if name == "" || len(name) > 63 {
		return 0, nil, fail(http.StatusBadRequest, "", "role name is not valid")
	}
	if _, exists := b.roles[name]; exists {
		return 0, nil, fail(http.StatusConflict, "ROLE_ALREADY_EXISTS", "role %q already exists", name)
	}
	password := ""
	if wish.Role.NoLogin {
		err = createRoleWithoutLogin(r.Context(), b.cluster, name)
	} else {
		password = newPassword()
		err = createRole(r.Context(), b.cluster, name, password)
	}
	if err != nil {
		return 0, nil, err
	}
	b.roles[name] = password
	return http.StatusCreated, object{"role": s.roleJSON(b, name, true), "operations": s.applied(b)}, nil
}

func (s *Server) deleteRole(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, name, err := s.roleOf(r)
	if err != nil {
		return 0, nil, err
	}
	gone := s.roleJSON(b, name, false)
	if err := execute(r.Context(), b.cluster, "postgres", `DROP ROLE `+quote(name)); err != nil {
		return 0, nil, fail(http.StatusUnprocessableEntity, "", "the role owns objects")
	}
	delete(b.roles, name)
	return http.StatusOK, object{"role": gone, "operations": s.applied(b)}, nil
}

func (s *Server) roleOf(r *http.Request) (*branch, string, error) {
	b, err := s.readyBranch(r)
	if err != nil {
		return nil, "", err
	}
	name := r.PathValue("role_name")
	if _, exists := b.roles[name]; !exists {
		return nil, "", fail(http.StatusNotFound, "", "role not found")
	}
	return b, name, nil
}

// loginOf is roleOf where the role can log in. What Neon answers for one that can't is not documented: that it refuses is the stricter guess.
func (s *Server) loginOf(r *http.Request) (*branch, string, error) {
	b, name, err := s.roleOf(r)
	if err == nil && b.roles[name] == "" {
		err = fail(http.StatusUnprocessableEntity, "", "role %q can't log in", name)
	}
	return b, name, err
}

func (s *Server) revealPassword(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, name, err := s.loginOf(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"password": b.roles[name]}, nil
}

func (s *Server) resetPassword(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, name, err := s.loginOf(r)
	if err != nil {
		return 0, nil, err
	}
	password := newPassword()
	if err := setPassword(r.Context(), b.cluster, name, password); err != nil {
		return 0, nil, err
	}
	b.roles[name] = password
	return http.StatusOK, object{"role": s.roleJSON(b, name, true), "operations": s.applied(b)}, nil
}

// applied is the operation of a change to a compute's roles, which is made already. The caller holds the lock.
func (s *Server) applied(b *branch) []object {
	o := s.begin("apply_config", b)
	s.end("finished", o)
	return s.operationsJSON([]operation{s.project.operations[o.ID]})
}
