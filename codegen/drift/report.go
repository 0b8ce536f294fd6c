package drift

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// ChangeType says what happens to a file.
type ChangeType string

// The types of changes.
const (
	Created  ChangeType = "created"
	Modified ChangeType = "modified"
	Deleted  ChangeType = "deleted"
)

// Reason says why a file is not touched.
type Reason string

// The reasons of conflicts.
const (
	Uncommitted      Reason = "UNCOMMITTED_LOCAL_CHANGES"
	ManualDivergence Reason = "MANUAL_DIVERGENCE"
	SchemaMismatch   Reason = "SCHEMA_MISMATCH" // specs contradict themselves
)

// Status is the whole report in a word.
type Status string

// The statuses.
const (
	Clean     Status = "clean"
	Drift     Status = "drift"
	Conflicts Status = "conflicts"
)

// Change is one file that is created, modified or deleted.
type Change struct {
	Path         string     `json:"path"`
	ChangeType   ChangeType `json:"changeType"`
	LinesAdded   int        `json:"linesAdded"`
	LinesRemoved int        `json:"linesRemoved"`
	before       string     // hash, "" of a file that is not there
	after        []byte
}

// Before is the hash of what was there when the plan was made, or "".
func (c Change) Before() string { return c.before }

// After is the new content; nil of a file that is deleted.
func (c Change) After() []byte { return c.after }

// Conflict is a file that must not be overwritten, or the place of a spec that contradicts another.
type Conflict struct {
	Path       string `json:"path"`
	Reason     Reason `json:"reason"`
	Resolution string `json:"resolution"`
	Line       int    `json:"line,omitempty"` // with Column, of a spec
	Column     int    `json:"column,omitempty"`
}

// Summary counts the changes.
type Summary struct {
	TotalFiles    int    `json:"totalFiles"`
	FilesCreated  int    `json:"filesCreated"`
	FilesModified int    `json:"filesModified"`
	FilesDeleted  int    `json:"filesDeleted"`
	HasConflicts  bool   `json:"hasConflicts"`
	Status        Status `json:"status"`
}

// Report is what apply would do, or did: then AppliedAt is set.
type Report struct {
	ChangedFiles []Change   `json:"changedFiles"`
	Conflicts    []Conflict `json:"conflicts"`

	BreakingChanges []BreakingChange `json:"breakingChanges"` // of what people rely on

	Notes     []spec.Problem `json:"notes"` // what was inferred, and what is not checked
	Summary   Summary        `json:"summary"`
	AppliedAt *time.Time     `json:"appliedAt"`
}

// UncommittedFunc tells which of the paths have changes that are not committed.
type UncommittedFunc func(paths []string) (map[string]bool, error)

