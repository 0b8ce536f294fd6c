package postman

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

type collection struct {
	id, workspace    string
	body             object // info and item, with Postman's ids
	created, updated time.Time
}

func (c *collection) name() string {
	info, _ := c.body["info"].(object)
	name, _ := info["name"].(string)
	return name
}

func (c *collection) brief() object {
	return object{"id": c.id, "name": c.name(), "uid": uid(c.id)}
}

// task is an update that goes on after its answer: it is in force from its time on.
type task struct {
	collection *collection
	body       object // nil: done
	due        time.Time
}

// settle does the tasks whose time has come. The caller holds the lock.
func (s *Server) settle() {
	for _, t := range s.tasks {
		if t.body != nil && !time.Now().Before(t.due) {
			s.put(t.collection, t.body)
			t.body = nil
		}
	}
}

func (s *Server) listCollections(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	query := r.URL.Query()
	list := []object{}
	for _, c := range s.collections {
		if id := query.Get("workspace"); id != "" && id != c.workspace || query.Get("name") != "" && query.Get("name") != c.name() {
			continue
		}
		one := c.brief()
		one["owner"], one["createdAt"], one["updatedAt"], one["isPublic"] = userID, c.created, c.updated, false
		list = append(list, one)
	}
	if limit, err := strconv.Atoi(query.Get("limit")); err == nil && limit > 0 {
		offset, _ := strconv.Atoi(query.Get("offset"))
		offset = min(max(offset, 0), len(list))
		total := len(list)
		list = list[offset:min(offset+limit, total)]
		return http.StatusOK, object{"collections": list, "meta": object{"total": total, "limit": limit, "offset": offset}}, nil
	}
	return http.StatusOK, object{"collections": list}, nil
}

// given is the collection of a request, checked.
func given(r *http.Request) (object, error) {
	body, err := decode(r, "collection")
	if err != nil {
		return nil, err
	}
	malformed := func(what string) error {
		return fail(http.StatusBadRequest, "malformedRequestError", "Found 1 errors with the supplied collection: %s.", what)
	}
	info, ok := body["info"].(object)
	if !ok {
		return nil, malformed("must have required property 'info'")
	}
	if name, _ := info["name"].(string); name == "" {
		return nil, malformed("info must have required property 'name'")
	}
	if schema, _ := info["schema"].(string); !strings.Contains(schema, "/v2.1.0/") {
		return nil, malformed("info.schema must be that of v2.1.0")
	}
	items, ok := body["item"].([]any)
	if !ok && body["item"] != nil {
		return nil, malformed("item must be an array")
	}
	for _, item := range items {
		if _, ok := item.(object); !ok {
			return nil, malformed("item must be an array of objects")
		}
	}
	return body, nil
}

// createCollection gives everything ids of its own.
func (s *Server) createCollection(r *http.Request) (int, object, error) {
	body, err := given(r)
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
	c := &collection{id: uuid.NewString(), workspace: where, created: now, updated: now}
	walk(body, func(item object) { item["id"] = uuid.NewString() })
	s.put(c, body)
	s.collections = append(s.collections, c)
	return http.StatusOK, object{"collection": c.brief()}, nil
}

// put makes body the collection's content and notes what changed. The caller holds the lock.
func (s *Server) put(c *collection, body object) {
	before := contents(c.body)
	walk(body, func(item object) {
		if text, ok := item["request"].(string); ok { // as Postman gives it back
			item["request"] = object{"method": http.MethodGet, "header": []any{}, "url": text}
		}
		if _, folder := item["item"]; !folder && item["request"] != nil && item["response"] == nil {
			item["response"] = []any{}
		}
		if id, ok := item["id"].(string); ok {
			item["uid"] = uid(id)
		}
	})
	body["info"].(object)["_postman_id"] = c.id //nolint:forcetypeassert // given has looked
	c.body, c.updated = body, time.Now().UTC()
	s.changes[c.id] = compare(before, contents(body))
}

