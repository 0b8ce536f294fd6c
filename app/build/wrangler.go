package build

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

const whatConfig = "the Wrangler configuration can't be used"

// wrangler is what a build takes from a Wrangler configuration.
type wrangler struct {
	path  string // of the file
	main  string // entry point, from the root of the repository; empty: static assets only
	date  string // compatibility date
	flags []string
	vars  map[string]string // texts
	// jsonVars are the variables that are no texts, as JSON.
	jsonVars map[string]string
	alias    map[string]string
	define   map[string]string
	tsconfig string                        // from the root of the repository; empty: the nearest one
	assets   map[string]preview.ModuleType // by file ending, with the dot
	static   *preview.Assets               // nil: none; the files are not filled in
	services map[string]string             // as in preview.Bundle
	bindings []preview.Binding             // as in preview.Bundle
}

// nodeByDefault is the compatibility date from which workerd has nodejs_compat on by itself.
const nodeByDefault = "2026-08-04"

// offersNode reports whether the runtime will have Node's modules.
func (w *wrangler) offersNode() bool {
	if slices.Contains(w.flags, "no_nodejs_compat") {
		return false
	}
	return w.date >= nodeByDefault || slices.ContainsFunc(w.flags, func(flag string) bool { return strings.HasPrefix(flag, "nodejs_") })
}

// forbidden are the keys that give a Worker something that a local preview does not have. The
// value is what a person calls it.
func forbidden() map[string]string {
	return map[string]string{
		"kv_namespaces":             "KV namespace",
		"d1_databases":              "D1 database",
		"r2_buckets":                "R2 bucket",
		"durable_objects.bindings":  "Durable Object",
		"hyperdrive":                "Hyperdrive configuration",
		"queues.producers":          "queue",
		"vectorize":                 "Vectorize index",
		"analytics_engine_datasets": "Analytics Engine dataset",
		"dispatch_namespaces":       "dispatch namespace",
		"mtls_certificates":         "mTLS certificate",
		"browser":                   "browser binding",
		"ai":                        "Workers AI binding",
		"images":                    "Images binding",
		"media":                     "Media binding",
		"version_metadata":          "version metadata binding",
		"workflows":                 "Workflow",
		"send_email":                "email binding",
		"secrets_store_secrets":     "Secrets Store secret",
		"pipelines":                 "pipeline",
		"ratelimits":                "rate limit binding",
		"unsafe.bindings":           "unsafe binding",
		"worker_loaders":            "Worker Loader",
		"vpc_services":              "VPC service",
		"vpc_networks":              "VPC network",
		"containers":                "container",
		"logfwdr.bindings":          "logfwdr binding",
		"wasm_modules":              "wasm_modules entry",
		"text_blobs":                "text_blobs entry",
		"data_blobs":                "data_blobs entry",
		"site":                      "Workers Site",
		"pages_build_output_dir":    "Pages project",
	}
}