// Plan compares the generated files of some targets with the disk. Files of other targets do not count.
func Plan(disk fs.FS, manifest Manifest, targets []string, files []File, uncommitted UncommittedFunc) (Report, error) {
	report := emptyReport()
	report.Summary.TotalFiles = len(files)
	var foreign []string
	wanted := make(map[string]bool, len(files))
	for _, f := range files {
		wanted[f.Path] = true
		old, there, err := read(disk, f.Path)
		switch {
		case err != nil:
			return Report{}, err
		case there && (f.Once || string(old) == string(f.Content)):
		case there && !ours(manifest, f.Path, old):
			foreign = append(foreign, f.Path)
		default:
			report.add(f.Path, old, there, f.Content)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(manifest.Files)) {
		if wanted[path] || !slices.Contains(targets, manifest.Files[path].Target) {
			continue
		}
		old, there, err := read(disk, path)
		switch {
		case err != nil:
			return Report{}, err
		case !there:
		case manifest.Files[path].Once && Hash(old) != manifest.Files[path].SHA256:
			report.Notes = append(report.Notes, spec.Problem{File: path, Line: 1, Column: 1, Message: "no spec asks for this file any more; it is yours and stays: delete it if you don't need it"})
		case !ours(manifest, path, old):
			foreign = append(foreign, path)
		default:
			report.add(path, old, true, nil)
		}
	}
	slices.SortFunc(report.ChangedFiles, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	if err := report.conflicts(foreign, wanted, uncommitted); err != nil {
		return Report{}, err
	}
	report.judge()
	return report, nil
}

func read(disk fs.FS, path string) ([]byte, bool, error) {
	content, err := fs.ReadFile(disk, path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("compare with what is there: %w", err)
	}
	return content, true, nil
}

// ours tells whether a file is just as it was generated once.
func ours(m Manifest, path string, content []byte) bool {
	return m.Files[path].SHA256 == Hash(content) || sealed(content)
}

func (r *Report) add(path string, old []byte, there bool, content []byte) {
	c := Change{Path: path, ChangeType: Created, after: content}
	if there {
		c.ChangeType, c.before = Modified, Hash(old)
	}
	switch {
	case content == nil:
		c.ChangeType = Deleted
		r.Summary.FilesDeleted++
	case there:
		r.Summary.FilesModified++
	default:
		r.Summary.FilesCreated++
	}
	c.LinesAdded, c.LinesRemoved = lines(old, content)
	r.ChangedFiles = append(r.ChangedFiles, c)
}

func (r *Report) conflicts(foreign []string, wanted map[string]bool, uncommitted UncommittedFunc) error {
	if len(foreign) == 0 {
		return nil
	}
	slices.Sort(foreign)
	dirty, err := uncommitted(foreign)
	if err != nil {
		return err
	}
	for _, path := range foreign {
		c := Conflict{Path: path, Reason: ManualDivergence, Resolution: "Take your changes out of this file, or move it away; then apply again."}
		if !wanted[path] {
			c.Resolution = "No spec asks for this file any more, and it was changed by hand: delete it, or move it away."
		}
		if dirty[path] {
			c.Reason = Uncommitted
			c.Resolution = "The file has changes that are not committed. " + c.Resolution
		}
		r.Conflicts = append(r.Conflicts, c)
	}
	return nil
}

// Mismatch adds the places at which specs contradict themselves. What is written follows the more trusted
// notation, and the report has conflicts until one of the two is changed.
func (r *Report) Mismatch(problems spec.Problems) {
	for _, p := range problems {
		r.Conflicts = append(r.Conflicts, Conflict{Path: p.File, Reason: SchemaMismatch, Line: p.Line, Column: p.Column, Resolution: p.Message + ". Change one of them."})
	}
	r.judge()
}

// Refused tells whether files are in the way: then nothing may be written. Specs that contradict themselves
// refuse nothing, as the order of trust says what counts.
func (r *Report) Refused() bool {
	return slices.ContainsFunc(r.Conflicts, func(c Conflict) bool { return c.Reason != SchemaMismatch })
}

// ConflictTitle tells in a line files in the way from specs that contradict themselves.
func (r *Report) ConflictTitle() string {
	mismatches := 0
	for _, c := range r.Conflicts {
		if c.Reason == SchemaMismatch {
			mismatches++
		}
	}
	counted := func(n int, noun string) string {
		if n == 1 {
			return "1 " + noun
		}
		return fmt.Sprintf("%d %ss", n, noun)
	}
	files := counted(len(r.Conflicts)-mismatches, "file") + " in the way of what the specs say"
	contradictions := "specs contradict themselves in " + counted(mismatches, "place")
	switch mismatches {
	case 0:
		return files
	case len(r.Conflicts):
		return "The " + contradictions
	}
	return files + ", and the " + contradictions
}

func (r *Report) judge() {
	r.Summary.HasConflicts = len(r.Conflicts) > 0
	switch {
	case r.Summary.HasConflicts:
		r.Summary.Status = Conflicts
	case len(r.ChangedFiles) > 0:
		r.Summary.Status = Drift
	default:
		r.Summary.Status = Clean
	}
}

// Applied marks the report as done: only what specs contradict themselves in is left.
func (r *Report) Applied(now time.Time) {
	now = now.UTC()
	r.AppliedAt = &now
	if !r.Summary.HasConflicts {
		r.Summary.Status = Clean
	}
}

// emptyReport has lists that are written as such in JSON.
func emptyReport() Report {
	return Report{ChangedFiles: []Change{}, Conflicts: []Conflict{}, BreakingChanges: []BreakingChange{}, Notes: []spec.Problem{}}
}

// Unchanged is the report of files that are known to be as their manifest says.
func Unchanged(h Head) Report {
	r := emptyReport()
	r.Summary.TotalFiles = len(h.Files)
	r.judge()
	return r
}
