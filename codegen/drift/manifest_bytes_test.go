package drift_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/codegen/drift"
)

// TestManifestBytes compares with what encoding/json writes: manifests of all versions are the same text.
func TestManifestBytes(t *testing.T) {
	t.Parallel()
	odd := map[string]string{"": "", "GET /a?b=<c>&d": "a\"b\\c\n\t\u2028", "café": "\x00\x7f\xff", "Z": "z", "a.b": "string|null required"}
	many := map[string]string{}
	for i := range 100 {
		many[fmt.Sprintf("Schema%d.member", i)] = "string"
	}
	for name, m := range map[string]drift.Manifest{
		"nothing":     {},
		"no files":    {Head: drift.Head{Generation: 7, Inputs: "abc", Files: map[string]drift.Entry{}}, Promises: drift.Promises{}},
		"files":       {Head: drift.Head{Files: map[string]drift.Entry{"src/b.ts": {Target: "zod", SHA256: "12"}, "src/a<é>.ts": {Target: "hono", SHA256: "34", Once: true}}}},
		"promises":    {Head: drift.Head{Inputs: "é"}, Promises: drift.Promises{"limit": {}, "check": nil, "field": odd, "schema": many}},
		"odd kinds":   {Promises: drift.Promises{"<>": odd}},
		"odd targets": {Head: drift.Head{Files: map[string]drift.Entry{"\"": {Target: "\u2029", SHA256: "\\"}}}},
	} {
		want, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want)+"\n", string(m.Bytes())); diff != "" {
			t.Errorf("%s: (-encoding/json +Bytes):\n%s", name, diff)
		}
	}
}
