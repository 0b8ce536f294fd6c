package onboard

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/app/build"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

const (
	maxPath      = 255 // characters, as in app/repoconfig
	maxWranglers = 12  // Wrangler configurations that are read
	maxWorkers   = 5   // Workers that a configuration can name
	maxReads     = 60  // files that are read of one repository
)

// Reader reads one file of the repository. ok is false when it does not exist; a file that is too
// large exists without data. An error ends the detection.
type Reader func(path string) (data []byte, ok bool, err error)

// Found is what a repository looks like. Every text in it is the repository's own, and hostile.
type Found struct {
	// Workers are what is proposed, the one that answers at the preview's own name first.
	Workers []Worker
	// Left are those that are left out: they would not work yet, or are too many.
	Left []Worker
	// Unread are Wrangler configurations that can't be parsed, or were too many to look at.
	Unread []string
	// Migrations is the folder of those that are for Postgres; empty: none. Drizzle tells how they are written.
	Migrations string
	Drizzle    bool
	// Passed are folders of migrations that a preview can't apply, and why.
	Passed      []Passed
	Collections string // folder of Postman collections; empty: none
	NoParent    bool   // the operator has named no database to branch from
}

// Worker is one Wrangler configuration.
type Worker struct {
	build.Summary
	Config string // path of the file
	Called string // what the configuration calls it, beside others
	Lock   string // lock file that counts for it; empty: none
	// OtherLock is a lock file that is not supported, or package.json where there is no lock file at all.
	OtherLock string
	// Binding is what the code calls its connection string; empty: nothing says so. Several: it could
	// be any of these.
	Binding  string
	Several  []string
	NoMain   bool // Main is not in the repository
	NoAssets bool // nor is the folder Assets

	text []byte // of the file
}

// works reports whether nothing is known that keeps it from being deployed.
func (w Worker) works() bool { return !w.NoMain && !w.NoAssets && len(w.Problems) == 0 }

// Passed is a folder that was left out.
type Passed struct{ Folder, Reason string }

// detector is one detection.
type detector struct {
	files map[string]bool
	names []string // those that may be named, sorted by depth and name
	read  Reader
	reads int
	found Found
}

// Detect finds the layout of a repository from the paths of its files and the content of a few.
func Detect(paths []string, read Reader) (Found, error) {
	d := &detector{files: make(map[string]bool, len(paths)), read: read}
	for _, name := range paths {
		if !d.files[name] && valid(name) {
			d.files[name] = true
			if usable(name) {
				d.names = append(d.names, name)
			}
		}
	}
	slices.SortFunc(d.names, nearer)
	for _, step := range []func() error{d.workers, d.bindings, d.choose, d.migrations} {
		if err := step(); err != nil {
			return Found{}, err
		}
	}
	d.collections()
	return d.found, nil
}

