package secretscan

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Report is what a scan made. Without findings it says that there are none only if it is complete.
type Report struct {
	Complete bool      `json:"complete"` // the scan ended without an error, and everything found is in the list
	Findings []Finding `json:"findings"`
	// More counts the findings that are not in the list, by tier: see CutError.
	More map[Tier]int `json:"more,omitempty"`

	failed bool // not everything was scanned
}

// NewReport is the report of what Scan gave.
func NewReport(found []Finding, err error) Report {
	more, cut := Cut(err)
	return Report{Complete: err == nil, Findings: found, More: more, failed: err != nil && !cut}
}

// Reaches reports whether a finding is at or over a bar, in the list or not.
func (r Report) Reaches(bar Tier) bool {
	for tier := range r.More {
		if tier.AtLeast(bar) {
			return true
		}
	}
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Tier.AtLeast(bar) })
}

// WriteText prints findings for a person, one a line in the form that editors and terminals link.
func (r Report) WriteText(w io.Writer) error {
	for _, f := range r.Findings {
		at := f.where()
		if strings.HasPrefix(strings.TrimLeft(at, " "), "::") {
			at = "./" + at // no command to a workflow's runner
		}
		where := fmt.Sprintf("%s:%d:%d: %s (%s): %s", at, f.Line, f.Column, f.Rule, f.Tier, f.Description)
		if f.First != nil {
			where += fmt.Sprintf(" First in %.10s", f.First.ID)
			if f.First.Author != "" { // tags of long ago say nobody
				where += " by " + printable(f.First.Author)
			}
			if !f.First.Date.IsZero() {
				where += f.First.Date.Format(" on 2006-01-02")
			}
			where += "."
		}
		if _, err := fmt.Fprintf(w, "%s [%s]\n", where, f.Fingerprint); err != nil {
			return err
		}
	}
	counts := map[Tier]int{}
	for _, f := range r.Findings {
		counts[f.Tier]++
	}
	until := ""
	if !r.Complete && (r.More == nil || r.failed) {
		until = "not everything was scanned; found until then: "
	}
	rest := ""
	if r.More != nil {
		rest = fmt.Sprintf("; the list is cut, and not in it are %s more", perTier(r.More))
	}
	_, err := fmt.Fprintf(w, "%s%s%s\n", until, perTier(counts), rest)
	return err
}

// Printable is a text on one line that steers no terminal, and behind a word of ours no workflow's runner.
func Printable(text string) string { return printable(text) }

// printable keeps what a file or a person is called from steering a terminal, or a workflow's runner: GitHub's takes "##[" for
// the beginning of a command wherever it is in a line, and "::" where a line begins.
func printable(name string) string {
	name = strings.ReplaceAll(name, "##[", "## [")
	if utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return name
	}
	quoted := strconv.Quote(name)
	return quoted[1 : len(quoted)-1]
}

// WriteJSON writes the report as one JSON object.
func (r Report) WriteJSON(w io.Writer) error {
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
