package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/action/secretscan"
	"github.com/flaresmith/flaresmith/action/workflow"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

// never is the bar that nothing reaches.
const never = "never"

// textOnly is the mode in which no files are scanned.
const textOnly secretscan.Mode = "text"

// allowAdvice says what to do about findings.
const allowAdvice = "**What to do:** revoke each secret at its provider first, since whoever can read the repository may have it. " +
	"What is none can be allowed, for its rule only: with a comment on its line, `flaresmith:allow <rule> <reason>`, or with an entry " +
	"(rule, fingerprint, reason, expires) in `.flaresmith-ignore.yml`; the report's file has the fingerprints."

// scanStep is one run of secret-scan.
type scanStep struct {
	step    *workflow.Step
	mode    secretscan.Mode
	dir     string
	commits string // of mode range
	bar     string
	what    string // was scanned, for people

	baseline, cache string

	notes []string
}

// ownerConfig is where an organisation's .github repository has what repositories say in repoconfig.Path.
const ownerConfig = "flaresmith.yml"

// secretsElsewhere says why the step must not write the check run "Flaresmith / Secrets": somebody else does, or
// nobody. That is decided on the default branch, so that no pull request can. "" if it may.
func secretsElsewhere(ctx context.Context, step *workflow.Step) string {
	if step.Token() == "" {
		return "" // there is none without one anyway, and that is said
	}
	const none = "There is no check run by this step: "
	data, found, err := step.DefaultFile(ctx, repoconfig.Path, ownerConfig)
	if err != nil {
		return none + "whether " + repoconfig.Path + " of the default branch lets it write one can't be told, since " + workflow.Tellable(err) + "."
	}
	if !found {
		return ""
	}
	config, problems := repoconfig.Parse(data)
	switch {
	case len(problems) > 0:
		return none + repoconfig.Path + " of the default branch is not valid, so that it can't be told whether it lets it write one."
	case config.Policy.Secrets == repoconfig.SecretsApp:
		return none + repoconfig.Path + " of the default branch says secrets: app, and the server's check has the name."
	case config.Policy.Secrets == repoconfig.SecretsOff:
		return none + repoconfig.Path + " of the default branch says secrets: off."
	}
	return ""
}

func stepSecretScan(ctx context.Context, step *workflow.Step) (workflow.Report, int, error) {
	s := &scanStep{step: step, dir: step.Input("dir", "."), baseline: step.Input("baseline", ""), cache: step.Input("cache-path", "")}
	scan := step.Choice("scan", "auto", "auto", string(secretscan.Tree), string(secretscan.Range), string(secretscan.History))
	s.bar = step.Choice("fail-on", string(secretscan.Likely), string(secretscan.Certain), string(secretscan.Likely), string(secretscan.Generic), never)
	if err := step.CheckInputs(); err != nil {
		return workflow.Report{}, exitFailed, err
	}
	err := s.choose(ctx, scan, step.Input("range", ""))
	if err != nil {
		return s.notScanned(err), exitFailed, nil
	}
	found, scanErr := s.scan(ctx)
	made := secretscan.NewReport(found, scanErr)
	_, cut := secretscan.Cut(scanErr)
	outputs, err := s.write(made)
	if err != nil {
		return workflow.Report{}, exitFailed, err
	}
	if scanErr != nil && !cut {
		report := s.notScanned(scanErr)
		report.Annotations = annotationsOf(found, s.bar)
		report.Outputs = outputs
		return report, exitFailed, nil
	}
	report, code := s.report(made)
	report.Outputs = outputs
	return report, code, nil
}