// valid reports a path that a configuration can name.
func valid(name string) bool {
	return fs.ValidPath(name) && name != "." && utf8.RuneCountInString(name) <= maxPath && !strings.Contains(name, `\`) &&
		!strings.ContainsFunc(name, unicode.IsControl)
}

// usable leaves out what is not the repository's own program.
func usable(name string) bool {
	for folder := range strings.SplitSeq(strings.ToLower(path.Dir(name)), "/") {
		if slices.Contains([]string{"node_modules", "vendor", "third_party", "dist", "test", "tests", "__tests__", "e2e", "testdata", "fixture", "fixtures",
			"__fixtures__", "example", "examples", "sample", "samples", "demo", "demos", "template", "templates", "playground"}, folder) ||
			len(folder) > 1 && folder[0] == '.' {
			return false
		}
	}
	return true
}

// nearer orders paths by how deep they are, and then by name.
func nearer(a, b string) int {
	return cmp.Or(cmp.Compare(strings.Count(a, "/"), strings.Count(b, "/")), cmp.Compare(a, b))
}

// file reads a file, within the bounds of one detection.
func (d *detector) file(name string) (data []byte, ok bool, err error) {
	if d.reads++; d.reads > maxReads {
		return nil, d.files[name], nil
	}
	return d.read(name)
}

// workers reads the Wrangler configurations. Of several in one folder the one counts that Wrangler takes.
func (d *detector) workers() error {
	for _, name := range d.names {
		if !d.isWrangler(name) {
			continue
		}
		if len(d.found.Workers)+len(d.found.Unread) >= maxWranglers {
			d.found.Unread = append(d.found.Unread, name)
			continue
		}
		data, _, err := d.file(name)
		if err != nil {
			return err
		}
		summary, ok := build.Inspect(layout(name), data, nil)
		switch {
		case !ok:
			d.found.Unread = append(d.found.Unread, name)
		case !summary.Pages && (summary.Main != "" || summary.Assets != ""): // else a Pages project, or nothing yet
			w := Worker{Summary: summary, Config: name, text: data}
			w.NoAssets = summary.Assets != "" && summary.Assets != "." && !d.has(summary.Assets)
			d.lock(&w)
			d.found.Workers = append(d.found.Workers, w)
		}
	}
	return nil
}

func (d *detector) isWrangler(name string) bool {
	order := []string{"wrangler.json", "wrangler.jsonc", "wrangler.toml"}
	at := slices.Index(order, path.Base(name))
	return at >= 0 && !slices.ContainsFunc(order[:at], func(other string) bool { return d.files[path.Join(path.Dir(name), other)] })
}

// has reports whether a folder has any file.
func (d *detector) has(folder string) bool {
	for name := range d.files {
		if strings.HasPrefix(name, folder+"/") {
			return true
		}
	}
	return false
}

// lock finds what pins the Worker's packages: the nearest lock file, up to the root.
func (d *detector) lock(w *Worker) {
	for folder := path.Dir(w.Config); ; folder = path.Dir(folder) {
		for _, name := range []string{"package-lock.json", "pnpm-lock.yaml"} {
			if w.Lock == "" && d.files[path.Join(folder, name)] {
				w.Lock = path.Join(folder, name)
			}
		}
		for _, name := range []string{"yarn.lock", "bun.lock", "bun.lockb", "npm-shrinkwrap.json", "package.json"} {
			if w.OtherLock == "" && d.files[path.Join(folder, name)] {
				w.OtherLock = path.Join(folder, name)
			}
		}
		if w.Lock != "" || folder == "." {
			return
		}
	}
}

// bindings finds what each Worker calls its connection string, and whether its program is there at all.
func (d *detector) bindings() error {
	for i := range d.found.Workers {
		if err := d.binding(&d.found.Workers[i]); err != nil {
			return err
		}
	}
	return nil
}

// choose keeps the Workers that can be deployed, since a preview is all of them or none. Of too many
// it is the likeliest; where none can, it is told what is missing.
func (d *detector) choose() error {
	var names []string
	for _, w := range d.found.Workers {
		names = append(names, w.Name)
	}
	var working, broken []Worker
	for _, w := range d.found.Workers {
		if w.Summary, _ = build.Inspect(layout(w.Config), w.text, names); w.works() {
			working = append(working, w)
			continue
		}
		broken = append(broken, w)
	}
	all, count := slices.Concat(working, broken), len(working)
	if count == 0 || count > maxWorkers {
		count = min(len(all), 1)
	}
	d.found.Workers, d.found.Left = all[:count:count], all[count:]
	call(d.found.Workers)
	return nil
}

func layout(config string) preview.WorkerLayout {
	return preview.WorkerLayout{WranglerConfig: config, DatabaseBinding: defaultWorker().DatabaseBinding}
}

func defaultWorker() preview.WorkerLayout { return repoconfig.Default().Layout.Workers[0] }

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// call gives each Worker a name that a configuration can give it, after its own or its folder's.
func call(workers []Worker) {
	taken := map[string]bool{"base": true} // by the name without hyphens; see app/repoconfig
	for i := range workers {
		w := &workers[i]
		for _, name := range []string{w.Name, path.Base(path.Dir(w.Config)), "worker"} {
			if len(name) > maxPath {
				continue
			}
			name = strings.Trim(notInName.ReplaceAllString(strings.ToLower(name), "-"), "-")
			name = strings.TrimRight(name[:min(len(name), preview.MaxWorkerName-2)], "-") // room for a number
			if !preview.ValidWorkerName(name) {
				continue
			}
			w.Called = name
			for n := 2; taken[strings.ReplaceAll(w.Called, "-", "")]; n++ {
				w.Called = fmt.Sprintf("%s%d", name, n)
			}
			break
		}
		taken[strings.ReplaceAll(w.Called, "-", "")] = true
	}
}

func (d *detector) binding(w *Worker) error {
	var names []string
	if w.Main != "" {
		code, ok, err := d.file(w.Main)
		if err != nil {
			return err
		}
		w.NoMain = !ok
		names = usedNames(code)
	}
	for _, base := range []string{".dev.vars.example", ".dev.vars.sample", ".env.example"} {
		name := path.Join(path.Dir(w.Config), base)
		if !d.files[name] {
			continue
		}
		data, _, err := d.file(name)
		if err != nil {
			return err
		}
		names = append(names, exampleNames(data)...)
	}
	for _, name := range w.Vars {
		if connectionName(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	switch names = slices.Compact(names); {
	case slices.Contains(names, defaultWorker().DatabaseBinding):
		w.Binding = defaultWorker().DatabaseBinding
	case len(names) == 1:
		w.Binding = names[0]
	default:
		w.Several = names[:min(len(names), 5)]
	}
	return nil
}

var (
	usedName    = regexp.MustCompile(`\benv\.([A-Z][A-Z0-9_]{0,63})\b`)
	exampleLine = regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]{0,63})[ \t]*=[ \t]*["']?(postgres(?:ql)?://)?`)
	connection  = regexp.MustCompile(`^(?:[A-Z0-9]+_)*(?:DATABASE|DB|POSTGRES|POSTGRESQL|PG|NEON)(?:_[A-Z0-9]+)*_(?:URL|URI|DSN|CONNECTION_STRING)$`)
	otherSystem = regexp.MustCompile(`TURSO|LIBSQL|MYSQL|MONGO|REDIS|PLANETSCALE|SHADOW|TEST`)
)

