package collection

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/postmanfile"
	"github.com/flaresmith/flaresmith/app/preview"
)

const schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

func text(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }

func resource() preview.Resource {
	return preview.Resource{
		Kind: preview.KindCollection, Name: "preview-abcd1234-pr-1", Digest: "1",
		Mark: preview.Mark{Project: "p", Environment: "e"}, Layout: preview.Layout{Collections: "postman"},
	}
}

func inputs(files fstest.MapFS) preview.Inputs {
	return preview.Inputs{Source: files, Outputs: preview.Outputs{URL: "http://preview-abcd1234-pr-1.localhost:8080/"}}
}

func newProvider(t *testing.T) (*Provider, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	p, err := New(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.root.Close() })
	return p, dir
}

func read(t *testing.T, elements ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

const complete = `{ "info": {"_postman_id": "c1", "name": "Shop", "schema": "` + schema + `"},
  "item": [ {"id": "i1", "name": "a < b", "request": {"url": "{{baseUrl}}/"}} ], "big": 12345678901234567890 }`

// The first Worker is baseUrl, each further one has a variable that is called after it; what a template
// says of them does not count.
func TestSeveralWorkers(t *testing.T) {
	t.Parallel()
	p, dir := newProvider(t)
	r := resource()
	in := inputs(fstest.MapFS{"postman/dev.postman_environment.json": text(`{"values":[{"key":"adminUrl","value":"http://dev"},{"key":"lang","value":"cs"}]}`)})
	in.Outputs.Workers = []preview.WorkerURL{{Name: "api", URL: in.Outputs.URL}, {Name: "admin", URL: "http://preview-abcd1234-pr-1-admin.localhost:8080/"},
		{Name: "back-office-2", URL: "http://preview-abcd1234-pr-1-back-office-2.localhost:8080/"}}
	if _, err := p.Apply(t.Context(), r, in); err != nil {
		t.Fatal(err)
	}
	var got struct{ Values []postmanfile.Variable }
	if err := json.Unmarshal([]byte(read(t, dir, r.Name, r.Name+postmanfile.EnvironmentSuffix)), &got); err != nil {
		t.Fatal(err)
	}
	want := []postmanfile.Variable{
		{Key: "baseUrl", Value: "http://preview-abcd1234-pr-1.localhost:8080", Type: "default", Enabled: true},
		{Key: "adminUrl", Value: "http://preview-abcd1234-pr-1-admin.localhost:8080", Type: "default", Enabled: true},
		{Key: "backOffice2Url", Value: "http://preview-abcd1234-pr-1-back-office-2.localhost:8080", Type: "default", Enabled: true},
		{Key: "lang", Value: "cs", Type: "default", Enabled: true},
	}
	if diff := cmp.Diff(want, got.Values); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	p, dir := newProvider(t)
	r := resource()
	in := inputs(fstest.MapFS{
		"postman/shop.postman_collection.json": text(complete),
		"postman/naïve api.json":               text(`{"info":{"name":"N","schema":"` + schema + `"},"item":[{"name":"f","item":[{"name":"x <y>","request":"http://h"},{"name":"x <y>","request":"http://h"}]}],"n":1.50}`),
		"postman/dev.postman_environment.json": text(`{"values":[{"key":"baseUrl","value":"http://dev"},{"key":"lang","value":"cs"},{"key":"token","value":"s3cr3t","type":"secret"},{"key":"known","value":"has hunter22 inside"},{"key":"off","value":"x","enabled":false}]}`),
		"postman/notes.txt":                    text("no"),
		"postman/.hidden.json":                 text("no"),
		"postman/sub/deep.json":                text("no"),
		"other.json":                           text("no"),
	})
	in.Redact = []preview.Secret{"hunter22"}
	outputs, err := p.Apply(t.Context(), r, in)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"na-ve api.postman_collection.json", r.Name + ".postman_environment.json", "shop.postman_collection.json"}
	if diff := cmp.Diff(want, outputs.Files); diff != "" {
		t.Error(diff)
	}
	if got := read(t, dir, r.Name, "shop.postman_collection.json"); got != complete {
		t.Errorf("a complete collection was changed:\n%s", got)
	}

	filled := read(t, dir, r.Name, "na-ve api.postman_collection.json")
	var collection struct {
		Info struct {
			ID string `json:"_postman_id"`
		}
		Item []struct {
			ID   string
			Item []struct{ ID string }
		}
	}
	if err := json.Unmarshal([]byte(filled), &collection); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{collection.Info.ID: true, collection.Item[0].ID: true, collection.Item[0].Item[0].ID: true, collection.Item[0].Item[1].ID: true}
	if len(ids) != 4 || ids[""] || !strings.Contains(filled, `"x <y>"`) || !strings.Contains(filled, "1.50") {
		t.Errorf("filled in:\n%s", filled)
	}

	environment := read(t, dir, r.Name, r.Name+".postman_environment.json")
	var got struct {
		Name   string
		Scope  string `json:"_postman_variable_scope"`
		Values []postmanfile.Variable
	}
	if err := json.Unmarshal([]byte(environment), &got); err != nil {
		t.Fatal(err)
	}
	wantValues := []postmanfile.Variable{
		{Key: "baseUrl", Value: "http://preview-abcd1234-pr-1.localhost:8080", Type: "default", Enabled: true},
		{Key: "lang", Value: "cs", Type: "default", Enabled: true},
		{Key: "token", Value: "", Type: "secret", Enabled: true},
		{Key: "known", Value: "", Type: "default", Enabled: true},
		{Key: "off", Value: "x", Type: "default", Enabled: false},
	}
	if diff := cmp.Diff(wantValues, got.Values); diff != "" || got.Name != r.Name || got.Scope != "environment" {
		t.Errorf("environment %s\n%s", environment, diff)
	}
}