// collection is the one of an id or uid. The caller holds the lock.
func (s *Server) collection(r *http.Request) (*collection, error) {
	s.settle()
	id := strings.TrimPrefix(r.PathValue("id"), userID+"-")
	for _, c := range s.collections {
		if c.id == id {
			return c, nil
		}
	}
	return nil, fail(http.StatusNotFound, "instanceNotFoundError", "We could not find the collection you are looking for")
}

func (s *Server) getCollection(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.collection(r)
	if err != nil {
		return 0, nil, err
	}
	answer := clone(c.body)
	info := answer["info"].(object) //nolint:forcetypeassert // of a collection that was taken
	info["uid"], info["createdAt"], info["updatedAt"], info["lastUpdatedBy"] = uid(c.id), c.created, c.updated, userID
	return http.StatusOK, object{"collection": answer}, nil
}

// putCollection keeps the items that bring their ids, and makes the others anew.
func (s *Server) putCollection(r *http.Request) (int, object, error) {
	body, err := given(r)
	if err != nil {
		return 0, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.collection(r)
	if err != nil {
		return 0, nil, err
	}
	if err := s.adopt(c, body); err != nil {
		return 0, nil, err
	}
	if r.Header.Get("Prefer") != "respond-async" {
		s.put(c, body)
		return http.StatusOK, object{"collection": c.brief()}, nil
	}
	id := uuid.NewString()
	s.tasks[id] = &task{collection: c, body: body, due: time.Now().Add(s.cfg.Task)}
	return http.StatusAccepted, object{"taskId": id, "collection": c.brief()}, nil
}

// adopt settles the ids of what is put: those of c stay, missing ones are made, and those of another collection are refused.
func (s *Server) adopt(c *collection, body object) error {
	refused := fail(http.StatusBadRequest, "instanceFoundError", "This collection already exists in the database.")
	if id, given := body["info"].(object)["_postman_id"].(string); given && id != c.id { //nolint:forcetypeassert // given has looked
		return refused
	}
	owner := map[string]string{}
	for _, other := range s.collections {
		for id := range contents(other.body) {
			owner[id] = other.id
		}
	}
	foreign := false
	seen := map[string]bool{}
	walk(body, func(item object) {
		id, _ := item["id"].(string)
		foreign = foreign || owner[id] != "" && owner[id] != c.id
		if owner[id] != c.id || seen[id] {
			id = uuid.NewString()
		}
		seen[id] = true
		item["id"] = id
	})
	if foreign {
		return refused
	}
	return nil
}

func (s *Server) deleteCollection(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.collection(r)
	if err != nil {
		return 0, nil, err
	}
	s.collections = slices.DeleteFunc(s.collections, func(other *collection) bool { return other == c })
	delete(s.changes, c.id)
	return http.StatusOK, object{"collection": object{"id": c.id, "uid": uid(c.id)}}, nil
}

func (s *Server) getTask(r *http.Request) (int, object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.PathValue("taskId")
	t := s.tasks[id]
	if t == nil {
		return 0, nil, fail(http.StatusNotFound, "instanceNotFoundError", "We could not find the task you are looking for")
	}
	s.settle()
	status := "in-progress"
	if t.body == nil {
		status = "successful"
	}
	return http.StatusOK, object{"id": id, "status": status}, nil
}

// walk visits folders, requests and saved responses.
func walk(parent object, visit func(object)) {
	for _, member := range []string{"item", "response"} {
		list, _ := parent[member].([]any)
		for _, entry := range list {
			if child, ok := entry.(object); ok {
				visit(child)
				walk(child, visit)
			}
		}
	}
}

// contents is each item's own text by its id: what lies below it is not part of it.
func contents(body object) map[string]string {
	all := map[string]string{}
	walk(body, func(item object) {
		own := object{}
		for key, value := range item {
			if key != "item" && key != "response" {
				own[key] = value
			}
		}
		id, _ := item["id"].(string)
		all[id] = fmt.Sprint(own)
	})
	return all
}

// clone copies the parts that an answer changes.
func clone(body object) object {
	answer, info := object{}, object{}
	for key, value := range body {
		answer[key] = value
	}
	for key, value := range body["info"].(object) { //nolint:forcetypeassert // of a collection that was taken
		info[key] = value
	}
	answer["info"] = info
	return answer
}
