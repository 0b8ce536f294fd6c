package postman_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/postman"
	sim "github.com/flaresmith/flaresmith/app/sim/postman"
)

func apply(t *testing.T, p *postman.Provider, r preview.Resource, in preview.Inputs) {
	t.Helper()
	if _, err := p.Apply(t.Context(), r, in); err != nil {
		t.Fatal(err)
	}
}

// get reads what Postman holds, as a person's client would.
func get(t *testing.T, s *sim.Server, path string, into any) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", apiKey)
	answer, err := http.DefaultClient.Do(request)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v %v", path, answer, err)
	}
	defer func() { _ = answer.Body.Close() }()
	var text json.RawMessage
	if err := json.NewDecoder(answer.Body).Decode(&text); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ids are the uids of what the workspace holds of a name.
func ids(t *testing.T, s *sim.Server, name string) (collections, environments []string) {
	t.Helper()
	type reference struct{ UID, Name string }
	var answer struct {
		Workspace struct{ Collections, Environments []reference }
	}
	get(t, s, "/workspaces/"+s.Team(), &answer)
	for _, c := range answer.Workspace.Collections {
		if c.Name == name {
			collections = append(collections, c.UID)
		}
	}
	for _, e := range answer.Workspace.Environments {
		if e.Name == name {
			environments = append(environments, e.UID)
		}
	}
	return collections, environments
}

type item struct {
	ID, Name string
	Item     []item
	Event    []any
	Request  map[string]any
	Response []item
}

func contents(t *testing.T, s *sim.Server, name string) (items []item, text string) {
	t.Helper()
	collections, _ := ids(t, s, name)
	if len(collections) != 1 {
		t.Fatalf("%d collections", len(collections))
	}
	var answer struct{ Collection struct{ Item []item } }
	text = get(t, s, "/collections/"+collections[0], &answer)
	return answer.Collection.Item, text
}

// A push that changes one request changes one item, wherever it is and whatever comes, goes or moves around it.
func TestItemIDs(t *testing.T) {
	t.Parallel()
	s := world(t, sim.Config{})
	p := provider(t, s)
	r := resource(t)
	const login, list, twin = `{"id":"of-the-repository","name":"login","request":"{{baseUrl}}/login"}`,
		`{"name":"list","request":"{{baseUrl}}/products","response":[{"name":"ok","code":200,"body":"[]"}]}`,
		`{"name":"twin","request":"{{baseUrl}}/a"},{"name":"twin","request":"{{baseUrl}}/b"}`
	folder := func(items string) string { return `{"name":"products","item":[` + items + `]}` }
	a := func(items string) fstest.MapFS {
		return fstest.MapFS{"postman/a.json": file("A", items), "postman/b.json": file("B", twin)}
	}
	push := func(digest string, files fstest.MapFS) sim.Change {
		t.Helper()
		r.Digest = digest
		apply(t, p, r, inputs(files))
		return s.LastChange(r.Name)
	}
	count := func(c sim.Change) [3]int { return [3]int{len(c.Added), len(c.Changed), len(c.Removed)} }
	if got := count(push("1", a(login+","+folder(list)))); got != [3]int{8, 0, 0} { // 3 folders, 4 requests, a saved response
		t.Errorf("the first push: %v", got)
	}
	items, _ := contents(t, s, r.Name)
	loginID := items[0].Item[0].ID
	if loginID == "of-the-repository" {
		t.Error("the repository's id was taken")
	}
	tests := []struct {
		name  string
		files fstest.MapFS
		want  [3]int // added, changed, removed
	}{
		{"nothing", a(login + "," + folder(list)), [3]int{}},
		{"one request", a(login + "," + folder(strings.Replace(list, "/products", "/products?all", 1))), [3]int{0, 1, 0}},
		{"another order", a(folder(strings.Replace(list, "/products", "/products?all", 1)) + "," + login), [3]int{}},
		{"one more", a(folder(strings.Replace(list, "/products", "/products?all", 1)) + "," + login + `,{"name":"new","request":"{{baseUrl}}/new"}`), [3]int{1, 0, 0}},
		{"one renamed", a(folder(strings.Replace(list, "/products", "/products?all", 1)) + "," + login + `,{"name":"newer","request":"{{baseUrl}}/new"}`), [3]int{0, 1, 0}},
		{"one less, and another file", fstest.MapFS{"postman/a.json": file("A", login+","+folder(strings.Replace(list, "/products", "/products?all", 1))),
			"postman/0.json": file("0", ""), "postman/b.json": file("B", twin)}, [3]int{1, 0, 1}},
	}
	for i, tt := range tests {
		if got := count(push(string(rune('2'+i)), tt.files)); got != tt.want {
			t.Errorf("%s: added, changed, removed %v, want %v", tt.name, got, tt.want)
		}
	}
	items, _ = contents(t, s, r.Name)
	if got := items[1].Item[0]; got.ID != loginID {
		t.Errorf("login is %+v, was %s", got, loginID)
	}
	// Of no files there is no collection, and the environment stays.
	push("z", fstest.MapFS{})
	if c, e := s.Named(s.Team(), r.Name); c != 0 || e != 1 {
		t.Errorf("without files there are %d collections and %d environments", c, e)
	}
	if observed, err := p.Observe(t.Context(), r); err != nil || observed.Digest != "z" {
		t.Errorf("observed %+v, %v", observed, err)
	}
}

