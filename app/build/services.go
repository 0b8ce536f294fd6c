package build

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/flaresmith/flaresmith/app/preview"
)

// siblings are the Workers of a repository by what their Wrangler configurations call them: each leads to
// the name in its preview.Key. A name that two of them have, and a configuration that can't be read, are
// left out; the latter is complained about where that Worker itself is bundled.
func siblings(src fs.FS, layout preview.Layout) map[string]string {
	found, double := map[string]string{}, map[string]bool{}
	for i, w := range layout.Workers {
		name := wranglerName(src, w.WranglerConfig)
		_, taken := found[name]
		double[name] = taken
		if found[name] = ""; i > 0 {
			found[name] = w.Name
		}
	}
	maps.DeleteFunc(found, func(name, _ string) bool { return name == "" || double[name] })
	return found
}

func wranglerName(src fs.FS, path string) string {
	if !fs.ValidPath(path) {
		return ""
	}
	data, err := readLimited(src, path, maxConfigBytes)
	if err != nil {
		return ""
	}
	doc, problem := parseDocument(path, data)
	if problem != nil {
		return ""
	}
	name, _ := doc.values["name"].(string)
	return name
}

// services are the bindings to other Workers of the repository, by their own names. What leads anywhere
// else is refused.
func (r *wranglerReader) services(w *wrangler, worker preview.WorkerLayout, siblings map[string]string) map[string]string {
	const key = "services"
	services := map[string]string{}
	refuse := func(hint, format string, args ...any) { r.add(key, fmt.Sprintf(format, args...), hint) }
	for _, v := range r.list(key) {
		entry, _ := v.(map[string]any)
		binding, _ := entry["binding"].(string)
		service, _ := entry["service"].(string)
		to, known := siblings[service]
		_, text := w.vars[binding]
		_, other := w.jsonVars[binding]
		_, twice := services[binding]
		switch {
		case !bindingName.MatchString(binding):
			refuse("", "the service binding %.80q is not named like an identifier", binding)
		case !known:
			refuse(`name the Worker under "layout.workers" in .github/flaresmith.yml if it is in this repository, or move "services" into an "env" section that only deployments use`,
				"the service binding %q leads to %.80q, which is no Worker of this preview, or more than one", binding, service)
		case text || other || twice || binding == worker.DatabaseBinding || w.static != nil && binding == w.static.Binding:
			refuse("", "the name %q is given to two things", binding)
		default:
			services[binding] = to
		}
		for _, unsupported := range slices.Sorted(maps.Keys(entry)) {
			if !slices.Contains([]string{"binding", "service", "remote"}, unsupported) {
				refuse("export what is needed from the default entrypoint's fetch", "%.80q of the service binding %.80q is not supported in a local preview", unsupported, binding)
			}
		}
	}
	if len(services) > 0 && w.main == "" && r.lacksMain() {
		refuse("", `"services" have no meaning without "main"`)
	}
	if len(services) == 0 {
		return nil
	}
	return services
}