// What did not change is not written, what is no longer wanted goes, and an id survives a reorder.
func TestUpdate(t *testing.T) {
	t.Parallel()
	p, dir := newProvider(t)
	r := resource()
	with := func(items string) string {
		return `{"info":{"name":"N","schema":"` + schema + `"},"item":[` + items + `]}`
	}
	files := fstest.MapFS{"postman/a.json": text(complete), "postman/b.json": text(with(`{"name":"one","request":"u"},{"name":"two","request":"u"}`)), "postman/c.json": text(complete)}
	if _, err := p.Apply(t.Context(), r, inputs(files)); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	kept := filepath.Join(dir, r.Name, "a.postman_collection.json")
	if err := os.Chtimes(kept, old, old); err != nil {
		t.Fatal(err)
	}
	idOf := func(name string) string {
		var c struct{ Item []struct{ ID, Name string } }
		if err := json.Unmarshal([]byte(read(t, dir, r.Name, "b.postman_collection.json")), &c); err != nil {
			t.Fatal(err)
		}
		for _, item := range c.Item {
			if item.Name == name {
				return item.ID
			}
		}
		return ""
	}
	before := idOf("two")

	files["postman/b.json"] = text(with(`{"name":"two","request":"u"},{"name":"zero","request":"u"},{"name":"one","request":"u"}`))
	delete(files, "postman/c.json")
	r.Digest = "2"
	outputs, err := p.Apply(t.Context(), r, inputs(files))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a.postman_collection.json", "b.postman_collection.json", r.Name + ".postman_environment.json"}, outputs.Files); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(kept); err != nil || !info.ModTime().Equal(old) {
		t.Errorf("an unchanged file was written: %v, %v", info.ModTime(), err)
	}
	if after := idOf("two"); after == "" || after != before {
		t.Errorf("id %q, was %q", after, before)
	}
	if _, err := os.Stat(filepath.Join(dir, r.Name, "c.postman_collection.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("c is still there: %v", err)
	}

	// A failing Apply changes nothing.
	files["postman/b.json"] = text(`{`)
	r.Digest = "3"
	if _, err := p.Apply(t.Context(), r, inputs(files)); preview.Classify(err) != preview.ClassInvalid {
		t.Errorf("error %v, want an invalid one", err)
	}
	if observed, err := p.Observe(t.Context(), r); err != nil || observed.Digest != "2" {
		t.Errorf("observed %+v, %v", observed, err)
	}
	// A missing file is seen and made again.
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	if observed, err := p.Observe(t.Context(), r); err != nil || observed.Digest != "" {
		t.Errorf("observed %+v, %v", observed, err)
	}
}