const hostile = `{"info":{"name":"Shop","schema":"` + collectionSchema + `","description":"<!-- flaresmith {\"project\":\"theirs\",\"environment\":\"e\"} -->"},
	"event":[{"listen":"prerequest","script":{"exec":["steal()"]}}],
	"auth":{"type":"bearer","bearer":[{"key":"token","value":"{{token}}"}]},
	"variable":[{"key":"page","value":"1","id":"v"},{"key":"password","value":"hunter2","type":"secret"}],
	"item":[{"name":"f","event":[{"listen":"test","script":{"exec":["steal()"]}}],"item":[
		{"name":"x","event":[{"id":"e1","listen":"test","script":{"id":"s1","exec":["steal()"]}}],
		 "request":{"method":"GET","url":"{{baseUrl}}/","proxy":{"host":"evil.example"},"certificate":{"key":{"src":"/etc/x"}}}}]}]}`

func hostileInputs() preview.Inputs {
	return inputs(fstest.MapFS{"postman/shop.json": {Data: []byte(hostile)},
		"postman/preview.postman_environment.json": {Data: []byte(`{"values":[{"key":"token","value":"s3cr3t","type":"secret"},{"key":"lang","value":"cs"},{"key":"dsn","value":"postgres://u:hunter22@h/db"},
			{"key":"flaresmith","value":"{\"project\":\"theirs\",\"environment\":\"e\"}"}]}`)}})
}

// Nothing that runs gets into a preview's collection, and no secret into anything.
func TestHostileFiles(t *testing.T) {
	t.Parallel()
	s := world(t, sim.Config{})
	p := provider(t, s)
	r := resource(t)
	in := hostileInputs()
	in.Redact = []preview.Secret{"hunter22"}
	in.Outputs.DatabaseURL = "postgres://role:connection-password@h/db"
	apply(t, p, r, in)
	_, text := contents(t, s, r.Name)
	_, environments := ids(t, s, r.Name)
	var environment struct {
		Environment struct {
			Values []struct {
				Key, Value, Type string
				Enabled          bool
			}
		}
	}
	text += get(t, s, "/environments/"+environments[0], &environment)
	for _, bad := range []string{"steal", "evil.example", "/etc/x", "s3cr3t", "hunter2", "connection-password", apiKey} {
		if strings.Contains(text, bad) {
			t.Errorf("%q got to Postman:\n%s", bad, text)
		}
	}
	for _, good := range []string{"{{token}}", `"page"`} {
		if !strings.Contains(text, good) {
			t.Errorf("%q did not get to Postman:\n%s", good, text)
		}
	}
	values := environment.Environment.Values
	keys := make([]string, len(values))
	for i, v := range values {
		keys[i] = v.Key
	}
	if diff := cmp.Diff([]string{"baseUrl", "token", "lang", "dsn", "flaresmith"}, keys); diff != "" || values[0].Value != "https://preview.example.dev" ||
		values[4].Enabled || !strings.Contains(values[4].Value, r.Mark.Environment) {
		t.Errorf("values %+v\n%s", values, diff)
	}
	if observed, err := p.Observe(t.Context(), r); err != nil || !observed.Owned || observed.Digest != r.Digest {
		t.Errorf("observed %+v, %v", observed, err)
	}

	core := resource(t)
	core.Name, core.Keep = "staging-conform1", true
	apply(t, p, core, in)
	if _, text := contents(t, s, core.Name); !strings.Contains(text, "steal") {
		t.Errorf("the scripts of a core environment are gone:\n%s", text)
	}

	in.Redact = []preview.Secret{"{{token}}"}
	if _, err := p.Apply(t.Context(), resource(t), in); preview.Classify(err) != preview.ClassInvalid || strings.Contains(err.Error(), "{{token}}") {
		t.Errorf("a collection with a secret: %v", err)
	}
}

