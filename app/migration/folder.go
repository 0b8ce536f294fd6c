package migration

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/app/preview"
)

// What a migrations folder may hold at most; it is hostile.
const (
	MaxMigrations = 5000
	MaxStatements = 100_000 // of one file

	maxJournalBytes = 2 << 20
	maxFileBytes    = 4 << 20
	maxFolderBytes  = 64 << 20
	maxNameBytes    = 200
	maxUnlisted     = 20 // more are not named
)

const whatFolder = "the migrations folder can't be read"

// breakpoint separates statements in drizzle-kit's files.
const breakpoint = "--> statement-breakpoint"

// Script is one SQL file: a migration or the seed.
type Script struct {
	Name string // of a migration: drizzle's tag, or the file's name
	Path string // relative to the repository's root
	When int64  // drizzle's journal, milliseconds since 1970; 0 otherwise
	Hash string // SHA-256 of the text, hex, as drizzle-orm computes it
	Text string
}

// Folder is what a repository wants to be applied, in order.
type Folder struct {
	Format  preview.MigrationFormat // drizzle or sql
	Scripts []Script
	Seed    *Script // nil: none
	// Unlisted are SQL files that drizzle-kit's journal does not name, which are not applied.
	Unlisted []string
}

// Unapplied says of each unlisted file that it is not applied.
func (f Folder) Unapplied() []preview.Problem {
	var list []preview.Problem
	for _, name := range f.Unlisted {
		list = append(list, preview.Problem{Path: name, Line: 1, Warning: true, Message: "is not applied: drizzle-kit's journal (meta/_journal.json) does not name it",
			Hint: "run drizzle-kit generate, with --custom for SQL of your own, and commit what it writes"})
	}
	return list
}

// Read reads what layout names from the repository. Everything that is wrong with it is an
// *preview.InvalidError; a folder that does not exist holds no migrations.
func Read(source fs.FS, layout preview.Layout) (Folder, error) {
	if source == nil {
		return Folder{}, errors.New("no source given")
	}
	f := Folder{Format: layout.MigrationFormat}
	r := &reader{source: source}
	if layout.Migrations != "" {
		if !fs.ValidPath(layout.Migrations) {
			return Folder{}, preview.Invalid(whatFolder, preview.Problem{Message: "the path of the folder is not local"})
		}
		if f.Format == preview.MigrationsAuto || f.Format == "" {
			f.Format = preview.MigrationsSQL
			if _, err := fs.Stat(source, journalPath(layout)); err == nil {
				f.Format = preview.MigrationsDrizzle
			}
		}
		var err error
		if f.Format == preview.MigrationsDrizzle {
			if f.Scripts, err = r.drizzle(layout); err == nil {
				f.Unlisted = r.unlisted(layout, f.Scripts)
			}
		} else {
			f.Scripts, err = r.plain(layout)
		}
		if err != nil {
			return Folder{}, err
		}
	}
	if layout.Seed != "" {
		seed, err := r.script(path.Base(layout.Seed), layout.Seed)
		if err != nil {
			return Folder{}, err
		}
		f.Seed = &seed
	}
	return f, nil
}

func journalPath(layout preview.Layout) string {
	return path.Join(layout.Migrations, "meta", "_journal.json")
}

// reader reads files and counts their bytes.
type reader struct {
	source fs.FS
	total  int
}

// drizzle reads the files in the order of drizzle-kit's journal, which is how drizzle-orm does it.
func (r *reader) drizzle(layout preview.Layout) ([]Script, error) {
	name := journalPath(layout)
	invalid := func(format string, args ...any) error {
		return preview.Invalid(whatFolder, preview.Problem{Path: name, Message: fmt.Sprintf(format, args...), Hint: "run drizzle-kit generate and commit what it writes"})
	}
	raw, err := r.read(name, maxJournalBytes)
	if err != nil {
		return nil, err
	}
	var journal struct {
		Entries []struct {
			When int64  `json:"when"`
			Tag  string `json:"tag"`
		} `json:"entries"`
	}
	if err := json.Unmarshal([]byte(raw), &journal); err != nil {
		return nil, invalid("the journal is not what drizzle-kit writes: %v", err)
	}
	if len(journal.Entries) > MaxMigrations {
		return nil, invalid("the journal has %d entries, more than %d", len(journal.Entries), MaxMigrations)
	}
	var scripts []Script
	for i, entry := range journal.Entries {
		if !validName(entry.Tag) {
			return nil, invalid("entry %d has no usable tag", i)
		}
		s, err := r.script(entry.Tag, path.Join(layout.Migrations, entry.Tag+".sql"))
		if err != nil {
			return nil, err
		}
		s.When = entry.When
		scripts = append(scripts, s)
	}
	return scripts, nil
}

