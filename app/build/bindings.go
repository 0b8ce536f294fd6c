package build

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// bindable is how a Wrangler configuration binds a Worker to one kind of thing of the account.
type bindable struct {
	kind preview.BindingKind
	key  string // of the list
	what string // what a person calls it
	// targets are the fields that name it, a replacement for previews before what production has.
	targets []string
	ignored []string // fields that have no meaning here
}

func bindables() []bindable {
	return []bindable{
		{preview.BindKV, "kv_namespaces", "KV namespace", []string{"preview_id", "id"}, nil},
		{preview.BindD1, "d1_databases", "D1 database", []string{"preview_database_id", "database_id"},
			[]string{"database_name", "migrations_dir", "migrations_table", "migrations_pattern"}},
		{preview.BindR2, "r2_buckets", "R2 bucket", []string{"preview_bucket_name", "bucket_name"}, nil},
		{preview.BindHyperdrive, "hyperdrive", "Hyperdrive configuration", []string{"id"}, []string{"localConnectionString"}},
		{preview.BindQueue, "queues.producers", "queue", []string{"queue"}, nil},
		{preview.BindVectorize, "vectorize", "Vectorize index", []string{"index_name"}, nil},
		{preview.BindDataset, "analytics_engine_datasets", "Analytics Engine dataset", []string{"dataset"}, nil},
	}
}

// bindings are those to things of the account, each of which the default branch must list. What is not listed
// is refused by its name. Without an account, see refuse.
func (r *wranglerReader) bindings(w *wrangler, worker preview.WorkerLayout, allowed preview.Allowance) []preview.Binding {
	bound := slices.Clone(w.bindings) // to Workers of the account
	if !allowed.Account {
		return bound
	}
	for _, b := range bindables() {
		list := r.list(b.key)
		for i, v := range list {
			at := fmt.Sprintf("%s.%d", b.key, i)
			entry, _ := v.(map[string]any)
			name, target := r.bindingOf(b, at, entry)
			switch {
			case !bindingName.MatchString(name):
				r.add(at, fmt.Sprintf("the %s %.80q is not named like an identifier", b.what, name), "")
			case allowed.Withholds(b.kind, target):
				r.add(at, fmt.Sprintf("the %s %q leads to %.120q, which bindings.allow lists and the operator does not offer here", b.what, name, target),
					withheld(b.kind, target))
			case !allowed.Allows(b.kind, target):
				r.add(at, notAllowed(b.what, name, target), b.hint(target))
			case taken(w, worker, bound, name):
				r.add(at, fmt.Sprintf("the name %q is given to two things", name), "")
			default:
				bound = append(bound, preview.Binding{Name: name, Kind: b.kind, Target: target})
			}
		}
		if len(list) > 0 && w.main == "" && r.lacksMain() {
			r.add(b.key, fmt.Sprintf("%q have no meaning without \"main\"", b.key), "")
		}
	}
	slices.SortFunc(bound, func(a, b preview.Binding) int { return strings.Compare(a.Name, b.Name) })
	return bound
}

// bindingOf takes the name and the target out of an entry and complains about what it does not know: a field that is
// passed over might be one that leads elsewhere.
func (r *wranglerReader) bindingOf(b bindable, at string, entry map[string]any) (name, target string) {
	name, _ = entry["binding"].(string)
	for _, field := range b.targets {
		if text, ok := entry[field].(string); ok && text != "" {
			target = text
			break
		}
	}
	known := slices.Concat([]string{"binding", "remote"}, b.targets, b.ignored)
	for _, field := range slices.Sorted(maps.Keys(entry)) {
		if !slices.Contains(known, field) {
			r.add(at, fmt.Sprintf("%.80q of the %s %.80q is not supported in a preview", field, b.what, name), "")
		}
	}
	return name, target
}

func notAllowed(what, name, target string) string {
	if target == "" {
		return fmt.Sprintf("the %s %q names nothing that it could be bound to", what, name)
	}
	return fmt.Sprintf("the %s %q leads to %.120q, which bindings.allow of the default branch does not list", what, name, target)
}

// withheld says what to do about a target that is listed and not offered.
func withheld(kind preview.BindingKind, target string) string {
	return fmt.Sprintf("remove it, or ask the operator of this Flaresmith server to list %q in the bindings of this repository", preview.AllowEntry(kind, target))
}

func (b bindable) hint(target string) string {
	hint := fmt.Sprintf("make one for previews, name it as %q here or in \"env.%s\"", b.targets[0], preview.PreviewSection)
	if !preview.ValidTarget(target) {
		target = "<" + b.targets[len(b.targets)-1] + ">"
	}
	return hint + fmt.Sprintf(", and add it as %q to bindings.allow in .github/flaresmith.yml of the default branch", preview.AllowEntry(b.kind, target))
}

// taken reports whether something else in the Worker's environment has that name.
func taken(w *wrangler, worker preview.WorkerLayout, bound []preview.Binding, name string) bool {
	_, text := w.vars[name]
	_, other := w.jsonVars[name]
	_, service := w.services[name]
	return text || other || service || name == worker.DatabaseBinding || w.static != nil && name == w.static.Binding ||
		slices.ContainsFunc(bound, func(b preview.Binding) bool { return b.Name == name })
}
