package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

const maxExtends = 8

// tsconfig is what a build takes from tsconfig.json. esbuild gets only raw, which is written
// anew from checked values: the file itself could name others on the server's disk.
type tsconfig struct {
	raw   string
	paths map[string][]string // patterns with at most one star → paths in the tree
}

// readTSConfig reads the file that config names, or the nearest one to the entry point.
func readTSConfig(src fs.FS, config *wrangler, log *slog.Logger) (*tsconfig, error) {
	name := config.tsconfig
	if name == "" {
		name = nearestFile(src, path.Dir(config.main), "tsconfig.json")
	}
	t := &tsconfig{raw: "{}", paths: map[string][]string{}}
	if name == "" {
		return t, nil
	}
	options := map[string]any{}
	files := 0
	if problem := t.read(src, name, options, log, &files); problem != nil {
		return nil, &preview.InvalidError{What: "tsconfig.json can't be used", Problems: []preview.Problem{*problem}}
	}
	raw, err := json.Marshal(map[string]any{"compilerOptions": options})
	if err != nil {
		return nil, fmt.Errorf("tsconfig: %w", err)
	}
	t.raw = string(raw)
	return t, nil
}

// nearestFile looks for a file in dir and above it.
func nearestFile(src fs.FS, dir, name string) string {
	for ; ; dir = path.Dir(dir) {
		if info, err := fs.Stat(src, path.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			return path.Join(dir, name)
		}
		if dir == "." {
			return ""
		}
	}
}

// read adds one file, and before it what it extends, to options and paths.
func (t *tsconfig) read(src fs.FS, name string, options map[string]any, log *slog.Logger, files *int) *preview.Problem {
	if *files++; *files > maxExtends {
		return &preview.Problem{Path: name, Message: fmt.Sprintf("more than %d files extend each other", maxExtends)}
	}
	data, err := readLimited(src, name, maxConfigBytes)
	if err != nil {
		return &preview.Problem{Path: name, Message: tsconfigMessage(err)}
	}
	doc, problem := parseDocument(name, data)
	if problem != nil {
		return problem
	}
	for _, base := range extended(doc.values["extends"]) {
		target := path.Join(path.Dir(name), base)
		if path.Ext(target) != ".json" {
			target += ".json"
		}
		if !isRelative(base) {
			log.Warn("tsconfig extends a package or an absolute path, which is ignored", "file", name)
			continue
		}
		if !fs.ValidPath(target) || strings.ContainsAny(base, "\\\x00") {
			return doc.problem("extends", fmt.Sprintf("%.80q leads out of the repository", base), "")
		}
		if problem := t.read(src, target, options, log, files); problem != nil {
			return problem
		}
	}
	t.take(doc, options)
	return nil
}

func tsconfigMessage(err error) string {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNoFile) || errors.Is(err, errTooLarge) {
		return readMessage(err)
	}
	return "the file can't be read"
}

func extended(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var names []string
		for _, item := range v {
			if s, ok := item.(string); ok && len(names) < maxExtends {
				names = append(names, s)
			}
		}
		return names
	}
	return nil
}

// take copies the options that change what code means.
func (t *tsconfig) take(doc *document, options map[string]any) {
	given, _ := doc.values["compilerOptions"].(map[string]any)
	for _, key := range []string{"jsx", "jsxFactory", "jsxFragmentFactory", "jsxImportSource", "target"} {
		if s, ok := given[key].(string); ok && len(s) < 256 {
			options[key] = s
		}
	}
	for _, key := range []string{"experimentalDecorators", "useDefineForClassFields", "verbatimModuleSyntax",
		"preserveValueImports", "alwaysStrict", "strict"} {
		if b, ok := given[key].(bool); ok {
			options[key] = b
		}
	}
	base := path.Dir(doc.path)
	if s, ok := given["baseUrl"].(string); ok && !path.IsAbs(s) {
		base = path.Join(base, s)
	}
	paths, ok := given["paths"].(map[string]any)
	if !ok {
		return
	}
	clear(t.paths) // as TypeScript does: the last file's paths count
	for pattern, v := range paths {
		targets, _ := v.([]any)
		for _, target := range targets {
			s, ok := target.(string)
			name := path.Join(base, s)
			if ok && len(s) < maxSpecifier && strings.Count(pattern, "*") <= 1 && strings.Count(s, "*") <= 1 && fs.ValidPath(name) && !path.IsAbs(s) {
				t.paths[pattern] = append(t.paths[pattern], name)
			}
		}
	}
}

// candidates are the paths that "paths" offers for a specifier, by the most specific pattern.
func (t *tsconfig) candidates(specifier string) []string {
	if targets, ok := t.paths[specifier]; ok {
		return targets
	}
	best := ""
	for pattern := range t.paths {
		prefix, suffix, ok := strings.Cut(pattern, "*")
		if ok && len(specifier) >= len(prefix)+len(suffix) && strings.HasPrefix(specifier, prefix) && strings.HasSuffix(specifier, suffix) &&
			(best == "" || moreSpecific(pattern, best) || (!moreSpecific(best, pattern) && pattern < best)) {
			best = pattern
		}
	}
	if best == "" {
		return nil
	}
	prefix, suffix, _ := strings.Cut(best, "*")
	match := specifier[len(prefix) : len(specifier)-len(suffix)]
	var names []string
	for _, target := range t.paths[best] {
		if name := path.Clean(strings.Replace(target, "*", match, 1)); fs.ValidPath(name) {
			names = append(names, name)
		}
	}
	return names
}
