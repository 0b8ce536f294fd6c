package codegen

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sync/errgroup"

	"github.com/flaresmith/flaresmith/codegen/drift"
)

// Write carries a plan out below root, all of it or nothing: every file is complete on the disk
// before the first takes its place, and a failure puts the old ones back. A plan with files in the
// way is refused, and so is one whose files changed since it was made.
func Write(root *os.Root, report drift.Report, manifest drift.Manifest) (err error) {
	if report.Refused() {
		return errors.New("files are in the way: nothing was written")
	}
	if len(report.ChangedFiles) == 0 && unchangedManifest(root, manifest) {
		return nil
	}
	w := &writer{root: root, suffix: ".flaresmith-" + rand.Text()}
	defer func() { err = errors.Join(err, w.finish(err == nil)) }()
	if err := w.prepareAll(report, manifest); err != nil {
		return err
	}
	for _, c := range report.ChangedFiles {
		if err := w.unchanged(c); err != nil {
			return err
		}
	}
	for _, c := range report.ChangedFiles {
		if err := w.replace(c.Path, c.ChangeType != drift.Deleted); err != nil {
			return err
		}
	}
	return w.replace(drift.ManifestPath, true)
}

func unchangedManifest(root *os.Root, manifest drift.Manifest) bool {
	old, err := root.ReadFile(drift.ManifestPath)
	if err != nil {
		return false
	}
	return string(old) == string(manifest.Bytes())
}

// writer replaces files, and remembers how to undo it.
type writer struct {
	root    *os.Root
	suffix  string
	folders []string // that were made
	ready   []string // new files beside their places, as far as they were come to
	undo    []replaced
}

type replaced struct {
	path       string
	old, fresh bool // there was a file; there is a new one
}

// atOnce is how many files are written at the same time: they wait for the disk more than for a processor.
const atOnce = 8

// prepareAll writes the new files beside their places, and the manifest.
func (w *writer) prepareAll(report drift.Report, manifest drift.Manifest) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	prepare := func(name string, content func() []byte) error {
		if err := w.folder(path.Dir(name)); err != nil {
			return err
		}
		w.ready = append(w.ready, name)
		group.Go(func() error { return w.prepare(name, content()) })
		return nil
	}
	err := prepare(drift.ManifestPath, manifest.Bytes)
	for _, c := range report.ChangedFiles {
		if err == nil && c.ChangeType != drift.Deleted {
			err = prepare(c.Path, c.After)
		}
	}
	return errors.Join(err, group.Wait())
}

func (w *writer) prepare(name string, content []byte) error {
	if info, err := w.root.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("write %s: something that is no file is in the way", name)
	}
	f, err := w.root.OpenFile(name+w.suffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// folder makes a folder and those above it.
func (w *writer) folder(name string) error {
	if name == "." {
		return nil
	}
	if err := w.folder(path.Dir(name)); err != nil {
		return err
	}
	err := w.root.Mkdir(name, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make folder %s: %w", name, err)
	}
	w.folders = append(w.folders, name)
	return nil
}

// unchanged makes sure that a file is what it was when the plan was made.
func (w *writer) unchanged(c drift.Change) error {
	now := ""
	content, err := w.root.ReadFile(c.Path)
	if err == nil {
		now = drift.Hash(content)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at %s: %w", c.Path, err)
	}
	if now != c.Before() {
		return fmt.Errorf("%s was changed while this ran: nothing was written", c.Path)
	}
	return nil
}

func (w *writer) replace(name string, fresh bool) error {
	step := replaced{path: name, fresh: fresh}
	err := w.root.Rename(name, name+w.suffix+"-old")
	switch {
	case err == nil:
		step.old = true
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("replace %s: %w", name, err)
	}
	w.undo = append(w.undo, step)
	if fresh {
		if err := w.root.Rename(name+w.suffix, name); err != nil {
			return fmt.Errorf("replace %s: %w", name, err)
		}
	}
	return nil
}

// finish removes what the work needed, after putting everything back if it failed.
func (w *writer) finish(done bool) error {
	var errs []error
	for i := len(w.undo) - 1; i >= 0; i-- {
		step := w.undo[i]
		switch {
		case done && step.old:
			errs = append(errs, w.root.Remove(step.path+w.suffix+"-old"))
			if !step.fresh {
				w.emptied(path.Dir(step.path))
			}
		case done:
		case step.old:
			errs = append(errs, w.root.Rename(step.path+w.suffix+"-old", step.path))
		default:
			errs = append(errs, ignoreMissing(w.root.Remove(step.path)))
		}
	}
	if done {
		return errors.Join(errs...)
	}
	for _, name := range w.ready {
		errs = append(errs, ignoreMissing(w.root.Remove(name+w.suffix)))
	}
	for i := len(w.folders) - 1; i >= 0; i-- {
		_ = w.root.Remove(w.folders[i]) // somebody else may have put something there
	}
	return errors.Join(errs...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// emptied removes folders that a deleted file was the last one in.
func (w *writer) emptied(folder string) {
	for folder != "." && w.root.Remove(folder) == nil {
		folder = path.Dir(folder)
	}
}
