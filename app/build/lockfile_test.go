package build

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someSRI = "sha512-" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="

func TestParseLock(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"version 1", `{"lockfileVersion": 1, "dependencies": {}}`, "package-lock.json: lockfileVersion 1 is not supported"},
		{"no JSON", "{\n  ]", "package-lock.json:2:"},
		{"entry", `{"lockfileVersion": 3, "packages": {"node_modules/a": {"version": 1}}}`, `the entry "node_modules/a" is malformed`},
		{"fine", `{"lockfileVersion": 3, "packages": {"": {}}}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, problem := parseLock("package-lock.json", []byte(tt.text))
			got := ""
			if problem != nil {
				got = problem.String()
			}
			if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLockNearest(t *testing.T) {
	t.Parallel()
	lock := &lockfile{dir: ".", packages: map[string]locked{
		"node_modules/a": {Version: "1.0.0"}, "node_modules/@s/b": {Version: "2.0.0"},
		"node_modules/a/node_modules/@s/b": {Version: "3.0.0"}, "apps/x/node_modules/a": {Version: "4.0.0"},
	}}
	type result struct {
		Folder, Version, Rest string
	}
	for name, want := range map[string]result{
		"node_modules/a/lib/x.js":                       {"node_modules/a", "1.0.0", "lib/x.js"},
		"node_modules/@s/b":                             {"node_modules/@s/b", "2.0.0", ""},
		"node_modules/a/node_modules/@s/b/package.json": {"node_modules/a/node_modules/@s/b", "3.0.0", "package.json"},
		"node_modules/a/node_modules/bundled/x.js":      {"node_modules/a", "1.0.0", "node_modules/bundled/x.js"},
		"apps/x/node_modules/a/y.js":                    {"apps/x/node_modules/a", "4.0.0", "y.js"},
		"node_modules/c/x.js":                           {},
		"src/node_modules":                              {},
	} {
		folder, entry, rest, _ := lock.nearest(name)
		if diff := cmp.Diff(want, result{folder, entry.Version, rest}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLockedCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, folder string
		entry        locked
		want         string
	}{
		{"fine", "node_modules/@s/b", locked{Version: "1.2.3-beta.1", Integrity: someSRI, Resolved: "https://registry.example/x.tgz"}, ""},
		{"no host", "node_modules/b", locked{Version: "1.2.3", Integrity: someSRI}, ""},
		{"git", "node_modules/b", locked{Version: "1.2.3", Integrity: someSRI, Resolved: "git+ssh://git@github.com/o/r.git#abc"}, `comes from "git+ssh:"`},
		{"file", "node_modules/b", locked{Version: "1.2.3", Integrity: someSRI, Resolved: "file:../b.tgz"}, `comes from "file:"`},
		{"no integrity", "node_modules/b", locked{Version: "1.2.3"}, "no integrity"},
		{"integrity", "node_modules/b", locked{Version: "1.2.3", Integrity: "md5-x"}, "integrity of the package"},
		{"version", "node_modules/b", locked{Version: "../../x", Integrity: someSRI}, "no version"},
		{"name", "node_modules/b", locked{Name: "../x", Version: "1.2.3", Integrity: someSRI}, "name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.entry.check(tt.folder); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add(`{"lockfileVersion": 3, "packages": {"": {"dependencies": {"a": "1"}}, "node_modules/a": {"version": "1.0.0", "integrity": "sha512-AA=="}}}`, "node_modules/a/x.js")
	f.Add(`{"lockfileVersion": 2, "packages": {"node_modules/../x": {"link": true, "resolved": "../.."}}}`, "node_modules/../x")
	f.Fuzz(func(t *testing.T, text, name string) {
		lock, problem := parseLock("package-lock.json", []byte(text))
		if problem != nil {
			return
		}
		folder, entry, _, ok := lock.nearest(name)
		if !ok {
			return
		}
		if !fs.ValidPath(folder) || !strings.HasPrefix(name, folder) {
			t.Errorf("folder %q of %q", folder, name)
		}
		if entry.check(folder) == "" && strings.Contains(entry.name(folder), "..") {
			t.Errorf("name %q", entry.name(folder))
		}
	})
}