// unlisted are the SQL files beside those that the journal names.
func (r *reader) unlisted(layout preview.Layout, scripts []Script) []string {
	listed := map[string]bool{layout.Seed: true}
	for _, s := range scripts {
		listed[s.Path] = true
	}
	entries, err := fs.ReadDir(r.source, layout.Migrations)
	if err != nil {
		return nil // nothing depends on it
	}
	var names []string
	for _, entry := range entries {
		name := path.Join(layout.Migrations, entry.Name())
		if !entry.IsDir() && isMigration(entry.Name()) && validName(entry.Name()) && !listed[name] && len(names) < maxUnlisted {
			names = append(names, name)
		}
	}
	return names
}

// isMigration tells by its name whether a file is one; what undoes a migration (*.down.sql) is none.
func isMigration(name string) bool {
	return strings.HasSuffix(name, ".sql") && !strings.HasSuffix(name, ".down.sql")
}

// plain reads every *.sql file in name order. What undoes a migration (*.down.sql) is left out.
func (r *reader) plain(layout preview.Layout) ([]Script, error) {
	entries, err := fs.ReadDir(r.source, layout.Migrations) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, preview.Invalid(whatFolder, preview.Problem{Path: layout.Migrations, Message: "is not a readable folder"})
	}
	var scripts []Script
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !isMigration(name) {
			continue
		}
		if !validName(name) || len(scripts) == MaxMigrations {
			return nil, preview.Invalid(whatFolder, preview.Problem{Path: layout.Migrations, Message: "has too many files, or one whose name is no use"})
		}
		s, err := r.script(name, path.Join(layout.Migrations, name))
		if err != nil {
			return nil, err
		}
		scripts = append(scripts, s)
	}
	return scripts, nil
}

// validName reports whether name is one plain path element.
func validName(name string) bool {
	if name == "" || name == "." || len(name) > maxNameBytes || !utf8.ValidString(name) || !fs.ValidPath(name) {
		return false
	}
	return !strings.ContainsFunc(name, func(c rune) bool { return c < ' ' || c == '/' || c == '\\' || c == 0x7f })
}

func (r *reader) script(name, file string) (Script, error) {
	text, err := r.read(file, maxFileBytes)
	if err != nil {
		return Script{}, err
	}
	sum := sha256.Sum256([]byte(text))
	return Script{Name: name, Path: file, Hash: hex.EncodeToString(sum[:]), Text: text}, nil
}

// read returns a file as text that PostgreSQL's protocol can carry.
func (r *reader) read(file string, limit int64) (string, error) {
	invalid := func(message string) error {
		return preview.Invalid(whatFolder, preview.Problem{Path: file, Message: message})
	}
	if !fs.ValidPath(file) {
		return "", invalid("the path is not local")
	}
	f, err := r.source.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", invalid("the file is missing")
	}
	if err != nil {
		return "", invalid("the file can't be opened")
	}
	defer func() { _ = f.Close() }() // read only
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return "", invalid("the file can't be read")
	case int64(len(raw)) > limit:
		return "", invalid(fmt.Sprintf("the file is larger than %d kB", limit>>10))
	case !utf8.Valid(raw) || strings.IndexByte(string(raw), 0) >= 0:
		return "", invalid("the file is not UTF-8 text")
	}
	if r.total += len(raw); r.total > maxFolderBytes {
		return "", invalid(fmt.Sprintf("the migrations are larger than %d MB together", maxFolderBytes>>20))
	}
	return string(raw), nil
}

// Statements cuts a script. drizzle cuts at its breakpoints first, wherever they are. Of one that has
// more than MaxStatements it gives more than so many, and not all.
func (s Script) Statements(format preview.MigrationFormat) []Statement {
	if format != preview.MigrationsDrizzle {
		return split(s.Text, 0)
	}
	var all []Statement
	base := 0
	for chunk := range strings.SplitSeq(s.Text, breakpoint) {
		all = append(all, split(chunk, base)...)
		base += len(chunk) + len(breakpoint)
		if len(all) > MaxStatements {
			break
		}
	}
	return all
}

// Line is the line of a byte offset, from 1.
func (s Script) Line(offset int) int {
	return 1 + strings.Count(s.Text[:min(max(offset, 0), len(s.Text))], "\n")
}
