package inbox

import (
	"encoding/json"
	"testing"

	"github.com/tidwall/gjson"
)

func TestRoute(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		payload string
		want    keys
	}{
		{"pull request", `{"pull_request":{"id":9,"number":7},"repository":{"id":2},"installation":{"id":1}}`, keys{1, 2, 7}},
		{"comment on a pull request", `{"issue":{"number":7,"pull_request":{"url":""}},"repository":{"id":2}}`, keys{0, 2, 7}},
		{"comment on an issue", `{"issue":{"number":7},"repository":{"id":2}}`, keys{0, 2, 0}},
		{"check run", `{"check_run":{"pull_requests":[{"number":7},{"number":8}]},"repository":{"id":2}}`, keys{0, 2, 7}},
		{"check suite", `{"check_suite":{"pull_requests":[{"number":7}]},"repository":{"id":2}}`, keys{0, 2, 7}},
		{"check run of a fork", `{"check_run":{"pull_requests":[]},"repository":{"id":2}}`, keys{0, 2, 0}},
		{"push", `{"ref":"refs/heads/main","repository":{"id":2},"installation":{"id":1}}`, keys{1, 2, 0}},
		{"installation", `{"installation":{"id":1}}`, keys{1, 0, 0}},
		{"pull request of no repository", `{"pull_request":{"number":7}}`, keys{}},
		{"keys of inner objects do not count", `{"x":{"repository":{"id":2},"pull_request":{"number":7}}}`, keys{}},
		{"text for a number", `{"repository":{"id":"2"}}`, keys{}},
		{"negative", `{"repository":{"id":-2}}`, keys{}},
		{"beyond a pull request's numbers", `{"pull_request":{"number":99999999999},"repository":{"id":2}}`, keys{0, 2, 0}},
		{"null", `{"repository":null,"pull_request":null}`, keys{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := route([]byte(tt.payload)); got != tt.want {
				t.Errorf("route = %+v, want %+v", got, tt.want)
			}
		})
	}
}

// The scan finds in any object what a full parse finds.
func FuzzRoute(f *testing.F) {
	f.Add([]byte(`{"pull_request":{"number":7},"repository":{"id":2},"installation":{"id":1}}`))
	f.Add([]byte(`{"issue":{"number":7,"pull_request":{}},"repository":{"id":2}}`))
	f.Add([]byte(`{"check_run":{"pull_requests":[{"number":7}]},"repository":{"id":1e3}}`))
	f.Add([]byte(`{"repository":{"id":2.5},"repository":{"id":3}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		if !gjson.ValidBytes(payload) || !gjson.ParseBytes(payload).IsObject() {
			return
		}
		got := route(payload)
		if got.installation < 0 || got.repo < 0 || got.pr < 0 || got.pr != 0 && got.repo == 0 {
			t.Fatalf("route = %+v", got)
		}
		var id int64
		var top map[string]json.RawMessage
		if json.Unmarshal(payload, &top) != nil || top["repository"] == nil || got.repo == 0 {
			return
		}
		// Where encoding/json reads a whole number under exactly these names, it is the same one.
		var inner map[string]json.RawMessage
		if json.Unmarshal(top["repository"], &inner) == nil && json.Unmarshal(inner["id"], &id) == nil &&
			gjson.GetBytes(top["repository"], "id").Raw == string(inner["id"]) && id != got.repo {
			t.Fatalf("route says repository %d, a full parse %d", got.repo, id)
		}
	})
}
