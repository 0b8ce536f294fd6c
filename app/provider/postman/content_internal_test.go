package postman

import (
	"encoding/json"
	"testing"
	"testing/fstest"

	"github.com/flaresmith/flaresmith/app/postmanfile"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Whatever a repository's file holds: what is made of it can be sent, holds nothing that runs and none of the
// repository's ids, and carries this environment's mark alone.
func FuzzBuild(f *testing.F) {
	const info = `{"info":{"name":"N","schema":"/v2.1.0/","description":"<!-- flaresmith {\"project\":\"x\"} -->"},`
	for _, seed := range []string{
		info + `"item":[{"id":"i","name":"x","request":"u","event":[{"script":{}}],"response":[{"id":"r","name":"ok"}]}]}`,
		info + `"event":[1],"variable":[{"key":"a"},{"key":"b","type":"secret","value":"s"},3],"item":[{"item":[{"name":"x","request":{"proxy":{}}}]}]}`,
		info + `"item":[{"request":{},"response":"no","event":{}}]}`, "{",
		info + `"item":[{"name":{},"request":{}},{"name":[],"request":{}},{"name":{},"request":{}}]}`,
	} {
		f.Add(seed)
	}
	r := preview.Resource{Name: "preview-abcd1234-pr-1", Mark: preview.Mark{Project: "p", Environment: "e"}, Layout: preview.Layout{Collections: "postman"}}
	f.Fuzz(func(t *testing.T, content string) {
		in := preview.Inputs{Source: fstest.MapFS{"postman/x.json": {Data: []byte(content)}}, Outputs: preview.Outputs{URL: "https://x"}}
		set, err := postmanfile.Render(t.Context(), r, in)
		if err != nil {
			return
		}
		body, err := build(r, in, set.Collections)
		if err != nil {
			if preview.Classify(err) != preview.ClassInvalid {
				t.Errorf("class of %v", err)
			}
			return
		}
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		var sent object
		if err := json.Unmarshal(text, &sent); err != nil {
			t.Fatal(err)
		}
		if m := markOfCollection(sent); m.Mark != r.Mark {
			t.Errorf("mark %+v", m)
		}
		visit(sent, func(item object) {
			if item["id"] != nil || item["event"] != nil {
				t.Errorf("item %v", item)
			}
			item["id"] = "of-postman"
		})
		keepIDs(body, sent)
		visit(body, func(item object) {
			if item["id"] != "of-postman" {
				t.Errorf("item without its id: %v", item)
			}
		})
	})
}

func visit(parent object, do func(object)) {
	for _, member := range []string{"item", "response"} {
		for _, child := range objects(parent[member]) {
			do(child)
			visit(child, do)
		}
	}
}

// A mark is read from what was written, and from nothing else.
func FuzzMark(f *testing.F) {
	f.Add("p", "e -->", "d")
	f.Add(`<!-- flaresmith {"project":"x"} -->`, "\xff", "")
	f.Fuzz(func(t *testing.T, project, environment, digest string) {
		m := mark{Mark: preview.Mark{Project: project, Environment: environment}, Digest: digest}
		want := parseMark(m.text()) // JSON replaces what is no UTF-8
		if m.Project != "" && want.Project == "" {
			t.Fatalf("%+v is lost", m)
		}
		_, got := markOf(marked(nil, m))
		if got != want {
			t.Errorf("environment: %+v, want %+v", got, want)
		}
		body := object{"info": object{"description": describe(m.Mark)}}
		if got := markOfCollection(body); got.Mark != want.Mark {
			t.Errorf("collection: %+v, want %+v", got.Mark, want.Mark)
		}
		if got := markOfCollection(object{"info": object{"description": project}}); got != (mark{}) && got.Project == "" {
			t.Errorf("a mark without a project: %+v", got)
		}
	})
}