// choose finds out what to scan, and fetches what the checkout lacks of it.
func (s *scanStep) choose(ctx context.Context, scan, commits string) error {
	event := s.step.Event
	repository := s.step.Repository(s.dir)
	switch {
	case scan == string(secretscan.Tree):
		s.mode, s.what = secretscan.Tree, "the checkout's files"
		return nil
	case commits != "" && scan != string(secretscan.History):
		s.mode, s.commits, s.what = secretscan.Range, commits, secretscan.Shown("the commits "+commits)
		return nil
	}
	if event.TextOnly() && scan == "auto" {
		s.mode = textOnly
		return nil
	}
	base := event.Base
	if scan != string(secretscan.History) && event.Name == "push" && event.DefaultBranch != "" && event.Branch != event.DefaultBranch && (base == "" || event.Forced) {
		tip, err := repository.FetchBranch(ctx, event.DefaultBranch) // a new or rewritten branch: what it has beyond the default branch
		if err != nil {
			return fmt.Errorf("%w: %w", secretscan.ErrNotScanned, err)
		}
		base = tip
	}
	if base == "" || scan == string(secretscan.History) {
		if scan == string(secretscan.Range) {
			return fmt.Errorf("%w: %s says no range of commits; give the input range", secretscan.ErrNotScanned, event.Name)
		}
		s.mode, s.what = secretscan.History, "the whole history"
		if err := repository.FetchHistory(ctx); err != nil {
			return fmt.Errorf("%w: the checkout is shallow or partial and more can't be fetched; check out with fetch-depth: 0 and without filter: %w", secretscan.ErrNotScanned, err)
		}
		return nil
	}
	count, head := 1, cmp.Or(event.Tag, event.Head)
	if event.Pull != nil {
		count = event.Pull.Commits
	}
	s.mode, s.commits = secretscan.Range, base+".."+head
	s.what = fmt.Sprintf("what %.7s..%.7s brought", base, head)
	err := repository.FetchRange(ctx, base, head, count)
	if err == nil {
		err = repository.FetchFiles(ctx, secretscan.RangeLog(base, head), secretscan.RangeFiles)
	}
	if err != nil {
		return fmt.Errorf("%w: the checkout lacks a part of %.7s..%.7s and it can't be fetched; check out with fetch-depth: 0 and without filter: %w", secretscan.ErrNotScanned, base, head, err)
	}
	return nil
}

// scan scans what was chosen, and what people wrote for it.
func (s *scanStep) scan(ctx context.Context) (found []secretscan.Finding, err error) {
	if s.mode != textOnly {
		collectGarbage(s.mode)
		found, err = secretscan.Scan(ctx, secretscan.Request{Mode: s.mode, Dir: s.dir, Range: s.commits, Baseline: s.baseline, Cache: s.cache, Note: s.note})
	}
	for _, text := range s.step.Event.Texts {
		some, textErr := secretscan.Scan(ctx, secretscan.Request{Mode: secretscan.Stdin, Dir: s.dir, Baseline: s.baseline, Input: strings.NewReader(text.Body)})
		for _, f := range some {
			f.Path, f.Text = "", text.What
			found = append(found, f)
		}
		err = errors.Join(err, textErr)
	}
	const named = 5
	for _, text := range s.step.Event.Texts[:min(len(s.step.Event.Texts), named)] {
		s.what = strings.TrimPrefix(s.what+", and "+text.What, ", and ")
	}
	if more := len(s.step.Event.Texts) - named; more > 0 {
		s.what += fmt.Sprintf(", and %d texts more", more)
	}
	return found, err
}

func (s *scanStep) note(text string) {
	if s.notes = append(s.notes, text); len(s.notes) > maxNotes {
		s.step.Logf("%s", text)
	}
}

// told are the notes, as many as a person reads; the log has all.
func (s *scanStep) told() []string {
	if len(s.notes) <= maxNotes {
		return slices.Clone(s.notes)
	}
	return append(slices.Clone(s.notes[:maxNotes]), fmt.Sprintf("And %d notes more, which are in the log.", len(s.notes)-maxNotes))
}

