package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/app/report"
)

// Level is an annotation's weight.
type Level string

// The levels, in GitHub's words for workflow commands.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Notice  Level = "notice"
)

func (l Level) weight() int { return slices.Index([]Level{Error, Warning, Notice}, l) }

// Annotation is something to see at a place.
type Annotation struct {
	Level   Level
	Title   string
	Message string
	Path    string // relative to the repository, with slashes; "" for none
	// All four count from 1; 0 is unknown. EndColumn is that of the last character.
	Line, Column, EndLine, EndColumn int
	Commit                           string // where the file has that line, if not in the event's head
	Absent                           bool   // no commit has the file
}

// Report is what a command has to say.
type Report struct {
	Check       string // the check run's name
	Status      string // one word, the output "status"
	Passed      bool
	Title       string // one sentence
	Annotations []Annotation
	Advice      string   // Markdown of ours: what to do
	Notes       []string // what a reader should know beside
	NoCheckRun  string   // why there must be no check run; mostly it is ""
	Outputs     map[string]string
}

const (
	maxShown       = 10        // that GitHub shows of a step, and a step of ours prints
	maxRows        = 200       // of the summary's table
	maxSummary     = 1_000_000 // GitHub's limit of a step is 1 MiB
	maxCheckOutput = 65_000    // GitHub's limit of a check run is 65,535
)

// Publish tells the report everywhere: check run, annotations, summary, outputs. What can't be written is
// noted in what can, and fails nothing.
func (s *Step) Publish(ctx context.Context, r Report) (err error) {
	defer func() { // the library's way to say that the log or a file of the runner can't be written
		if fault := recover(); fault != nil {
			err = fmt.Errorf("write for the runner: %v", fault)
		}
	}()
	slices.SortStableFunc(r.Annotations, func(a, b Annotation) int { return a.Level.weight() - b.Level.weight() })
	if r.Outputs == nil {
		r.Outputs = map[string]string{}
	}
	if r.NoCheckRun != "" {
		r.Notes = append(r.Notes, r.NoCheckRun)
	}
	if s.CheckRunWanted() && r.NoCheckRun == "" {
		address, err := s.checkRun(ctx, r)
		if err != nil {
			r.Notes = append(r.Notes, s.noCheckRun(err))
		}
		r.Outputs["check-run-url"] = address
	}
	s.annotate(r)
	return s.files(r)
}

// CheckRunWanted reports whether the step's inputs ask for a check run, where the token allows it.
func (s *Step) CheckRunWanted() bool { return s.Choice("check-run", "auto", "auto", "off") != "off" }

// annotate prints the heaviest annotations, and the report as a line of the log.
func (s *Step) annotate(r Report) {
	for _, a := range r.Annotations[:min(len(r.Annotations), maxShown)] {
		fields := map[string]string{"title": plain(a.Title)}
		if a.Path != "" {
			fields["file"] = a.Path
		}
		for name, value := range map[string]int{"line": a.Line, "endLine": a.EndLine, "col": a.Column, "endColumn": a.EndColumn} {
			if value > 0 && a.Path != "" {
				fields[name] = strconv.Itoa(value)
			}
		}
		at := s.action.WithFieldsMap(fields)
		switch a.Level {
		case Error:
			at.Errorf("%s", plain(a.Message))
		case Warning:
			at.Warningf("%s", plain(a.Message))
		default:
			at.Noticef("%s", plain(a.Message))
		}
	}
	if !r.Passed && len(r.Annotations) == 0 {
		s.action.WithFieldsMap(map[string]string{"title": r.Check}).Errorf("%s", r.Title)
	}
	s.Logf("%s", r.Title)
	for _, note := range r.Notes {
		s.Logf("note: %s", note)
	}
}

// files writes the summary and the outputs.
func (s *Step) files(r Report) error {
	if s.context.StepSummary != "" {
		s.action.AddStepSummary("## " + r.Check + "\n\n" + s.summary(r, maxSummary))
	}
	r.Outputs["status"] = r.Status
	if s.getenv("GITHUB_OUTPUT") == "" {
		return nil
	}
	for name, value := range r.Outputs {
		if strings.ContainsAny(value, "\r\n") { // it could end the value and begin an output of another name
			return fmt.Errorf("output %s has more than one line", name)
		}
		s.action.SetOutput(name, value)
	}
	return nil
}

// summary is the report as Markdown of at most so many bytes, rows left out first.
func (s *Step) summary(r Report, limit int) string {
	head := "**" + report.Escape(r.Title) + "**\n"
	var tail strings.Builder
	if r.Advice != "" {
		tail.WriteString("\n" + r.Advice + "\n")
	}
	if len(r.Notes) > 0 {
		tail.WriteString("\n")
	}
	for _, note := range r.Notes {
		tail.WriteString("- " + report.Escape(clip(note, 1000)) + "\n")
	}
	var rows strings.Builder
	left := len(r.Annotations)
	for i, a := range r.Annotations {
		row := fmt.Sprintf("| %s | %s | %s |\n", mark(a.Level), what(a), s.where(a))
		if i == maxRows || len(head)+rows.Len()+len(row)+tail.Len() > limit-500 {
			break
		}
		if i == 0 {
			rows.WriteString("\n| | What | Where |\n| --- | --- | --- |\n")
		}
		rows.WriteString(row)
		left--
	}
	if left > 0 {
		fmt.Fprintf(&rows, "\n%d more are not in this table.\n", left)
	}
	if n := len(r.Annotations); n > maxShown {
		fmt.Fprintf(&rows, "\n%d of %d are annotations of the run, the weightiest; all are in the report's file.\n", maxShown, n)
	}
	return head + rows.String() + tail.String()
}

func mark(l Level) string {
	switch l {
	case Error:
		return "❌"
	case Warning:
		return "⚠️"
	default:
		return "ℹ️"
	}
}

func what(a Annotation) string {
	if a.Title == "" {
		return report.Escape(clip(a.Message, 500))
	}
	return "**" + report.Escape(clip(a.Title, 100)) + "**: " + report.Escape(clip(a.Message, 500))
}

// where is a link to the line, in the commit that has it.
func (s *Step) where(a Annotation) string {
	if a.Path == "" {
		return ""
	}
	place, anchor := a.Path, ""
	if a.Line > 0 {
		place, anchor = fmt.Sprintf("%s:%d", a.Path, a.Line), fmt.Sprintf("#L%d", a.Line)
	}
	commit := a.Commit
	if commit == "" {
		commit = s.Event.Head
	}
	if commit == "" || s.context.Repository == "" || a.Absent {
		return report.Escape(clip(place, 300))
	}
	address := s.context.ServerURL + (&url.URL{Path: "/" + s.context.Repository + "/blob/" + commit + "/" + a.Path}).EscapedPath() + anchor
	return "[" + report.Escape(clip(place, 300)) + "](<" + address + ">)"
}

// JSONList is a list as an output's value, for fromJSON.
func JSONList(list []string) string {
	if list == nil {
		list = []string{}
	}
	text, err := json.Marshal(list)
	if err != nil { // no list of strings can't be written
		return "[]"
	}
	return string(text)
}
