package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/flaresmith/flaresmith/action/secretscan"
)

// secretScan is what the command line asks for.
type secretScan struct {
	mode, dir, commits string
	format             string
	sarif, json        string
	baseline, cache    string
	failOn             string
}

func newSecretScan(io streams) *cobra.Command {
	var ask secretScan
	cmd := &cobra.Command{
		Use:   "secret-scan",
		Short: "Find secrets and say where they are, never what they are",
		Long: "Find secrets and say where they are, never what they are.\n\n" +
			"Exit code 0: nothing at or over the bar of --fail-on. 1: not everything was scanned. 2: findings, also if they are more than are listed.",
		Args: onlyFlags("--dir names the repository or folder"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ask.run(cmd.Context(), io)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&ask.mode, "mode", string(secretscan.Tree), "what to scan: "+secretscan.Modes())
	flags.StringVar(&ask.dir, "dir", ".", "the repository or folder")
	flags.StringVar(&ask.commits, "range", "", "with --mode range: the commits, A..B")
	flags.StringVar(&ask.format, "format", "text", "what to print: text or json")
	flags.StringVar(&ask.sarif, "sarif", "", "also write a SARIF 2.1.0 file")
	flags.StringVar(&ask.json, "json", "", "also write a JSON file")
	flags.StringVar(&ask.baseline, "baseline", "", "a JSON file of an earlier scan: what it has is not reported again")
	flags.StringVar(&ask.cache, "cache", "", "with --mode history: a folder to keep what was seen, so that the next scan looks at new commits only")
	flags.StringVar(&ask.failOn, "fail-on", string(secretscan.Likely), "the least tier that makes the exit code 2: certain, likely or generic")
	return cmd
}

// collectGarbage trades 3 % of a history's time for a quarter of its memory, unless the caller has a wish. What a
// commit changes is mostly done before the first collection would pay.
func collectGarbage(mode secretscan.Mode) {
	if os.Getenv("GOGC") != "" {
		return
	}
	switch mode {
	case secretscan.History:
		debug.SetGCPercent(60)
	case secretscan.Tree:
	default:
		debug.SetGCPercent(200)
	}
}

func (a *secretScan) run(ctx context.Context, io streams) error {
	bar, err := secretscan.ParseTier(a.failOn)
	if err != nil {
		return fmt.Errorf("--fail-on: %w", err)
	}
	if a.format != "text" && a.format != "json" {
		return fmt.Errorf("--format %q: want text or json", a.format)
	}
	switch mode := secretscan.Mode(a.mode); { // what is asked for, and would not be done
	case a.commits != "" && mode != secretscan.Range:
		return fmt.Errorf("--range %s goes with --mode %s, and the mode is %s", secretscan.Shown(a.commits), secretscan.Range, mode)
	case a.commits == "" && mode == secretscan.Range:
		return fmt.Errorf("--mode %s needs --range A..B, e.g. --range main..HEAD", mode)
	case a.sarif != "" && a.sarif == a.json:
		return fmt.Errorf("--sarif and --json name the same file, %s: one would replace the other", secretscan.Shown(a.json))
	case a.cache != "" && mode != secretscan.History:
		return fmt.Errorf("--cache goes with --mode %s, and the mode is %s", secretscan.History, mode)
	}
	if info, err := os.Stat(a.dir); err == nil && !info.IsDir() {
		return fmt.Errorf("--dir: %s is no folder; --mode stdin scans a file's text", secretscan.Shown(a.dir))
	}
	collectGarbage(secretscan.Mode(a.mode))
	found, scanErr := secretscan.Scan(ctx, secretscan.Request{
		Mode: secretscan.Mode(a.mode), Dir: a.dir, Range: a.commits, Input: io.in, Baseline: a.baseline, Cache: a.cache,
		Note: func(text string) { fmt.Fprintln(io.err, "note:", secretscan.Printable(text)) },
	})
	made := secretscan.NewReport(found, scanErr)
	_, cut := secretscan.Cut(scanErr)
	if err := a.report(io.out, made); err != nil || scanErr != nil && !cut {
		return errors.Join(scanErr, err)
	}
	if made.Reaches(bar) {
		if secretscan.Mode(a.mode) == secretscan.Staged {
			fmt.Fprint(io.err, stagedAdvice)
		}
		return &exitError{exitFound}
	}
	return nil // what is not in the list is counted by tier, and does not reach the bar, either
}

// stagedAdvice is for whoever wanted to commit.
const stagedAdvice = `Not committed: take the secrets out of the files, git add them, commit again. What is no secret is allowed by
  flaresmith:allow <rule> <reason>     in a comment on its line, or
  an entry in .flaresmith-ignore.yml   with rule, fingerprint (in brackets above), reason and expires
`

// report prints what was found and writes the files that were asked for.
func (a *secretScan) report(out io.Writer, made secretscan.Report) error {
	if a.format == "json" {
		if err := made.WriteJSON(quoted{out}); err != nil {
			return err
		}
	} else if err := made.WriteText(out); err != nil {
		return err
	}
	for name, write := range map[string]func(io.Writer) error{a.sarif: made.WriteSARIF, a.json: made.WriteJSON} {
		if name == "" {
			continue
		}
		var text bytes.Buffer
		if err := write(&text); err != nil {
			return err
		}
		if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}
