package build

import (
	"cmp"
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
		for _, name := range wranglerNames(src, w.WranglerConfig, layout.Bindings.Section) {
			_, taken := found[name]
			double[name] = double[name] || taken
			if found[name] = ""; i > 0 {
				found[name] = w.Name
			}
		}
	}
	maps.DeleteFunc(found, func(name, _ string) bool { return name == "" || double[name] })
	return found
}

// wranglerNames are what a configuration calls its Worker, and what it is called as deployed from the section.
func wranglerNames(src fs.FS, path, section string) []string {
	if !fs.ValidPath(path) {
		return nil
	}
	data, err := readLimited(src, path, maxConfigBytes)
	if err != nil {
		return nil
	}
	doc, problem := parseDocument(path, data)
	if problem != nil {
		return nil
	}
	name := textOf(doc.values["name"])
	r := newWranglerReader(doc, section)
	if r.override == nil || name == "" {
		return []string{name}
	}
	names := []string{name, cmp.Or(textOf(r.override["name"]), name+"-"+section)}
	return slices.Compact(names)
}

// services are the bindings to other Workers of the repository, by their own names. What leads anywhere
// else is refused.
func (r *wranglerReader) services(w *wrangler, worker preview.WorkerLayout, siblings map[string]string, allowed preview.Allowance) map[string]string {
	key := "services"
	services := map[string]string{}
	refuse := func(hint, format string, args ...any) { r.add(key, fmt.Sprintf(format, args...), hint) }
	for i, v := range r.list("services") {
		key = fmt.Sprintf("services.%d", i)
		entry, _ := v.(map[string]any)
		binding, _ := entry["binding"].(string)
		service, _ := entry["service"].(string)
		to, known := siblings[service]
		_, twice := services[binding]
		switch {
		case !bindingName.MatchString(binding):
			refuse("", "the service binding %.80q is not named like an identifier", binding)
		case !known && allowed.Withholds(preview.BindService, service):
			refuse(withheld(preview.BindService, service), "the service binding %q leads to %.80q, which bindings.allow lists and the operator does not offer here", binding, service)
		case !known && !allowed.Allows(preview.BindService, service):
			hint, more := `name the Worker under "layout.workers" in .github/flaresmith.yml if it is in this repository, `, ""
			if allowed.Account {
				hint += fmt.Sprintf("or, if it is there for previews, add %q to bindings.allow on the default branch, ", "service:<name>")
				more = ", and which bindings.allow of the default branch does not list"
			}
			refuse(hint+`or move "services" into an "env" section that only deployments use`,
				"the service binding %q leads to %.80q, which is no Worker of this preview, or more than one%s", binding, service, more)
		case twice || taken(w, worker, w.bindings, binding):
			refuse("", "the name %q is given to two things", binding)
		case known:
			services[binding] = to
		default:
			w.bindings = append(w.bindings, preview.Binding{Name: binding, Kind: preview.BindService, Target: service})
		}
		for _, unsupported := range slices.Sorted(maps.Keys(entry)) {
			if !slices.Contains([]string{"binding", "service", "remote"}, unsupported) {
				refuse("export what is needed from the default entrypoint's fetch", "%.80q of the service binding %.80q is not supported in a local preview", unsupported, binding)
			}
		}
	}
	key = "services"
	if len(services)+len(w.bindings) > 0 && w.main == "" && r.lacksMain() {
		refuse("", `"services" have no meaning without "main"`)
	}
	if len(services) == 0 {
		return nil
	}
	return services
}