var bindingName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,127}$`)

// readWrangler reads the configuration of a Worker. Every problem found is in the error.
func readWrangler(src fs.FS, layout preview.Layout, worker preview.WorkerLayout) (*wrangler, error) {
	if !fs.ValidPath(worker.WranglerConfig) {
		return nil, preview.Invalid(whatConfig, preview.Problem{Message: fmt.Sprintf("%q is no path inside the repository", worker.WranglerConfig)})
	}
	data, err := readLimited(src, worker.WranglerConfig, maxConfigBytes)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errTooLarge) || errors.Is(err, errNoFile) {
			return nil, preview.Invalid(whatConfig, preview.Problem{Path: worker.WranglerConfig, Message: readMessage(err),
				Hint: "add the file, or name another one in .github/flaresmith.yml"})
		}
		return nil, fmt.Errorf("read %s: %w", worker.WranglerConfig, err)
	}
	w, problems := parseWrangler(worker, data, siblings(src, layout), layout.Bindings)
	if len(problems) > 0 {
		return nil, &preview.InvalidError{What: whatConfig, Problems: problems}
	}
	return w, nil
}

// parseWrangler checks the text of a configuration. See siblings.
func parseWrangler(worker preview.WorkerLayout, data []byte, siblings map[string]string, allowed preview.Allowance) (*wrangler, []preview.Problem) {
	doc, problem := parseDocument(worker.WranglerConfig, data)
	if problem != nil {
		return nil, []preview.Problem{*problem}
	}
	r := newWranglerReader(doc, allowed.Section)
	w := &wrangler{path: doc.path, alias: r.texts("alias"), define: r.defines(), tsconfig: r.file("tsconfig"), assets: r.rules()}
	w.vars, w.jsonVars = r.vars()
	delete(w.vars, worker.DatabaseBinding) // the preview's own value takes its place
	delete(w.jsonVars, worker.DatabaseBinding)
	w.date = r.compatibilityDate()
	w.flags = r.flags()
	if w.main = worker.Entry; w.main == "" {
		if w.main = r.file("main"); w.main == "" && r.lacksMain() && !r.has("assets") {
			r.add("", `"main" is missing: it names the file that the Worker starts with`, `add "main": "src/index.ts"`)
		}
	}
	w.static = r.staticAssets(w, worker)
	w.services = r.services(w, worker, siblings, allowed)
	w.bindings = r.bindings(w, worker, allowed)
	r.refuse(allowed)
	slices.SortStableFunc(r.problems, func(a, b preview.Problem) int { return a.Line - b.Line })
	return w, r.problems
}

// wranglerReader takes values out of a document and collects what is wrong with them.
type wranglerReader struct {
	*document
	dir      string         // of the document
	section  string         // "env.preview" where that is deployed in place of the top level, else empty
	override map[string]any // the section; nil: there is none
	problems []preview.Problem
}

// newWranglerReader reads the top level, or the "env" section of that name if there is one.
func newWranglerReader(doc *document, section string) *wranglerReader {
	r := &wranglerReader{document: doc, dir: path.Dir(doc.path)}
	if section == "" {
		return r
	}
	environments, _ := doc.values["env"].(map[string]any)
	if named, ok := environments[section].(map[string]any); ok {
		r.section, r.override = "env."+section, named
	}
	return r
}

func (r *wranglerReader) add(key, message, hint string) {
	if _, ok := r.override[firstOf(key)]; ok {
		key = r.section + "." + key
	}
	r.problems = append(r.problems, *r.problem(key, message, hint))
}

func firstOf(key string) string {
	first, _, _ := strings.Cut(key, ".")
	return first
}

// inherited are the keys that Wrangler takes from the top level where a section lacks them.
func inherited() []string {
	return []string{"main", "compatibility_date", "compatibility_flags", "rules", "build", "no_bundle", "tsconfig", "alias", "assets", "type", "site",
		"wasm_modules", "text_blobs", "data_blobs", "pages_build_output_dir", "logfwdr", "containers"}
}

func (r *wranglerReader) has(key string) bool { return r.value(key) != nil }

func (r *wranglerReader) lacksMain() bool { return !r.has("main") || r.value("main") == "" }

// value finds a dotted key of what is deployed; nil when it is not there or null.
func (r *wranglerReader) value(key string) any {
	var v any = r.values
	if first := firstOf(key); r.override != nil {
		if _, ok := r.override[first]; ok {
			v = r.override
		} else if !slices.Contains(inherited(), first) {
			return nil
		}
	}
	for part := range strings.SplitSeq(key, ".") {
		object, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = object[part]
	}
	return v
}

func (r *wranglerReader) text(key string) string {
	v := r.value(key)
	s, ok := v.(string)
	if v != nil && !ok {
		r.add(key, fmt.Sprintf("%q must be a text", key), "")
	}
	return s
}

// file is a path that the document gives relative to its own folder.
func (r *wranglerReader) file(key string) string {
	s := r.text(key)
	if s == "" {
		return ""
	}
	name := path.Join(r.dir, s)
	if path.IsAbs(s) || strings.ContainsAny(s, "\\\x00") || !fs.ValidPath(name) {
		r.add(key, fmt.Sprintf("%q is %q, which is no path inside the repository", key, s), "")
		return ""
	}
	return name
}

func (r *wranglerReader) object(key string) map[string]any {
	v := r.value(key)
	object, ok := v.(map[string]any)
	if v != nil && !ok {
		r.add(key, fmt.Sprintf("%q must be an object", key), "")
	}
	return object
}

func (r *wranglerReader) list(key string) []any {
	v := r.value(key)
	list, ok := v.([]any)
	if v != nil && !ok {
		r.add(key, fmt.Sprintf("%q must be a list", key), "")
	}
	return list
}

func (r *wranglerReader) texts(key string) map[string]string {
	texts := map[string]string{}
	object := r.object(key)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		s, ok := object[name].(string)
		if !ok {
			r.add(key+"."+name, fmt.Sprintf("%q in %q must be a text", name, key), "")
			continue
		}
		texts[name] = s
	}
	return texts
}

// defines are constants. Only JSON literals are taken: an identifier could stand for "require".
func (r *wranglerReader) defines() map[string]string {
	defines := r.texts("define")
	for _, name := range slices.Sorted(maps.Keys(defines)) {
		var v any
		if err := json.Unmarshal([]byte(defines[name]), &v); err != nil {
			r.add("define."+name, fmt.Sprintf("the definition of %q is no JSON value", name), `write a text with its quotes: "\"production\""`)
		}
	}
	return defines
}

func (r *wranglerReader) vars() (texts, others map[string]string) {
	texts, others = map[string]string{}, map[string]string{}
	object := r.object("vars")
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !bindingName.MatchString(name) {
			r.add("vars."+name, fmt.Sprintf("the variable %q is not named like an identifier", name), "")
			continue
		}
		if s, ok := object[name].(string); ok {
			texts[name] = s
			continue
		}
		value, err := json.Marshal(object[name])
		if err != nil {
			r.add("vars."+name, fmt.Sprintf("the variable %q can't be expressed in JSON", name), "")
			continue
		}
		others[name] = string(value)
	}
	return texts, others
}

func (r *wranglerReader) compatibilityDate() string {
	const key = "compatibility_date"
	hint := `add "compatibility_date": "2025-10-01", or the day on which you started`
	if !r.has(key) {
		r.add("", `"compatibility_date" is missing: without it the Worker would run as in 2021`, hint)
		return ""
	}
	date := r.text(key)
	_, text := r.value(key).(string) // anything else was complained about
	if _, err := time.Parse(time.DateOnly, date); err != nil && text {
		r.add(key, fmt.Sprintf("%q is no date of the form yyyy-mm-dd", date), hint)
	}
	return date
}

func (r *wranglerReader) flags() []string {
	var flags []string
	for _, v := range r.list("compatibility_flags") {
		flag, ok := v.(string)
		if !ok || !regexp.MustCompile(`^[a-z0-9_:]{1,100}$`).MatchString(flag) {
			r.add("compatibility_flags", fmt.Sprintf("%q is no compatibility flag", fmt.Sprint(v)), "")
			continue
		}
		flags = append(flags, flag)
	}
	return flags
}

// rules are Wrangler's module rules, as far as they go by a file's ending.
func (r *wranglerReader) rules() map[string]preview.ModuleType {
	assets := map[string]preview.ModuleType{
		".wasm": preview.ModuleWasm, ".bin": preview.ModuleData,
		".txt": preview.ModuleText, ".html": preview.ModuleText, ".sql": preview.ModuleText,
	}
	types := map[string]preview.ModuleType{"Text": preview.ModuleText, "Data": preview.ModuleData, "CompiledWasm": preview.ModuleWasm}
	ending := regexp.MustCompile(`^(?:\*\*/)?\*(\.[A-Za-z0-9_-]{1,20})$`)
	for _, v := range r.list("rules") {
		rule, _ := v.(map[string]any)
		name, _ := rule["type"].(string)
		if name == "ESModule" {
			continue // what a script is goes by its ending anyway
		}
		globs, _ := rule["globs"].([]any)
		for _, glob := range globs {
			s, _ := glob.(string)
			match := ending.FindStringSubmatch(s)
			if match == nil || types[name] == "" {
				r.add("rules", fmt.Sprintf("the rule of type %q for %q is not supported", name, s),
					`rules may be Text, Data or CompiledWasm for a file ending, such as "**/*.md"`)
				continue
			}
			if slices.Contains(scriptEndings(), match[1]) || match[1] == ".json" {
				r.add("rules", fmt.Sprintf("a rule can't change how %s files are read", match[1]), "")
				continue
			}
			assets[match[1]] = types[name]
		}
	}
	return assets
}

// staticAssets is what "assets" says; nil when it is not there.
func (r *wranglerReader) staticAssets(w *wrangler, worker preview.WorkerLayout) *preview.Assets {
	object := r.object("assets")
	if object == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !slices.Contains([]string{"directory", "binding", "html_handling", "not_found_handling", "run_worker_first"}, key) {
			r.add("assets."+key, fmt.Sprintf("%q in \"assets\" is not supported", key), "")
		}
	}
	a := &preview.Assets{Directory: r.file("assets.directory"), Binding: r.text("assets.binding"),
		HTML: preview.HTMLHandling(r.text("assets.html_handling")), NotFound: preview.NotFoundHandling(r.text("assets.not_found_handling"))}
	if !r.has("assets.directory") {
		r.add("assets", `"directory" is missing in "assets": it names the folder of the static files`, "")
	}
	if a.HTML == "" {
		a.HTML = preview.HTMLAuto
	}
	if a.NotFound == "" {
		a.NotFound = preview.NotFoundNone
	}
	if !slices.Contains([]preview.HTMLHandling{preview.HTMLAuto, preview.HTMLForce, preview.HTMLDrop, preview.HTMLNone}, a.HTML) {
		r.add("assets.html_handling", fmt.Sprintf("%.80q is no way to handle HTML files", a.HTML), "")
	}
	if !slices.Contains([]preview.NotFoundHandling{preview.NotFoundNone, preview.NotFoundPage, preview.NotFoundApp}, a.NotFound) {
		r.add("assets.not_found_handling", fmt.Sprintf("%.80q is no way to handle paths without a file", a.NotFound), "")
	}
	_, text := w.vars[a.Binding]
	_, other := w.jsonVars[a.Binding]
	switch {
	case a.Binding == "":
	case !bindingName.MatchString(a.Binding):
		r.add("assets.binding", fmt.Sprintf("the binding %.80q is not named like an identifier", a.Binding), "")
	case text || other || a.Binding == worker.DatabaseBinding:
		r.add("assets.binding", fmt.Sprintf("the name %q is given to two things", a.Binding), "")
	}
	r.workerFirst(a)
	if w.main == "" && r.lacksMain() && (a.Binding != "" || a.WorkerFirst || a.WorkerFirstRoutes != nil) {
		r.add("assets", `"binding" and "run_worker_first" have no meaning without "main"`, "")
	}
	return a
}

// workerFirst reads which requests go to the Worker although there may be a file.
func (r *wranglerReader) workerFirst(a *preview.Assets) {
	const key = "assets.run_worker_first"
	if all, ok := r.value(key).(bool); ok {
		a.WorkerFirst = all
		return
	}
	rules := r.list(key)
	if len(rules) > maxAssetRules {
		r.add(key, fmt.Sprintf("\"run_worker_first\" has more than %d patterns", maxAssetRules), "")
		return
	}
	for _, v := range rules {
		rule, ok := v.(string)
		if !ok || len(rule) > 100 || !strings.HasPrefix(strings.TrimPrefix(rule, "!"), "/") {
			r.add(key, fmt.Sprintf("%.120q is no path such as \"/api/*\"", fmt.Sprint(v)), "")
			continue
		}
		a.WorkerFirstRoutes = append(a.WorkerFirstRoutes, rule)
	}
}

// refuse names everything that would be run, or would be undefined at run time.
func (r *wranglerReader) refuse(allowed preview.Allowance) {
	if command, ok := r.value("build.command").(string); r.has("build.command") && (!ok || command != "") {
		r.add("build.command", "a build command is never run for a preview", "remove it, and let \"main\" name the source file: TypeScript is compiled")
	}
	if off, ok := r.value("no_bundle").(bool); ok && off {
		r.add("no_bundle", `"no_bundle" is not supported`, "remove it")
	}
	if kind := r.value("type"); kind != nil && kind != "javascript" {
		r.add("type", `"type" is not supported: the bundler is built in`, "remove it")
	}
	keys := forbidden()
	if allowed.Account {
		for _, b := range bindables() {
			delete(keys, b.key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		r.refuseKey(key, keys[key], allowed)
	}
}

// refuseKey names every entry of a binding that a preview can't have.
func (r *wranglerReader) refuseKey(key, what string, allowed preview.Allowance) {
	why := "is not allowed in a local preview: it would be undefined"
	hint := fmt.Sprintf("move %q into an \"env\" section that only deployments use", key)
	if allowed.Account {
		why = "is not allowed in a preview: there is nothing of the preview's own to bind it to"
	}
	entries, ok := r.value(key).([]any)
	if !ok {
		entries = []any{r.value(key)}
	}
	for i, entry := range entries {
		at := key
		if ok {
			at = fmt.Sprintf("%s.%d", key, i)
		}
		for _, name := range namesOf(entry) {
			r.add(at, fmt.Sprintf("the %s%s %s", what, name, why), hint)
		}
	}
}

// namesOf lists what a binding key holds, each as " \"NAME\""; nothing when it is empty.
func namesOf(v any) []string {
	switch v := v.(type) {
	case nil, bool:
		return nil
	case []any:
		var names []string
		for _, item := range v {
			names = append(names, namesOf(item)...)
		}
		return names
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
		for _, key := range []string{"binding", "name", "directory", "bucket"} {
			if name, ok := v[key].(string); ok {
				return []string{fmt.Sprintf(" %q", name)}
			}
		}
	case string:
		if v == "" {
			return nil
		}
		return []string{fmt.Sprintf(" %q", v)}
	}
	return []string{""}
}
