package build

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	maxManifestBytes = 1 << 20
	maxPatterns      = 500 // of "sideEffects"
)

// manifest is what a package.json says about resolution. Values stay as they stand in the file,
// because the order of conditions counts.
type manifest struct {
	dir         string // of the file, in the tree
	name        string
	exports     gjson.Result
	imports     gjson.Result
	browser     map[string]browserEntry // by specifier or by "./path"
	entries     []string                // "browser", "module" and "main", in this order, where given
	sideEffects func(inside string) bool
}

// browserEntry is a replacement of the "browser" field; disabled stands for false.
type browserEntry struct {
	target   string
	disabled bool
}

// manifestAt reads the package.json in dir; nil when there is none, or none that can be read.
func (t *tree) manifestAt(dir string) (*manifest, error) {
	t.mu.Lock()
	known, ok := t.manifests[dir]
	t.mu.Unlock()
	if ok {
		return known, nil
	}
	text, _, err := t.read(path.Join(dir, "package.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNoFile) && !errors.Is(err, errTooLarge) {
		return nil, err
	}
	var m *manifest
	if err == nil {
		m = parseManifest(dir, text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.manifests[dir] = m
	return m, nil
}

// nearestManifest is the package that a file belongs to; nil when it belongs to none.
func (t *tree) nearestManifest(name string) (*manifest, error) {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		m, err := t.manifestAt(dir)
		if m != nil || err != nil {
			return m, err
		}
		if dir == "." || path.Base(dir) == "node_modules" {
			return nil, nil //nolint:nilnil // a file may belong to no package
		}
	}
}

// parseManifest reads a package.json; nil when it is no JSON object.
func parseManifest(dir, text string) *manifest {
	text = strings.TrimPrefix(text, "\ufeff")
	// encoding/json bounds how deep values nest, gjson does not.
	if len(text) > maxManifestBytes || !json.Valid([]byte(text)) {
		return nil
	}
	root := gjson.Parse(text)
	if !root.IsObject() {
		return nil
	}
	m := &manifest{dir: dir, name: root.Get("name").String(), exports: root.Get("exports"), imports: root.Get("imports")}
	for _, field := range []string{"browser", "module", "main"} {
		if v := root.Get(field); v.Type == gjson.String && v.Str != "" {
			m.entries = append(m.entries, v.Str)
		}
	}
	if browser := root.Get("browser"); browser.IsObject() {
		m.browser = map[string]browserEntry{}
		browser.ForEach(func(key, value gjson.Result) bool {
			m.browser[key.String()] = browserEntry{target: value.String(), disabled: value.Type == gjson.False}
			return true
		})
	}
	m.sideEffects = parseSideEffects(root.Get("sideEffects"))
	return m
}

// parseSideEffects tells by a file's path in its package whether importing it does something.
func parseSideEffects(v gjson.Result) func(string) bool {
	if v.Type == gjson.False {
		return func(string) bool { return false }
	}
	if !v.IsArray() {
		return func(string) bool { return true }
	}
	var patterns []*regexp.Regexp
	for _, item := range v.Array() {
		glob := strings.TrimPrefix(item.String(), "./")
		if len(patterns) == maxPatterns || len(glob) > 256 {
			return func(string) bool { return true }
		}
		if !strings.Contains(glob, "/") {
			glob = "**/" + glob
		}
		glob = regexp.QuoteMeta(glob)
		glob = strings.ReplaceAll(glob, `\*\*/`, `(?:.*/)?`)
		glob = strings.ReplaceAll(glob, `\*\*`, `.*`)
		glob = strings.ReplaceAll(glob, `\*`, `[^/]*`)
		if pattern, err := regexp.Compile("^" + glob + "$"); err == nil {
			patterns = append(patterns, pattern)
		}
	}
	return func(inside string) bool {
		for _, pattern := range patterns {
			if pattern.MatchString(inside) {
				return true
			}
		}
		return false
	}
}
