package build

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestResolveExports(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, exports, subpath string
		require                bool
		want                   string // empty: not exported
	}{
		{"text", `"./a.js"`, ".", false, "./a.js"},
		{"text has no subpath", `"./a.js"`, "./b", false, ""},
		{"order of conditions counts", `{"default": "./d.js", "import": "./i.js"}`, ".", false, "./d.js"},
		{"import", `{".": {"node": "./n.js", "import": "./i.js", "require": "./r.js"}}`, ".", false, "./i.js"},
		{"require", `{".": {"node": "./n.js", "import": "./i.js", "require": "./r.js"}}`, ".", true, "./r.js"},
		{"workerd", `{".": {"workerd": "./w.js", "import": "./i.js"}}`, ".", false, "./w.js"},
		{"nested without a match falls through", `{".": {"import": {"node": "./n.js"}, "default": "./d.js"}}`, ".", false, "./d.js"},
		{"null", `{".": {"import": null, "default": "./d.js"}}`, ".", false, ""},
		{"array", `{".": ["bare", {"node": "./n.js"}, "./a.js", "./b.js"]}`, ".", false, "./a.js"},
		{"exact before pattern", `{"./*": "./p/*.js", "./x": "./x.js"}`, "./x", false, "./x.js"},
		{"pattern", `{"./*": "./p/*/index.js", "./f/*.js": "./f/*.js"}`, "./f/a/b.js", false, "./f/a/b.js"},
		{"longest pattern", `{"./*": "./1/*", "./a/*": "./2/*", "./a/internal/*": null}`, "./a/b", false, "./2/b"},
		{"excluded", `{"./a/*": "./2/*", "./a/internal/*": null}`, "./a/internal/b", false, ""},
		{"leaves the package", `{".": "./../../etc/passwd"}`, ".", false, ""},
		{"absolute", `{".": "/etc/passwd"}`, ".", false, ""},
		{"into node_modules", `{".": "./node_modules/x/index.js"}`, ".", false, ""},
		{"encoded", `{".": "./%2e%2E/x"}`, ".", false, ""},
		{"match that leaves", `{"./*": "./p/*"}`, "./../../x", false, ""},
		{"other package", `{".": "other"}`, ".", false, ""},
		{"number", `{".": 1}`, ".", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := resolveExports(gjson.Parse(tt.exports), tt.subpath, conditions(tt.require))
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q, %v, want %q", got, ok, tt.want)
			}
		})
	}
}

func TestResolveImports(t *testing.T) {
	t.Parallel()
	imports := gjson.Parse(`{"#a": {"node": "./n.js", "default": "./a.js"}, "#dep": "other/x", "#p/*": "./p/*.js", "#up": "../x", "#url": "file:///etc/passwd"}`)
	for specifier, want := range map[string]string{"#a": "./a.js", "#dep": "other/x", "#p/q": "./p/q.js", "#up": "", "#url": "", "#none": "", "#": ""} {
		if got, _ := resolveImports(imports, specifier, conditions(false)); got != want {
			t.Errorf("%s: got %q, want %q", specifier, got, want)
		}
	}
}

func FuzzResolveExports(f *testing.F) {
	f.Add(`{"./*": "./p/*.js", ".": {"import": ["./a", null]}}`, "./x", true)
	f.Add(`{"./a*b": "./*/../*"}`, "./a/../b", false)
	f.Fuzz(func(t *testing.T, exports, subpath string, require bool) {
		if !json.Valid([]byte(exports)) {
			t.Skip()
		}
		target, ok := resolveExports(gjson.Parse(exports), subpath, conditions(require))
		if ok != (target != "") {
			t.Errorf("%q, %v", target, ok)
		}
		if ok && (!strings.HasPrefix(target, "./") || strings.Contains(target+"/", "/../")) {
			t.Errorf("target %q leaves the package", target)
		}
	})
}