// connectionName reports whether people call a Postgres connection string so.
func connectionName(name string) bool {
	return len(name) <= 64 && connection.MatchString(name) && !otherSystem.MatchString(name)
}

// usedNames are the connection strings that a program reads from its environment.
func usedNames(code []byte) (names []string) {
	for _, m := range usedName.FindAllSubmatch(code, -1) {
		if connectionName(string(m[1])) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

// exampleNames are the connection strings of a file of example variables. Values are not kept.
func exampleNames(data []byte) (names []string) {
	for _, m := range exampleLine.FindAllSubmatch(data, -1) {
		if len(m[2]) > 0 || connectionName(string(m[1])) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

// collections finds the folder with Postman's files that is nearest to the first Worker.
func (d *detector) collections() {
	var folders []string
	for _, name := range d.names {
		if folder := path.Dir(name); strings.HasSuffix(name, ".postman_collection.json") && folder != "." {
			folders = append(folders, folder)
		}
	}
	if d.nearFirst(folders); len(folders) > 0 {
		d.found.Collections = folders[0]
	}
}

// nearFirst orders folders: those beside or below the first Worker's configuration before all others.
func (d *detector) nearFirst(folders []string) {
	home := "."
	if len(d.found.Workers) > 0 {
		home = path.Dir(d.found.Workers[0].Config)
	}
	away := func(folder string) int {
		if home == "." || strings.HasPrefix(folder+"/", home+"/") {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(folders, func(a, b string) int {
		return cmp.Or(cmp.Compare(away(a), away(b)), nearer(a, b))
	})
}