func TestNoCollections(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"", "postman", "."} {
		p, _ := newProvider(t)
		r := resource()
		r.Layout.Collections = folder
		outputs, err := p.Apply(t.Context(), r, inputs(fstest.MapFS{"README.md": text("x")}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{r.Name + ".postman_environment.json"}, outputs.Files); diff != "" {
			t.Error(diff)
		}
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	info := `"info":{"name":"N","schema":"` + schema + `"}`
	deep := strings.Repeat(`{"name":"f","item":[`, 60) + strings.Repeat(`]}`, 60)
	tests := []struct {
		name, file, content, want string
		line, column              int
	}{
		{name: "syntax", content: "{\n  \"info\": {\n    oops\n", want: "not valid JSON", line: 3, column: 5},
		{name: "truncated", content: "{\n\"info\": ", want: "unexpected end", line: 2, column: 8},
		{name: "two values", content: "{}\n{}", want: "not valid JSON", line: 2, column: 1},
		{name: "encoding", content: "{\"a\":\"\xff\"}", want: "UTF-8"},
		{name: "array", content: "[]", want: "not a JSON object", line: 1},
		{name: "nested", content: strings.Repeat("[", 20000), want: "not valid JSON", line: 1, column: 10001},
		{name: "no info", content: `{}`, want: `"info" is missing`},
		{name: "no name", content: `{"info":{"schema":"` + schema + `"},"item":[]}`, want: `"info.name" is missing`},
		{name: "old", content: `{"info":{"name":"N","schema":"https://schema.getpostman.com/json/collection/v2.0.0/collection.json"},"item":[]}`, want: "not that of v2.1.0"},
		{name: "no items", content: `{` + info + `}`, want: `"item" is not a list`},
		{name: "item", content: `{` + info + `,"item":[1]}`, want: "item 1 of a list is not an object"},
		{name: "no request", content: `{` + info + `,"item":[{"name":"x"}]}`, want: `item "x" has neither`},
		{name: "folder", content: `{` + info + `,"item":[{"name":"x","item":{}}]}`, want: `"item" of folder "x"`},
		{name: "deep", content: `{` + info + `,"item":[` + deep + `]}`, want: "nested more than 50 deep"},
		{name: "many", content: `{` + info + `,"item":[` + strings.Repeat(`{"request":""},`, 20_001) + `{"request":""}]}`, want: "more than 20000 items"},
		{name: "large", content: strings.Repeat(" ", 5<<20+1), want: "At most"},
		{name: "environment", file: "x.postman_environment.json", content: `{}`, want: `"values" is not a list`},
		{name: "environment value", file: "x.postman_environment.json", content: `{"values":[{"value":"x"}]}`, want: `Value 1 has no "key"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, dir := newProvider(t)
			file := "postman/x.json"
			if test.file != "" {
				file = "postman/" + test.file
			}
			_, err := p.Apply(t.Context(), resource(), inputs(fstest.MapFS{file: text(test.content)}))
			var invalid *preview.InvalidError
			if !errors.As(err, &invalid) || len(invalid.Problems) != 1 {
				t.Fatalf("error %v, want an invalid one", err)
			}
			got := invalid.Problems[0]
			if got.Path != file || got.Line != test.line || got.Column != test.column || !strings.Contains(got.Message, test.want) {
				t.Errorf("problem %q", got)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestProblemsAllAtOnce(t *testing.T) {
	t.Parallel()
	p, _ := newProvider(t)
	_, err := p.Apply(t.Context(), resource(), inputs(fstest.MapFS{
		"postman/a.json": text("{"), "postman/b.json": text("["), "postman/C.json": text(complete), "postman/c.json": text(complete),
	}))
	var invalid *preview.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	var paths []string
	for _, problem := range invalid.Problems {
		paths = append(paths, problem.Path)
	}
	if diff := cmp.Diff([]string{"postman/a.json", "postman/b.json", "postman/c.json"}, paths); diff != "" {
		t.Error(diff)
	}
}
