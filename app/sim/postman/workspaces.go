package postman

import (
	"net/http"
)

func (s *Server) getMe(*http.Request) (int, object, error) {
	return http.StatusOK, object{"user": object{"id": 12345678, "username": "sim", "email": "sim@example.com", "fullName": "Sim", "roles": []string{"user"}, "isPublic": false},
		"operations": []object{{"name": "api_usage", "limit": s.cfg.Month, "usage": 0, "overage": 0}}}, nil
}

func (w *workspace) json() object {
	return object{"id": w.id, "name": w.name, "type": w.kind, "visibility": w.kind, "createdBy": userID, "createdAt": w.created, "updatedAt": w.created}
}

func (s *Server) listWorkspaces(*http.Request) (int, object, error) {
	list := []object{}
	for _, w := range s.workspaces {
		list = append(list, object{"id": w.id, "name": w.name, "type": w.kind, "visibility": w.kind, "createdBy": userID})
	}
	return http.StatusOK, object{"workspaces": list}, nil
}

func (s *Server) getWorkspace(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.workspace(r.PathValue("id"))
	if w == nil {
		return 0, nil, fail(http.StatusNotFound, "workspaceNotFoundError", "The workspace was not found.")
	}
	answer := w.json()
	collections, environments := []object{}, []object{}
	for _, c := range s.collections {
		if c.workspace == w.id {
			collections = append(collections, object{"id": c.id, "name": c.name(), "uid": uid(c.id)})
		}
	}
	for _, e := range s.environments {
		if e.workspace == w.id {
			environments = append(environments, object{"id": e.id, "name": e.name, "uid": uid(e.id)})
		}
	}
	answer["collections"], answer["environments"] = collections, environments
	return http.StatusOK, object{"workspace": answer}, nil
}

// workspace is the one of an id, or nil.
func (s *Server) workspace(id string) *workspace {
	for _, w := range s.workspaces {
		if w.id == id {
			return w
		}
	}
	return nil
}

// target is where a new thing lands: the workspace of the query, or else the oldest personal one.
func (s *Server) target(r *http.Request) (string, error) {
	id := r.URL.Query().Get("workspace")
	if id == "" {
		return s.workspaces[0].id, nil
	}
	if s.workspace(id) == nil {
		return "", fail(http.StatusNotFound, "instanceNotFoundError", "The specified workspace does not exist.")
	}
	return id, nil
}
