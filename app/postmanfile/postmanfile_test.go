package postmanfile

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const complete = `{ "info": {"_postman_id": "c1", "name": "Shop", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
  "item": [ {"id": "i1", "name": "a < b", "request": {"url": "{{baseUrl}}/"}} ], "big": 12345678901234567890 }`

func TestTemplate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   []string
		want string
	}{
		{"none", nil, ""},
		{"only one", []string{"dev.postman_environment.json"}, "dev.postman_environment.json"},
		{"several", []string{"dev.postman_environment.json", "prod.postman_environment.json"}, ""},
		{"meant", []string{"dev.postman_environment.json", "preview.postman_environment.json"}, "preview.postman_environment.json"},
	}
	for _, test := range tests {
		var sources []source
		for _, name := range test.in {
			sources = append(sources, source{name: name})
		}
		if got := template(sources).name; got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzCollection(f *testing.F) {
	for _, seed := range []string{complete, "{", `{"info":{"name":"N","schema":"/v2.1.0/"},"item":[{"request":{}}]}`, "\xef\xbb\xbf{}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		id := [16]byte{1}
		out, problem := collection(source{path: "x", raw: []byte(content)}, id)
		if problem != nil {
			if problem.Path != "x" || problem.Message == "" {
				t.Errorf("problem %+v", problem)
			}
			return
		}
		again, problem := collection(source{path: "x", raw: out.Content}, id)
		if problem != nil || string(again.Content) != string(out.Content) {
			t.Errorf("not stable: %v\n%s\n%s", problem, out.Content, again.Content)
		}
	})
}

func FuzzOutputName(f *testing.F) {
	for _, seed := range []string{"a.json", "../x.json", ".json", strings.Repeat("x", 300), "a/b\\c.postman_collection.json"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		out := outputName(name)
		if !filepath.IsLocal(out) || strings.ContainsAny(out, "/\\\x00") || !strings.HasSuffix(out, CollectionSuffix) || len(out) > 200 || strings.HasPrefix(out, ".") {
			t.Errorf("%q becomes %q", name, out)
		}
	})
}

func Example() {
	fmt.Println(outputName("shop.postman_collection.json"), outputName("Žluť api.json"))
	// Output: shop.postman_collection.json -lu- api.postman_collection.json
}
