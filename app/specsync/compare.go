package specsync

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // git's own hash of a file
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// What a repository's specs may be on the server. The program spec-apply takes more.
const (
	maxSpecBytes = 24 << 20
	maxSpecFiles = 2_000
	maxManifest  = 8 << 20
	maxOutput    = 48 << 20
	specsFolder  = "specs"

	// maxTime is a multiple of what the largest descriptions in use take, and a part of what a look may: it may compare twice.
	maxTime = 30 * time.Second
)

var errTooLong = fmt.Errorf("it took longer than %s", maxTime)

// Result is how the generated files of a commit stand to its specs.
type Result struct {
	Report drift.Report
	// Problems are what is wrong with specs, configuration or layout: then there is nothing else.
	Problems []preview.Problem
	// NoSpecs: the commit has neither specs nor anything that was generated.
	NoSpecs bool

	manifest []byte // that goes with the files

	lines map[string]int    // of each file that is changed, the first line that is
	blobs map[string]string // git's id of each file that is changed or deleted, and of the manifest; not of new ones
}

// Compare generates what the specs ask for and compares it with the files that are there. fallback is the
// configuration that counts where the commit has none of its own. What the repository's authors can repair is in the
// result; an error is ours, as is the context's end. Specs that take too long are their authors'.
func Compare(ctx context.Context, source fs.FS, fallback []byte) (Result, error) {
	limited, cancel := context.WithTimeoutCause(ctx, maxTime, errTooLong)
	defer cancel()
	r, err := compare(limited, source, fallback)
	if err == nil {
		return r, nil
	}
	var problems spec.Problems
	var invalid *preview.InvalidError
	switch {
	case errors.As(err, &problems):
		r = Result{}
		for _, p := range problems {
			r.Problems = append(r.Problems, preview.Problem{Path: p.File, Line: p.Line, Column: p.Column, Message: p.Message})
		}
		return r, nil
	case errors.As(err, &invalid):
		return Result{Problems: invalid.Problems}, nil
	case errors.Is(err, errTooLong):
		return Result{Problems: []preview.Problem{{Message: err.Error(), Hint: "Run spec-apply in a workflow instead, or make smaller what takes so long."}}}, nil
	case ctx.Err() != nil:
		return Result{}, preview.Transient(fmt.Errorf("compare with the specs: %w", err))
	case ours(err):
		return Result{}, fmt.Errorf("compare with the specs: %w", err)
	}
	return Result{Problems: []preview.Problem{{Message: err.Error()}}}, nil
}

// ours tells trouble with this machine's disk from a repository in which a file is where a folder should be.
func ours(err error) bool {
	var number syscall.Errno
	return errors.As(err, &number) && number != syscall.ENOENT && number != syscall.ENOTDIR && number != syscall.EISDIR && number != syscall.EINVAL
}

func compare(ctx context.Context, source fs.FS, fallback []byte) (Result, error) {
	head, err := readHead(source)
	if err != nil {
		return Result{}, err
	}
	if _, err := fs.Stat(source, specsFolder); errors.Is(err, fs.ErrNotExist) && len(head.Files) == 0 {
		return Result{NoSpecs: true}, nil
	}
	if err := bound(source); err != nil {
		return Result{}, err
	}
	options, err := configured(source, fallback)
	if err != nil {
		return Result{}, err
	}
	in, err := codegen.Load(source, options)
	if err != nil {
		return Result{}, err
	}
	if in.Current(head, source) {
		return Result{Report: drift.Unchanged(head)}, nil
	}
	manifest, err := drift.ReadManifest(source)
	if err != nil {
		return Result{}, err
	}
	files, err := in.Generate(ctx)
	if err != nil {
		return Result{}, err
	}
	var r Result
	// Everything at a commit is committed.
	var next drift.Manifest
	r.Report, next, err = codegen.Plan(source, files, manifest, func([]string) (map[string]bool, error) { return nil, nil }) //nolint:nilnil // nobody
	if err != nil {
		return Result{}, err
	}
	if r.manifest = next.Bytes(); len(r.manifest) > maxManifest {
		return Result{}, tooLarge("would be larger")
	}
	return r, r.locate(source)
}

// tooLarge is about a manifest: one that is not read is not written, either.
func tooLarge(is string) error {
	return preview.Invalid("manifest", preview.Problem{Path: drift.ManifestPath, Message: fmt.Sprintf("The file %s than %d MB.", is, maxManifest>>20)})
}

func readHead(source fs.FS) (drift.Head, error) {
	if info, err := fs.Stat(source, drift.ManifestPath); err == nil && info.Size() > maxManifest {
		return drift.Head{}, tooLarge("is larger")
	}
	return drift.ReadHead(source)
}

