package postman_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/postman"
)

const (
	key    = "PMAK-sim"
	schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
)

func start(t *testing.T, config postman.Config) *postman.Server {
	t.Helper()
	config.APIKey = key
	s, err := postman.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

type object = map[string]any

// call sends a request and gives the answer's status and body.
func call(t *testing.T, s *postman.Server, method, path string, body any, headers ...string) (*http.Response, object) {
	t.Helper()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, sent)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", key)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	if len(headers) > 0 && headers[0] == "Transfer-Encoding" {
		request.ContentLength = -1
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var into object
	if err := json.NewDecoder(answer.Body).Decode(&into); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer, into
}

// at follows names into an object.
func at(value any, names ...string) any {
	for _, name := range names {
		fields, _ := value.(object)
		value = fields[name]
	}
	return value
}

func newCollection(name string, items ...object) object {
	list := make([]any, len(items))
	for i, item := range items {
		list[i] = item
	}
	return object{"collection": object{"info": object{"name": name, "schema": schema}, "item": list}}
}

func request(name string) object { return object{"name": name, "request": "http://x/" + name} }

// Without a workspace in the query a new thing lands in the personal one, and names are not unique.
func TestWorkspaces(t *testing.T) {
	t.Parallel()
	s := start(t, postman.Config{})
	for _, query := range []string{"", "?workspace=" + s.Team(), "?workspace=" + s.Team()} {
		if answer, body := call(t, s, http.MethodPost, "/environments"+query, object{"environment": object{"name": "E", "values": []any{}}}); answer.StatusCode != http.StatusOK {
			t.Fatalf("%d %v", answer.StatusCode, body)
		}
		if answer, body := call(t, s, http.MethodPost, "/collections"+query, newCollection("C")); answer.StatusCode != http.StatusOK {
			t.Fatalf("%d %v", answer.StatusCode, body)
		}
	}
	for id, want := range map[string]int{s.Personal(): 1, s.Team(): 2} {
		_, body := call(t, s, http.MethodGet, "/workspaces/"+id, nil)
		collections, _ := at(body, "workspace", "collections").([]any)
		environments, _ := at(body, "workspace", "environments").([]any)
		if len(collections) != want || len(environments) != want {
			t.Errorf("workspace %v", body)
		}
	}
	if answer, body := call(t, s, http.MethodGet, "/workspaces/other", nil); answer.StatusCode != http.StatusNotFound || at(body, "error", "name") != "workspaceNotFoundError" {
		t.Errorf("another workspace: %d %v", answer.StatusCode, body)
	}
	if answer, body := call(t, s, http.MethodPost, "/environments?workspace=other", object{"environment": object{"name": "E"}}); answer.StatusCode != http.StatusNotFound {
		t.Errorf("into another workspace: %d %v", answer.StatusCode, body)
	}
	_, body := call(t, s, http.MethodGet, "/collections?name=C&workspace="+s.Team(), nil)
	if list, _ := body["collections"].([]any); len(list) != 2 {
		t.Errorf("collections of a name: %v", body)
	}
	_, body = call(t, s, http.MethodGet, "/collections?limit=2&offset=2", nil)
	if list, _ := body["collections"].([]any); len(list) != 1 {
		t.Errorf("the second page: %v", body)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := start(t, postman.Config{})
	tests := []struct {
		name, method, path string
		body               any
		headers            []string
		status             int
		error              string
	}{
		{"no key", "GET", "/me", nil, []string{"X-API-Key", ""}, 401, "AuthenticationError"},
		{"no length", "POST", "/environments", object{"environment": object{"name": "E"}}, []string{"Transfer-Encoding", "chunked"}, 411, "lengthRequired"},
		{"no environment", "POST", "/environments", object{}, nil, 400, "malformedRequestError"},
		{"no name", "POST", "/environments", object{"environment": object{}}, nil, 400, "malformedRequestError"},
		{"long description", "POST", "/environments", object{"environment": object{"name": "E", "values": []any{object{"key": "k", "description": strings.Repeat("x", 513)}}}}, nil, 400, "malformedRequestError"},
		{"a type", "POST", "/environments", object{"environment": object{"name": "E", "values": []any{object{"key": "k", "type": "text"}}}}, nil, 400, "malformedRequestError"},
		{"no info", "POST", "/collections", object{"collection": object{}}, nil, 400, "malformedRequestError"},
		{"another schema", "POST", "/collections", object{"collection": object{"info": object{"name": "C", "schema": "v2.0.0"}}}, nil, 400, "malformedRequestError"},
		{"no such environment", "GET", "/environments/x", nil, nil, 404, "instanceNotFoundError"},
		{"no such collection", "DELETE", "/collections/x", nil, nil, 404, "instanceNotFoundError"},
		{"no such task", "GET", "/collection-updates-tasks/x", nil, nil, 404, "instanceNotFoundError"},
		{"no such route", "GET", "/x", nil, nil, 404, "notFound"},
	}
	for _, tt := range tests {
		answer, body := call(t, s, tt.method, tt.path, tt.body, tt.headers...)
		if answer.StatusCode != tt.status || at(body, "error", "name") != tt.error {
			t.Errorf("%s: %d %v", tt.name, answer.StatusCode, body)
		}
	}
}

func TestItemIDs(t *testing.T) {
	t.Parallel()
	s := start(t, postman.Config{})
	withID := func(item object, id any) object { item["id"] = id; return item }
	_, made := call(t, s, http.MethodPost, "/collections", newCollection("C", withID(request("a"), "mine"), request("b")))
	_, other := call(t, s, http.MethodPost, "/collections", newCollection("D", request("a")))
	path := func(made object) string { return "/collections/" + at(made, "collection", "uid").(string) } //nolint:forcetypeassert // fails the test
	items := func(made object) (list []any) {
		_, body := call(t, s, http.MethodGet, path(made), nil)
		list, _ = at(body, "collection", "item").([]any)
		return list
	}
	first := items(made)
	a, b := at(first[0], "id"), at(first[1], "id")
	if a == "mine" || a == nil || at(first[0], "request", "url") != "http://x/a" {
		t.Errorf("created %v", first)
	}
	// One keeps its id, one is sent without and is made anew.
	if answer, body := call(t, s, http.MethodPut, path(made), newCollection("C", withID(request("a"), a), request("b"))); answer.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", answer.StatusCode, body)
	}
	now := items(made)
	if at(now[0], "id") != a || at(now[1], "id") == b {
		t.Errorf("put %v, were %v", now, first)
	}
	if c := s.LastChange("C"); len(c.Added) != 1 || len(c.Removed) != 1 || len(c.Changed) != 0 {
		t.Errorf("change %+v", c)
	}
	foreign := newCollection("C", withID(request("a"), at(items(other)[0], "id")))
	if answer, body := call(t, s, http.MethodPut, path(made), foreign); answer.StatusCode != http.StatusBadRequest || at(body, "error", "name") != "instanceFoundError" {
		t.Errorf("ids of another collection: %d %v", answer.StatusCode, body)
	}
}

