package onboard

import (
	"bytes"
	"encoding/json"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/repoconfig"
)

// maxFolders bounds the folders of migrations that are looked into.
const maxFolders = 10

// migrations finds the folder of those that are for Postgres: drizzle-kit's first, then plain SQL.
func (d *detector) migrations() error {
	if len(d.found.Workers) == 0 {
		return nil
	}
	for _, find := range []func() error{d.drizzle, d.drizzleConfig, d.plain} {
		if err := find(); err != nil || d.found.Migrations != "" {
			return err
		}
	}
	return nil
}

func (d *detector) pass(folder, reason string) {
	d.found.Passed = append(d.found.Passed, Passed{folder, reason})
}

// passed reports whether a folder was looked into already, and left out.
func (d *detector) passed(folder string) bool {
	return slices.ContainsFunc(d.found.Passed, func(p Passed) bool { return p.Folder == folder })
}

// drizzle looks for drizzle-kit's journals, which say what system they are for.
func (d *detector) drizzle() error {
	var folders []string
	for _, name := range d.names {
		if folder, ok := strings.CutSuffix(name, "/meta/_journal.json"); ok {
			folders = append(folders, folder)
		}
	}
	d.nearFirst(folders)
	for _, folder := range folders[:min(len(folders), maxFolders)] {
		data, _, err := d.file(folder + "/meta/_journal.json")
		if err != nil {
			return err
		}
		var journal struct{ Dialect string }
		_ = json.Unmarshal(data, &journal) // of one that can't be read, the preview says what is wrong
		if forPostgres(journal.Dialect) {
			d.found.Migrations, d.found.Drizzle = folder, true
			return nil
		}
		d.pass(folder, "their journal is not for PostgreSQL")
	}
	return nil
}

func forPostgres(dialect string) bool {
	return slices.Contains([]string{"", "pg", "postgres", "postgresql"}, dialect)
}

var (
	drizzleOut     = regexp.MustCompile(`\bout["']?\s*:\s*["'` + "`" + `]([^"'` + "`" + `\s]{1,200})["'` + "`" + `]`)
	drizzleDialect = regexp.MustCompile(`\bdialect["']?\s*:\s*["'` + "`" + `]([a-z]{1,20})["'` + "`" + `]`)
)

// drizzleConfig takes the folder that drizzle-kit will write to, where it has not written yet. The file
// is a program; only what stands in it as plain text is read.
func (d *detector) drizzleConfig() error {
	var configs []string
	for _, name := range d.names {
		if slices.Contains([]string{"drizzle.config.ts", "drizzle.config.mts", "drizzle.config.js", "drizzle.config.mjs", "drizzle.config.json"}, path.Base(name)) {
			configs = append(configs, name)
		}
	}
	d.nearFirst(configs)
	if len(configs) == 0 {
		return nil
	}
	data, _, err := d.file(configs[0])
	if err != nil {
		return err
	}
	folder := path.Join(path.Dir(configs[0]), "drizzle")
	if out := drizzleOut.FindSubmatch(data); out != nil {
		folder = path.Join(path.Dir(configs[0]), string(out[1]))
	}
	dialect := ""
	if m := drizzleDialect.FindSubmatch(data); m != nil {
		dialect = string(m[1])
	}
	if valid(folder) && usable(folder+"/x") && forPostgres(dialect) && !d.passed(folder) {
		d.found.Migrations, d.found.Drizzle = folder, true
	}
	return nil
}

var (
	downFile = regexp.MustCompile(`(?i)(?:[._-]down|[._-]rollback|[._-]undo)\.sql$|^U[0-9._]+__`)
	downPart = regexp.MustCompile(`(?im)^--\s*(?:\+goose\s+down|\+migrate\s+down|migrate:down)\b`)
)

// plain looks for folders of SQL files that can be run one after the other.
func (d *detector) plain() error {
	files := map[string][]string{}
	var folders []string
	for _, name := range d.names {
		folder := path.Dir(name)
		if path.Ext(name) != ".sql" || !slices.Contains([]string{"migrations", "migration", "drizzle"}, strings.ToLower(path.Base(folder))) {
			d.prisma(name)
			continue
		}
		if files[folder] == nil {
			folders = append(folders, folder)
		}
		files[folder] = append(files[folder], name)
	}
	d.nearFirst(folders)
	for _, folder := range folders[:min(len(folders), maxFolders)] {
		if d.passed(folder) {
			continue
		}
		reason, err := d.unsuited(folder, files[folder])
		if err != nil {
			return err
		}
		if reason == "" {
			d.found.Migrations = folder
			return nil
		}
		d.pass(folder, reason)
	}
	return nil
}

// unsuited is why the SQL files of a folder must not be run one after the other; empty: they can be.
func (d *detector) unsuited(folder string, files []string) (string, error) {
	for _, w := range slices.Concat(d.found.Workers, d.found.Left) {
		if w.D1 && folder == path.Join(path.Dir(w.Config), "migrations") {
			return "they belong to a D1 database", nil
		}
	}
	if slices.ContainsFunc(files, func(name string) bool { return downFile.MatchString(path.Base(name)) }) {
		return "some files undo others, and would be run as well", nil
	}
	data, _, err := d.file(files[0])
	if err != nil {
		return "", err
	}
	if downPart.Match(bytes.ReplaceAll(data, []byte("\r"), nil)) {
		return "parts of them undo others, and would be run as well", nil
	}
	return "", nil
}

// prisma notes a folder in Prisma's form, with a folder for each migration.
func (d *detector) prisma(name string) {
	folder := path.Dir(path.Dir(name))
	if path.Base(name) == "migration.sql" && path.Base(folder) == "migrations" && !d.passed(folder) {
		d.pass(folder, "each is in a folder of its own, as Prisma writes them")
	}
}

// dir is what the configuration names as the folder of migrations: the default one is ruled out where
// it holds something else.
func (f Found) dir() string {
	standard := repoconfig.Default().Layout.Migrations
	if f.Migrations == "" && !slices.ContainsFunc(f.Passed, func(p Passed) bool { return p.Folder == standard }) {
		return standard
	}
	return f.Migrations
}
