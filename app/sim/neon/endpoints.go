package neon

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// host is where an endpoint is reached, directly or by its pooler.
func (e *endpoint) host(pooled bool) string {
	if pooled {
		return e.id + "-pooler." + domain
	}
	return e.id + "." + domain
}

func (s *Server) endpointJSON(b *branch) object {
	e := b.endpoint
	j := object{"id": e.id, "host": e.host(false), "project_id": s.project.id, "branch_id": b.id, "region_id": region, "type": "read_write",
		"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 2, "current_state": e.state, "settings": object{}, "pooler_enabled": false,
		"pooler_mode": "transaction", "disabled": false, "passwordless_access": true, "creation_source": "console", "created_at": e.created,
		"updated_at": e.created, "proxy_host": domain, "suspend_timeout_seconds": 0, "provisioner": "k8s-neonvm"}
	if e.name != "" {
		j["name"] = e.name
	}
	return j
}

func (s *Server) listEndpoints(*http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []object{}
	for _, b := range s.project.all() {
		if b.endpoint != nil && !b.deleting {
			list = append(list, s.endpointJSON(b))
		}
	}
	return http.StatusOK, object{"endpoints": list}, nil
}

func (s *Server) listBranchEndpoints(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.branchOf(r)
	if err != nil {
		return 0, nil, err
	}
	list := []object{}
	if b.endpoint != nil {
		list = append(list, s.endpointJSON(b))
	}
	return http.StatusOK, object{"endpoints": list}, nil
}

// endpointOf is the branch whose endpoint a request names. The caller holds the lock.
func (s *Server) endpointOf(r *http.Request) (*branch, error) {
	for _, b := range s.project.branches {
		if b.endpoint != nil && b.endpoint.id == r.PathValue("endpoint_id") && !b.deleting {
			return b, nil
		}
	}
	return nil, fail(http.StatusNotFound, "", "endpoint not found")
}

func (s *Server) getEndpoint(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.endpointOf(r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, object{"endpoint": s.endpointJSON(b)}, nil
}

// updateEndpoint gives a compute a name; nothing else of it can be changed here.
func (s *Server) updateEndpoint(r *http.Request) (int, object, error) {
	var wish struct {
		Endpoint struct {
			Name *string `json:"name"`
		} `json:"endpoint"`
	}
	if err := decode(r, &wish); err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.endpointOf(r)
	if err != nil {
		return 0, nil, err
	}
	if s.project.busy(b.id) {
		return 0, nil, errLocked()
	}
	const longest = 64
	switch name := wish.Endpoint.Name; {
	case name == nil:
	case *name == "" || len(*name) > longest:
		return 0, nil, fail(http.StatusBadRequest, "", "endpoint name must have 1 to %d characters", longest)
	default:
		b.endpoint.name = *name
	}
	return http.StatusOK, object{"endpoint": s.endpointJSON(b), "operations": []object{}}, nil
}

// suspendEndpoint puts a compute to sleep; the next connection wakes it.
func (s *Server) suspendEndpoint(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.endpointOf(r)
	if err != nil {
		return 0, nil, err
	}
	if s.project.busy(b.id) {
		return 0, nil, errLocked()
	}
	if b.cluster != nil { // its sessions end, whatever they do
		if err := execute(r.Context(), b.cluster, "postgres", `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`); err != nil {
			return 0, nil, err
		}
	}
	b.endpoint.state = "idle"
	s.gate.cut(func(id string) bool { return id == b.id })
	o := s.begin("suspend_compute", b)
	s.end("finished", o)
	return http.StatusOK, object{"endpoint": s.endpointJSON(b), "operations": s.operationsJSON([]operation{s.project.operations[o.ID]})}, nil
}

// wakeUp starts the compute of an endpoint that sleeps.
func (s *Server) wakeUp(endpoint string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.project.branches {
		if b.endpoint == nil || b.endpoint.id != endpoint || b.endpoint.state != "idle" {
			continue
		}
		b.endpoint.state = "init"
		s.later(s.cfg.Latency.Compute, func(context.Context) {
			s.mu.Lock()
			defer s.mu.Unlock()
			b.endpoint.state = "active"
		})
	}
}

// uri is a connection string. Neon's own has no port.
func (s *Server) uri(b *branch, role, database string, pooled bool) string {
	host, query := b.endpoint.host(pooled), url.Values{"sslmode": {"require"}}
	if s.cfg.ByAddress != nil {
		endpoint, _, _ := strings.Cut(host, ".")
		host = s.cfg.ByAddress.String()
		query.Set("options", endpointOption+endpoint)
	}
	u := url.URL{Scheme: "postgresql", User: url.UserPassword(role, b.roles[role]),
		Host: net.JoinHostPort(host, strconv.Itoa(s.gate.port())), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}

func (s *Server) connectionURIs(b *branch) []object {
	list := []object{}
	for database, owner := range b.databases {
		list = append(list, object{"connection_uri": s.uri(b, owner, database, false), "connection_parameters": object{
			"database": database, "password": b.roles[owner], "role": owner, "host": b.endpoint.host(false), "pooler_host": b.endpoint.host(true)}})
	}
	return list
}

func (s *Server) getConnectionURI(r *http.Request) (int, object, error) {
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	var found *branch
	for _, b := range s.project.branches {
		if id := q.Get("branch_id"); b.id == id || id == "" && b.isDefault {
			found = b
		}
	}
	switch {
	case found == nil || found.deleting:
		return 0, nil, fail(http.StatusNotFound, "", "branch not found")
	case found.endpoint == nil:
		return 0, nil, fail(http.StatusNotFound, "", "the branch has no endpoint")
	}
	role, database := q.Get("role_name"), q.Get("database_name")
	if _, ok := found.roles[role]; !ok {
		return 0, nil, fail(http.StatusNotFound, "", "role not found")
	}
	if _, ok := found.databases[database]; !ok {
		return 0, nil, fail(http.StatusNotFound, "", "database not found")
	}
	return http.StatusOK, object{"uri": s.uri(found, role, database, q.Get("pooled") == "true")}, nil
}