// write writes the files of the report and gives the outputs.
func (s *scanStep) write(made secretscan.Report) (map[string]string, error) {
	dir, err := os.MkdirTemp(s.step.TempDir(), "flaresmith-")
	if err != nil {
		return nil, fmt.Errorf("a folder for the report: %w", err)
	}
	outputs := map[string]string{"findings": strconv.Itoa(len(made.Findings) + more(made)), "scanned": s.what}
	// SARIF is about a commit and those before it: what is said about them at GitHub is left out.
	ofCommits := made
	ofCommits.Findings = slices.DeleteFunc(slices.Clone(made.Findings), func(f secretscan.Finding) bool { return f.Text != "" && f.First == nil })
	for _, file := range []struct {
		output, name string
		write        func(io.Writer) error
	}{
		{"report-path", "secret-scan.json", made.WriteJSON},
		{"sarif-path", "secret-scan.sarif", ofCommits.WriteSARIF},
	} {
		var text bytes.Buffer
		if err := file.write(&text); err != nil {
			return nil, err
		}
		name := filepath.Join(dir, file.name)
		if err := os.WriteFile(name, text.Bytes(), 0o600); err != nil {
			return nil, fmt.Errorf("write the report: %w", err)
		}
		outputs[file.output] = name
	}
	return outputs, nil
}

// more is how many findings are not in the list.
func more(made secretscan.Report) (n int) {
	for _, count := range made.More {
		n += count
	}
	return n
}

func (s *scanStep) report(made secretscan.Report) (workflow.Report, int) {
	found := made.Findings
	r := workflow.Report{Status: "clean", Passed: true, Annotations: annotationsOf(found, s.bar), Notes: append(s.told(), "Scanned: "+s.what+".")}
	counts := map[secretscan.Tier]int{}
	over := 0
	for _, f := range found {
		counts[f.Tier]++
		if reaches(f, s.bar) {
			over++
		}
	}
	for tier, n := range made.More {
		counts[tier] += n
		if reaches(secretscan.Finding{Tier: tier}, s.bar) {
			over += n
		}
	}
	tiers := fmt.Sprintf("%d certain, %d likely, %d generic", counts[secretscan.Certain], counts[secretscan.Likely], counts[secretscan.Generic])
	if made.More != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("The list of findings is cut: %d more were counted and are in no report.", more(made)))
	}
	switch {
	case len(found)+more(made) == 0:
		r.Title = "No secrets found"
		return r, exitOK
	case over == 0:
		r.Title = fmt.Sprintf("No secrets at or over the bar (%s); below it: %s", s.bar, tiers)
		r.Advice = allowAdvice
		return r, exitOK
	}
	r.Status, r.Passed, r.Advice = "findings", false, allowAdvice
	r.Title = fmt.Sprintf("%s found: %s", plural(len(found)+more(made), "secret"), tiers)
	return r, exitFound
}

// notScanned is the report of a scan that says nothing: never a green one.
func (s *scanStep) notScanned(err error) workflow.Report {
	return workflow.Report{Status: "not-scanned", Title: "Not scanned: " + secretscan.Shown(strings.TrimPrefix(err.Error(), secretscan.ErrNotScanned.Error()+": ")), Notes: s.told()}
}

func reaches(f secretscan.Finding, bar string) bool {
	return bar != never && f.Tier.AtLeast(secretscan.Tier(bar))
}

// annotationsOf are findings for people. They are sorted: the surest first.
func annotationsOf(found []secretscan.Finding, bar string) []workflow.Annotation {
	var list []workflow.Annotation
	for _, f := range found {
		a := workflow.Annotation{Level: workflow.Warning, Title: f.Rule + " (" + string(f.Tier) + ")", Message: f.Description,
			Path: f.Path, Line: f.Line, Column: f.Column, EndLine: f.EndLine, EndColumn: f.EndColumn - 1}
		switch {
		case reaches(f, bar):
			a.Level = workflow.Error
		case f.Tier == secretscan.Generic:
			a.Level = workflow.Notice
		}
		if f.Text != "" {
			a.Message += fmt.Sprintf(" It is in line %d of %s.", f.Line, f.Text)
		} else if f.First != nil {
			a.Commit = f.First.ID
			a.Message += fmt.Sprintf(" Commit %.7s brought it.", f.First.ID)
		}
		list = append(list, a)
	}
	return list
}
