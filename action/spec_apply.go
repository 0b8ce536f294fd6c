package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flaresmith/flaresmith/action/secretscan"
	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/codegen"
	"github.com/flaresmith/flaresmith/codegen/drift"
)

type specApply struct {
	dir, openAPI, out   string
	targets             []string
	dryRun, check, json bool
	byTrust             bool
	unattended          bool // no person reads what specs contradict themselves in: then nothing is written
}

func newSpecApply(io streams) *cobra.Command {
	var o specApply
	cmd := &cobra.Command{
		Use:   "spec-apply",
		Short: "Generate code from specs/, or from one OpenAPI document",
		Long: `Generate code from the contracts and data models in specs/<NNN-feature>/, or from one OpenAPI document.

Exit codes: 0 the files are as the specs say (now), 1 something is wrong, 2 --check or --dry-run
found files that apply would change, 3 files that must not be overwritten are in the way, or a
data-model.md contradicts itself (--by-trust accepts that).`,
		Args: onlyFlags("--dir names the folder that holds specs/, --openapi a document"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.usage(cmd.Flags().Changed); err != nil {
				return err
			}
			report, err := o.run(cmd.Context())
			if err != nil {
				return err
			}
			if err := o.print(io.out, report); err != nil {
				return err
			}
			return result(report)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", ".", "the folder that holds specs/")
	flags.StringVar(&o.openAPI, "openapi", "", "one OpenAPI document instead of specs/; needs --out")
	flags.StringVar(&o.out, "out", "", "the folder for the files of --openapi")
	flags.StringSliceVar(&o.targets, "target", nil, "what to generate: "+strings.Join(codegen.Targets(), ", ")+" (default all that the project has)")
	flags.BoolVar(&o.dryRun, "dry-run", false, "report what would change, and write nothing")
	flags.BoolVar(&o.check, "check", false, "as --dry-run, printing only what is not as the specs say")
	flags.BoolVar(&o.byTrust, "by-trust", false, "where notations of a data-model.md disagree, tell it as a note instead of a conflict")
	flags.BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

// usage refuses flags without a value, and those that would do nothing beside the others.
func (o *specApply) usage(given func(flag string) bool) error {
	for _, flag := range []struct {
		name  string
		empty bool
	}{{"dir", o.dir == ""}, {"openapi", o.openAPI == ""}, {"out", o.out == ""}, {"target", len(o.targets) == 0}} {
		if flag.empty && given(flag.name) {
			return fmt.Errorf("--%s has no value", flag.name)
		}
	}
	one := o.openAPI != ""
	asked := func(target string) bool { return slices.Contains(o.targets, target) }
	switch {
	case o.dryRun && o.check:
		return errors.New("--dry-run and --check: give one of them, neither writes anything")
	case one && o.out == "":
		return errors.New("--openapi needs --out, the folder for the generated files")
	case one && given("dir"):
		return errors.New("--dir says where specs/ is, which --openapi does not read")
	case one && o.byTrust:
		return errors.New("--by-trust is about data-model.md, which --openapi does not read")
	case one && slices.Equal(o.targets, []string{"drizzle"}):
		return errors.New("--target drizzle: tables come from data-model.md, which --openapi does not read")
	case !one && o.out != "":
		return errors.New("--out goes with --openapi: where the files of specs/ go is said in " + repoconfig.Path)
	case o.byTrust && len(o.targets) > 0 && !asked("drizzle") && !asked("hono"):
		return errors.New("--by-trust is about data-model.md, which is read for the targets drizzle and hono only")
	}
	return nil
}

func result(report drift.Report) error {
	switch report.Summary.Status {
	case drift.Conflicts:
		return &exitError{exitConflicts}
	case drift.Drift:
		return &exitError{exitFound}
	}
	return nil
}

// run generates, compares and, unless it only looks, writes. Links in specs/ are followed within the folder only.
func (o *specApply) run(ctx context.Context) (drift.Report, error) {
	defer collectSeldom()()
	if o.openAPI != "" {
		if _, err := os.Stat(o.openAPI); errors.Is(err, fs.ErrNotExist) {
			return drift.Report{}, fmt.Errorf("--openapi: there is no file %s", o.openAPI)
		}
		if info, err := os.Stat(o.out); err == nil && !info.IsDir() {
			return drift.Report{}, fmt.Errorf("--out: %s is no folder", o.out)
		}
		return o.apply(ctx, os.DirFS(filepath.Dir(o.openAPI)), codegen.Options{Only: o.targets, OpenAPI: filepath.Base(o.openAPI)}, o.out)
	}
	root, err := os.OpenRoot(o.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return drift.Report{}, fmt.Errorf("--dir: there is no folder %s", o.dir)
	case err != nil:
		return drift.Report{}, fmt.Errorf("open the folder: %w", err)
	}
	defer root.Close()
	options, err := configured(root.FS())
	if err != nil {
		return drift.Report{}, err
	}
	options.Only = o.targets
	options.ByTrust = o.byTrust
	return o.apply(ctx, root.FS(), options, o.dir)
}

func (o *specApply) apply(ctx context.Context, specs fs.FS, options codegen.Options, base string) (drift.Report, error) {
	in, err := codegen.Load(specs, options)
	if err != nil {
		return drift.Report{}, err
	}
	disk := os.DirFS(base)
	head, err := drift.ReadHead(disk)
	if err != nil {
		return drift.Report{}, err
	}
	if in.Current(head, disk) {
		return drift.Unchanged(head), nil
	}
	manifest, err := drift.ReadManifest(disk)
	if err != nil {
		return drift.Report{}, err
	}
	files, err := in.Generate(ctx)
	if err != nil {
		return drift.Report{}, err
	}
	report, next, err := codegen.Plan(disk, files, manifest, func(paths []string) (map[string]bool, error) {
		return codegen.Uncommitted(ctx, base, paths)
	})
	if err != nil {
		return drift.Report{}, err
	}
	if o.dryRun || o.check || report.Refused() || o.unattended && report.Summary.HasConflicts {
		return report, nil
	}
	if err := ctx.Err(); err != nil {
		return drift.Report{}, fmt.Errorf("interrupted: %w", err)
	}
	if err := write(base, report, next); err != nil {
		return drift.Report{}, err
	}
	report.Applied(time.Now())
	return report, nil
}

// configured reads what the repository's configuration says of specs. Where there is none, the defaults count.
func configured(repository fs.FS) (codegen.Options, error) {
	data, _, err := repoconfig.Read(repository)
	if err != nil {
		return codegen.Options{}, err
	}
	c, problems := repoconfig.Parse(data)
	if len(problems) > 0 {
		lines := make([]string, len(problems))
		for i, p := range problems {
			lines[i] = p.String()
		}
		return codegen.Options{}, errors.New(strings.Join(lines, "\n"))
	}
	l := c.Spec.Layout
	return codegen.Options{Targets: c.Spec.Targets, Layout: codegen.Layout{
		Source: l.Source, Schemas: l.Schemas, Routes: l.Routes, Handlers: l.Handlers, Database: l.Database, MCP: l.MCP,
		Collections: c.Layout.Collections, Environments: c.Spec.Environments,
	}}, nil
}

func write(base string, report drift.Report, manifest drift.Manifest) error {
	if err := os.MkdirAll(base, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return fmt.Errorf("open the folder: %w", err)
	}
	defer root.Close()
	return codegen.Write(root, report, manifest)
}

func (o *specApply) print(w io.Writer, report drift.Report) error {
	if o.json {
		encoder := json.NewEncoder(quoted{w})
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	say := func(format string, values ...any) { // names may hold line ends, and commands to a terminal or a workflow's runner
		fmt.Fprintln(w, secretscan.Printable(fmt.Sprintf(format, values...)))
	}
	for _, c := range report.ChangedFiles {
		say("%-8s  %s  +%d -%d", c.ChangeType, c.Path, c.LinesAdded, c.LinesRemoved)
	}
	for _, c := range report.Conflicts {
		place := c.Path
		if c.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", c.Path, c.Line, c.Column)
		}
		say("conflict  %s  %s", place, c.Reason)
		say("          %s", c.Resolution)
	}
	for _, b := range report.BreakingChanges {
		say("breaking  %s %s", b.Kind, b.Name)
		say("          %s", b.Note)
	}
	if o.check {
		return nil
	}
	for _, note := range report.Notes {
		say("note      %s", note)
	}
	s := report.Summary
	_, err := fmt.Fprintf(w, "%s: %d files, %d created, %d modified, %d deleted\n", s.Status, s.TotalFiles, s.FilesCreated, s.FilesModified, s.FilesDeleted)
	return err
}
