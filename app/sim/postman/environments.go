package postman

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

type environment struct {
	id, name, workspace string
	values              []any
	created, updated    time.Time
}

func (e *environment) brief() object { return object{"id": e.id, "name": e.name, "uid": uid(e.id)} }

func (s *Server) listEnvironments(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []object{}
	for _, e := range s.environments {
		if id := r.URL.Query().Get("workspace"); id == "" || id == e.workspace {
			one := e.brief()
			one["createdAt"], one["updatedAt"], one["owner"], one["isPublic"] = e.created, e.updated, userID, false
			list = append(list, one)
		}
	}
	return http.StatusOK, object{"environments": list}, nil
}

// content is the name and the values of a request's environment.
func content(r *http.Request, needsName bool) (name string, values []any, err error) {
	body, err := decode(r, "environment")
	if err != nil {
		return "", nil, err
	}
	malformed := func(what string) error {
		return fail(http.StatusBadRequest, "malformedRequestError", "Found 1 errors with the supplied environment: %s.", what)
	}
	name, _ = body["name"].(string)
	if name == "" && needsName {
		return "", nil, malformed("must have required property 'name'")
	}
	values, ok := body["values"].([]any)
	if !ok && body["values"] != nil {
		return "", nil, malformed("values must be an array")
	}
	const longestDescription = 512
	for _, value := range values {
		fields, ok := value.(object)
		if !ok {
			return "", nil, malformed("values must be objects")
		}
		if _, ok := fields["key"].(string); !ok {
			return "", nil, malformed("values must have required property 'key'")
		}
		if description, _ := fields["description"].(string); len(description) > longestDescription {
			return "", nil, malformed("description must not be longer than 512 characters")
		}
		if kind, given := fields["type"].(string); given && !slices.Contains([]string{"default", "secret", "any"}, kind) {
			return "", nil, malformed("type must be one of secret, default")
		}
		if fields["type"] == nil {
			fields["type"] = "default"
		}
		if fields["enabled"] == nil {
			fields["enabled"] = true
		}
	}
	return name, values, nil
}

func (s *Server) createEnvironment(r *http.Request) (int, object, error) {
	name, values, err := content(r, true)
	if err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	where, err := s.target(r)
	if err != nil {
		return 0, nil, err
	}
	now := time.Now().UTC()
	e := &environment{uuid.NewString(), name, where, values, now, now}
	s.environments = append(s.environments, e)
	return http.StatusOK, object{"environment": e.brief()}, nil
}

// environment is the one of an id or uid. The caller holds the lock.
func (s *Server) environment(r *http.Request) (*environment, error) {
	id := strings.TrimPrefix(r.PathValue("id"), userID+"-")
	for _, e := range s.environments {
		if e.id == id {
			return e, nil
		}
	}
	return nil, fail(http.StatusNotFound, "instanceNotFoundError", "We could not find the environment you are looking for")
}

func (s *Server) getEnvironment(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.environment(r)
	if err != nil {
		return 0, nil, err
	}
	values := e.values
	if values == nil {
		values = []any{}
	}
	return http.StatusOK, object{"environment": object{"id": e.id, "name": e.name, "owner": userID, "createdAt": e.created, "updatedAt": e.updated,
		"values": values, "isPublic": false}}, nil
}

func (s *Server) putEnvironment(r *http.Request) (int, object, error) {
	name, values, err := content(r, false)
	if err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.environment(r)
	if err != nil {
		return 0, nil, err
	}
	if name != "" {
		e.name = name
	}
	e.values, e.updated = values, time.Now().UTC()
	return http.StatusOK, object{"environment": e.brief()}, nil
}

// patchEnvironment takes a list of operations that are all of one kind.
func (s *Server) patchEnvironment(r *http.Request) (int, object, error) {
	body, err := io.ReadAll(r.Body)
	var operations []struct {
		Op, Path string
		Value    any
	}
	if err != nil || json.Unmarshal(body, &operations) != nil || len(operations) == 0 {
		return 0, nil, fail(http.StatusBadRequest, "malformedRequestError", "The body must be a list of operations.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.environment(r)
	if err != nil {
		return 0, nil, err
	}
	for _, o := range operations {
		switch {
		case o.Op != operations[0].Op:
			return 0, nil, fail(http.StatusBadRequest, "invalidParamsError", "All operations must be of the same kind.")
		case o.Op == "replace" && o.Path == "/name":
			e.name, _ = o.Value.(string)
		case o.Op == "add" && strings.HasPrefix(o.Path, "/values/"):
			e.values = append(e.values, o.Value)
		default:
			return 0, nil, fail(http.StatusBadRequest, "invalidParamsError", "The operation %s on %s is not supported.", o.Op, o.Path)
		}
	}
	e.updated = time.Now().UTC()
	return http.StatusOK, object{"environment": e.brief()}, nil
}

func (s *Server) deleteEnvironment(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.environment(r)
	if err != nil {
		return 0, nil, err
	}
	s.environments = slices.DeleteFunc(s.environments, func(other *environment) bool { return other == e })
	return http.StatusOK, object{"environment": object{"id": e.id, "uid": uid(e.id)}}, nil
}