func TestAsynchronousUpdate(t *testing.T) {
	t.Parallel()
	const takes = 100 * time.Millisecond
	s := start(t, postman.Config{Task: takes})
	_, made := call(t, s, http.MethodPost, "/collections", newCollection("C", request("a")))
	uid, _ := at(made, "collection", "uid").(string)
	began := time.Now()
	answer, body := call(t, s, http.MethodPut, "/collections/"+uid, newCollection("C", request("b")), "Prefer", "respond-async")
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("%d %v", answer.StatusCode, body)
	}
	task, _ := body["taskId"].(string)
	look := time.NewTicker(takes / 4)
	defer look.Stop()
	for deadline := time.Now().Add(2 * time.Minute); ; <-look.C {
		_, body := call(t, s, http.MethodGet, "/collection-updates-tasks/"+task, nil)
		if body["status"] == "successful" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the task is %v", body)
		}
	}
	if took := time.Since(began); took < takes {
		t.Errorf("it took %v", took)
	}
	_, body = call(t, s, http.MethodGet, "/collections/"+uid, nil)
	if list, _ := at(body, "collection", "item").([]any); len(list) != 1 || at(list[0], "name") != "b" {
		t.Errorf("collection %v", body)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := start(t, postman.Config{Minute: 2, Month: 5})
	var statuses []int
	for range 3 {
		answer, body := call(t, s, http.MethodGet, "/me", nil)
		statuses = append(statuses, answer.StatusCode)
		if answer.StatusCode == http.StatusTooManyRequests && (answer.Header.Get("RetryAfter") == "" || answer.Header.Get("RateLimit-Remaining-Month") != "3" || at(body, "error", "name") != "rateLimited") {
			t.Errorf("answer %v %v", answer.Header, body)
		}
	}
	if diff := cmp.Diff([]int{200, 200, 429}, statuses); diff != "" {
		t.Error(diff)
	}
	s.SetMonth(0)
	if answer, body := call(t, s, http.MethodGet, "/me", nil); answer.StatusCode != http.StatusTooManyRequests || at(body, "error", "name") != "serviceLimitExhausted" || answer.Header.Get("RateLimit-Remaining-Month") != "0" {
		t.Errorf("a month that is used up: %d %v", answer.StatusCode, body)
	}
}

func TestFaultsAndLatency(t *testing.T) {
	t.Parallel()
	const latency = 20 * time.Millisecond
	s := start(t, postman.Config{Latency: latency})
	s.SetFaults(fault.Nth(2, 2, fault.OnRoute("GET /me", fault.Fault{Status: http.StatusBadGateway})))
	for i, want := range []int{200, 502, 200} {
		began := time.Now()
		answer, _ := call(t, s, http.MethodGet, "/me", nil)
		if answer.StatusCode != want {
			t.Errorf("request %d: %d, want %d", i, answer.StatusCode, want)
		}
		if took := time.Since(began); want == http.StatusOK && took < latency {
			t.Errorf("it took %v", took)
		}
	}
	if diff := cmp.Diff([]string{"GET /me", "GET /me"}, s.Requests()); diff != "" {
		t.Error(diff)
	}
}
