package github

import "testing"

// What is optional is neither missed nor called needless, and what does not work without it is said.
func TestDiagnosePermissions(t *testing.T) {
	t.Parallel()
	optional := map[string]string{"contents": "specs are not applied"}
	tests := []struct {
		name     string
		want     map[string]string
		optional map[string]string
		have     map[string]string
		ok       bool
		says     string
	}{
		{"exact", map[string]string{"contents": "write"}, nil, map[string]string{"contents": "write"}, true, "are those that are needed"},
		{"read instead of write", map[string]string{"contents": "write"}, nil, map[string]string{"contents": "read"}, false, "lacks contents: write"},
		{"more than is needed", map[string]string{"contents": "read"}, nil, map[string]string{"contents": "write", "issues": "read"}, true, "are all there; not needed: contents: write, issues: read"},
		{"the optional one is there", map[string]string{"contents": "read"}, optional, map[string]string{"contents": "write"}, true, "are those that are needed"},
		{"the optional one is not there", map[string]string{"contents": "read"}, optional, map[string]string{"contents": "read"}, true, "are those that are needed; without contents: write specs are not applied"},
		{"nor what is needed", map[string]string{"contents": "read"}, optional, nil, false, "lacks contents: read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := diagnosePermissions(self{Permissions: tt.have}, tt.want, tt.optional)
			if got.OK != tt.ok || got.Detail != tt.says {
				t.Errorf("%+v, want %t %q", got, tt.ok, tt.says)
			}
		})
	}
}