// Files that would be one variable with two values are the user's to fix; the same value twice is one variable.
func TestVariableTwice(t *testing.T) {
	t.Parallel()
	file := func(value string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"info":{"name":"N","schema":"` + collectionSchema + `"},"variable":[{"key":"page","value":"` + value + `"}],"item":[]}`)}
	}
	s := world(t, sim.Config{})
	_, err := provider(t, s).Apply(t.Context(), resource(t), inputs(fstest.MapFS{"postman/a.json": file("1"), "postman/b.json": file("2")}))
	var invalid *preview.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || invalid.Problems[0].Path != "postman/b.json" {
		t.Errorf("error %v", err)
	}
	if n := writes(s); n != "0" {
		t.Errorf("%s writes", n)
	}
	r := resource(t)
	apply(t, provider(t, s), r, inputs(fstest.MapFS{"postman/a.json": file("1"), "postman/b.json": file("1")}))
	collections, _ := ids(t, s, r.Name)
	if text := get(t, s, "/collections/"+collections[0], &struct{}{}); strings.Count(text, `"page"`) != 1 {
		t.Errorf("the collection is %s", text)
	}
}

// What a person did in Postman is put right, and what is a person's is left alone.
func TestPeople(t *testing.T) {
	t.Parallel()
	s := world(t, sim.Config{})
	p := provider(t, s)
	r := resource(t)
	apply(t, p, r, shop())
	collections, environments := ids(t, s, r.Name)
	again := func(what string, wantDigest string) {
		t.Helper()
		observed, err := p.Observe(t.Context(), r)
		if err != nil || observed.Digest != wantDigest {
			t.Errorf("%s: observed %+v, %v", what, observed, err)
		}
		apply(t, p, r, shop())
		if observed, err := p.Observe(t.Context(), r); err != nil || observed.Digest != r.Digest {
			t.Errorf("%s: afterwards observed %+v, %v", what, observed, err)
		}
	}
	// A collection of the same name that is nobody's of ours is in nobody's way, and stays.
	send(t, s, http.MethodPost, "/collections?workspace="+s.Team(), `{"collection":{"info":{"name":"`+r.Name+`","schema":"`+collectionSchema+`"},"item":[]}}`)
	again("a person's collection", r.Digest)
	if c, _ := s.Named(s.Team(), r.Name); c != 2 {
		t.Errorf("%d collections", c)
	}
	// An edit of a value is seen when it is time to apply.
	var environment struct{ Environment map[string]any }
	text := get(t, s, "/environments/"+environments[0], &environment)
	edited := strings.Replace(text, "https://preview.example.dev", "https://elsewhere.example", 1)
	send(t, s, http.MethodPut, "/environments/"+environments[0], edited)
	again("an edited value", r.Digest)
	if text := get(t, s, "/environments/"+environments[0], &environment); strings.Contains(text, "elsewhere") {
		t.Errorf("the edit is still there: %s", text)
	}
	send(t, s, http.MethodDelete, "/collections/"+collections[0], "")
	again("a deleted collection", "")
	// Who takes the mark out takes the environment: it is a person's from then on, and the preview gets another one.
	send(t, s, http.MethodPut, "/environments/"+environments[0], `{"environment":{"name":"`+r.Name+`","values":[]}}`)
	if err := p.Delete(t.Context(), r); preview.Classify(err) != preview.ClassConflict && err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, e := s.Named(s.Team(), r.Name); e != 1 {
		t.Errorf("a person's environment was deleted: %d are left", e)
	}
}

// Of what a late write left twice, one is kept and the other goes; a deletion takes both.
func TestDoubles(t *testing.T) {
	t.Parallel()
	s := world(t, sim.Config{})
	p := provider(t, s)
	r := resource(t)
	double := func() {
		t.Helper()
		collections, environments := ids(t, s, r.Name)
		var body any
		send(t, s, http.MethodPost, "/collections?workspace="+s.Team(), get(t, s, "/collections/"+collections[0], &body))
		send(t, s, http.MethodPost, "/environments?workspace="+s.Team(), get(t, s, "/environments/"+environments[0], &body))
		if observed, err := p.Observe(t.Context(), r); err != nil || !observed.Owned || observed.Digest != "" {
			t.Errorf("observed %+v, %v", observed, err)
		}
	}
	apply(t, p, r, shop())
	items, _ := contents(t, s, r.Name)
	double()
	apply(t, p, r, shop())
	if c, e := s.Named(s.Team(), r.Name); c != 1 || e != 1 {
		t.Errorf("%d collections and %d environments", c, e)
	}
	if observed, err := p.Observe(t.Context(), r); err != nil || observed.Digest != r.Digest {
		t.Errorf("observed %+v, %v", observed, err)
	}
	if now, _ := contents(t, s, r.Name); now[0].ID != items[0].ID {
		t.Errorf("another collection was kept than the one that people know: %+v", now)
	}
	double()
	if err := p.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if c, e := s.Named(s.Team(), r.Name); c+e != 0 {
		t.Errorf("%d collections and %d environments are left", c, e)
	}
	apply(t, p, r, shop()) // what was seen before the deletion does not count any more
	if c, e := s.Named(s.Team(), r.Name); c != 1 || e != 1 {
		t.Errorf("afterwards %d collections and %d environments", c, e)
	}
}
