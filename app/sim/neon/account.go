package neon

import (
	"net/http"
	"slices"
	"strings"

	"cmp"
)

const accountID = "sim-account"

func (s *Server) getAuth(*http.Request) (int, object, error) {
	return http.StatusOK, object{"account_id": accountID, "auth_method": "api_key_user"}, nil
}

func (s *Server) getUser(*http.Request) (int, object, error) {
	return http.StatusOK, object{"id": accountID, "login": "sim", "email": "sim@example.com", "name": "Sim", "last_name": "", "image": "",
		"active_seconds_limit": 0, "auth_accounts": []object{}, "projects_limit": 1, "branches_limit": s.cfg.Branches,
		"max_autoscaling_limit": 2, "plan": "free_v3"}, nil
}

func (s *Server) listOrganizations(*http.Request) (int, object, error) {
	return http.StatusOK, object{"organizations": []object{}}, nil
}

func (s *Server) projectJSON() object {
	p := s.project
	return object{"id": p.id, "platform_id": "aws", "region_id": region, "name": p.name, "provisioner": "k8s-neonvm", "pg_version": 17,
		"proxy_host": domain, "branch_logical_size_limit": 512, "branch_logical_size_limit_bytes": 512 << 20, "store_passwords": true,
		"creation_source": "console", "history_retention_seconds": 86400, "created_at": p.created, "updated_at": p.created, "owner_id": accountID,
		"consumption_period_start": p.created, "consumption_period_end": p.created, "cpu_used_sec": 0, "active_time_seconds": 0,
		"compute_time_seconds": 0, "written_data_bytes": 0, "data_transfer_bytes": 0, "data_storage_bytes_hour": 0}
}

func (s *Server) listProjects(*http.Request) (int, object, error) {
	p := s.projectJSON()
	p["active_time"] = 0
	return http.StatusOK, object{"projects": []object{p}, "applications": object{}, "integrations": object{}}, nil
}

func (s *Server) getProject(*http.Request) (int, object, error) {
	return http.StatusOK, object{"project": s.projectJSON()}, nil
}

func (o operation) json(project string) object {
	j := object{"id": o.ID, "project_id": project, "branch_id": o.Branch, "action": o.Action, "status": o.Status, "failures_count": 0,
		"created_at": o.Created, "updated_at": o.Updated, "total_duration_ms": o.Updated.Sub(o.Created).Milliseconds()}
	if o.Endpoint != "" {
		j["endpoint_id"] = o.Endpoint
	}
	return j
}

func (s *Server) operationsJSON(list []operation) []object {
	out := []object{}
	for _, o := range list {
		out = append(out, o.json(s.project.id))
	}
	return out
}

func (s *Server) listOperations(*http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []operation
	for _, o := range s.project.operations {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b operation) int { return cmp.Or(b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID)) })
	return http.StatusOK, object{"operations": s.operationsJSON(list)}, nil
}

func (s *Server) getOperation(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.project.operations[r.PathValue("operation_id")]
	if !ok {
		return 0, nil, fail(http.StatusNotFound, "", "operation not found")
	}
	return http.StatusOK, object{"operation": o.json(s.project.id)}, nil
}