// bound refuses specs that would take too much to read.
func bound(source fs.FS) error {
	total, count := int64(0), 0
	err := fs.WalkDir(source, specsFolder, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && name == specsFolder {
			return fs.SkipAll
		}
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		count, total = count+1, total+info.Size()
		if total > maxSpecBytes || count > maxSpecFiles {
			return preview.Invalid("specs", preview.Problem{Path: name, Message: fmt.Sprintf("The specs are more than the server reads: %d MB in %d files.", maxSpecBytes>>20, maxSpecFiles),
				Hint: "Run spec-apply in a workflow instead, which takes more."})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("specs: %w", err)
	}
	return nil
}

// configured is what the commit's configuration says of specs, or the fallback.
func configured(source fs.FS, fallback []byte) (codegen.Options, error) {
	data, found, err := repoconfig.Read(source)
	if err != nil {
		return codegen.Options{}, err
	}
	if !found {
		data = fallback
	}
	c, problems := repoconfig.Parse(data)
	if len(problems) > 0 {
		return codegen.Options{}, &preview.InvalidError{What: "the configuration is not valid", Problems: problems}
	}
	l := c.Spec.Layout
	for _, folder := range []string{l.Source, l.Schemas, l.Routes, l.Handlers, l.Database, l.MCP, c.Layout.Collections} {
		if forbidden(folder) {
			return codegen.Options{}, preview.Invalid("layout", preview.Problem{Path: repoconfig.Path,
				Message: fmt.Sprintf("Generated files can't go to %q: nothing is written below .github and .git.", folder)})
		}
	}
	return codegen.Options{Targets: c.Spec.Targets, Layout: codegen.Layout{
		Source: l.Source, Schemas: l.Schemas, Routes: l.Routes, Handlers: l.Handlers, Database: l.Database, MCP: l.MCP,
		Collections: c.Layout.Collections, Environments: c.Spec.Environments,
	}}, nil
}

// forbidden tells where nothing is ever written, whatever the layout or the manifest says: workflows are there.
func forbidden(name string) bool {
	for element := range strings.SplitSeq(path.Clean(name), "/") {
		if strings.EqualFold(element, ".git") {
			return true
		}
	}
	first, _, _ := strings.Cut(path.Clean(name), "/")
	return strings.EqualFold(first, ".github")
}

// locate notes where files differ, and what they are now.
func (r *Result) locate(source fs.FS) error {
	r.lines, r.blobs = map[string]int{}, map[string]string{}
	output := 0
	for _, c := range r.Report.ChangedFiles {
		if forbidden(c.Path) { // the manifest lists it, which anybody can write
			return preview.Invalid("manifest", preview.Problem{Path: drift.ManifestPath, Message: fmt.Sprintf("It lists %q: nothing is written below .github and .git.", c.Path)})
		}
		if output += len(c.After()); output > maxOutput {
			return preview.Invalid("specs", preview.Problem{Message: fmt.Sprintf("More than %d MB would be generated.", maxOutput>>20)})
		}
		if c.ChangeType == drift.Created {
			continue
		}
		before, err := fs.ReadFile(source, c.Path)
		if err != nil {
			return err
		}
		r.blobs[c.Path], r.lines[c.Path] = blobID(before), 1
		if c.ChangeType == drift.Modified {
			r.lines[c.Path] = firstDifference(before, c.After())
		}
	}
	before, err := fs.ReadFile(source, drift.ManifestPath)
	switch {
	case err == nil:
		r.blobs[drift.ManifestPath] = blobID(before)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// blobID is git's id of a file's content.
func blobID(content []byte) string {
	sum := sha1.New() //nolint:gosec // git's own hash of a file
	fmt.Fprintf(sum, "blob %d\x00", len(content))
	sum.Write(content)
	return hex.EncodeToString(sum.Sum(nil))
}

// firstDifference is the number of the first line of a in which b differs, and of the last one where one goes on. A
// generated file's head differs whenever anything does, so it counts only where nothing else does.
func firstDifference(a, b []byte) int {
	line := 1
	if bodyA, bodyB := drift.Body(a), drift.Body(b); !bytes.Equal(bodyA, bodyB) {
		line += bytes.Count(a[:len(a)-len(bodyA)], []byte("\n"))
		a, b = bodyA, bodyB
	}
	for len(a) > 0 && len(b) > 0 {
		first, restA, _ := bytes.Cut(a, []byte("\n"))
		second, restB, _ := bytes.Cut(b, []byte("\n"))
		if !bytes.Equal(first, second) || len(restA) == 0 {
			return line
		}
		a, b = restA, restB
		line++
	}
	return line
}
