package scan

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/action/secretscan"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

// CheckName is the name of the check run, which the action's has as well: one of the two writes it.
const CheckName = "Flaresmith / Secrets"

const (
	bar       = secretscan.Likely // that fails the check
	maxRows   = 100
	maxNotes  = 20 // of a kind
	maxNoted  = 300
	whatToDo  = "**What to do:** revoke each secret at its provider first, since whoever can read the repository may have it. "
	allowance = "What is none can be allowed, for its rule only: with a comment on its line, `flaresmith:allow <rule> <reason>`, or with an entry " +
		"(rule, fingerprint, reason, expires) in `.flaresmith-ignore.yml`."
	allowanceFork = " In a pull request of a fork neither counts before it is on the base branch."
)

// found is a finding and where it came from.
type found struct {
	secretscan.Finding
	commit string // that brought it
	text   string // in which it is, if it is in no file
	aside  bool   // it is told and fails nothing
}

func (f found) fails() bool { return f.Tier.AtLeast(bar) && !f.aside }

// result is what one look has to say.
type result struct {
	findings   []found
	known      map[string]bool // of findings
	scanned    []string
	notes      []string
	left       []string // what was not searched, or is not listed
	over       bool     // something that is not listed reaches the bar
	fork       bool
	pushed     bool // a push alone is what was scanned
	notScanned string
}

// leave notes what was not searched.
func (r *result) leave(texts ...string) {
	for _, text := range texts {
		if !slices.Contains(r.left, text) {
			r.left = append(r.left, text)
		}
	}
}

// take adds what is not allowed; the same secret in the same place is one finding, of the oldest commit.
func (r *result) take(c *secretscan.Contents, list []found) {
	for _, f := range list {
		if len(c.Unallowed([]secretscan.Finding{f.Finding}, r.note)) == 0 {
			continue
		}
		key := strings.Join([]string{f.Rule, f.Fingerprint, f.Path, f.text}, "\x00")
		if r.known[key] {
			continue
		}
		if r.known == nil {
			r.known = map[string]bool{}
		}
		r.known[key] = true
		r.findings = append(r.findings, f)
	}
}

func (r *result) note(text string) {
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// render is the check of everything that was found.
func (l *look) render() report.Check {
	r, check := &l.result, l.check()
	slices.SortStableFunc(r.findings, func(a, b found) int { return weight(b.Tier) - weight(a.Tier) })
	counts, over, aside := map[secretscan.Tier]int{}, 0, 0
	for _, f := range r.findings {
		counts[f.Tier]++
		switch {
		case f.fails():
			over++
		case f.Tier.AtLeast(bar):
			aside++
		}
		check.Annotations = append(check.Annotations, f.problem())
	}
	tiers := fmt.Sprintf("%d certain, %d likely, %d generic", counts[secretscan.Certain], counts[secretscan.Likely], counts[secretscan.Generic])
	switch {
	case r.notScanned != "":
		check.Conclusion, check.Title = "failure", "Not scanned: "+r.notScanned
	case over > 0:
		check.Conclusion, check.Title = "failure", fmt.Sprintf("Secrets found: %s", tiers)
	case r.over:
		check.Conclusion, check.Title = "failure", "More secrets found than are listed; listed are "+tiers
	case aside > 0:
		check.Conclusion, check.Title = "neutral", fmt.Sprintf("Secrets found in comments of others: %s", tiers)
	case len(r.left) > 0:
		check.Conclusion, check.Title = "neutral", fmt.Sprintf("Not everything was scanned: %d files are too large, gone or kept elsewhere, or hold what can't be unpacked or listed", len(r.left))
	case len(r.findings) > 0:
		check.Conclusion, check.Title = "success", "No secrets at or over the bar (likely); below it: "+tiers
	default:
		check.Conclusion, check.Title = "success", "No secrets found"
	}
	check.Summary = r.summary(check.Title)
	if r.pushed {
		check.Summary += l.pushMark()
	}
	return check
}

// pushMark keeps what a push was in its check, for a re-run: GitHub tells then what the check is, and no more. Only
// the App writes there.
func (l *look) pushMark() string {
	return fmt.Sprintf("\n<!-- flaresmith:push %s %s -->\n", cmp.Or(l.wanted.Before, "-"), strings.TrimSpace(url.QueryEscape(l.wanted.Branch)+" "+l.wanted.Tag))
}

// again takes up the push of which an earlier check tells.
func (l *look) again(summary string) bool {
	const start = "\n<!-- flaresmith:push "
	at := strings.LastIndex(summary, start)
	if at < 0 {
		return false
	}
	mark, _, closed := strings.Cut(summary[at+len(start):], " -->")
	before, rest, two := strings.Cut(mark, " ")
	escaped, tag, _ := strings.Cut(rest, " ")
	branch, err := url.QueryUnescape(escaped)
	if !closed || !two || err != nil || before != "-" && len(before) != 40 || tag != "" && len(tag) != 40 {
		return false
	}
	l.wanted.Before, l.wanted.Branch, l.wanted.Tag = strings.TrimPrefix(before, "-"), branch, tag
	return l.wanted.Before != "" || branch != ""
}

func weight(t secretscan.Tier) int {
	return slices.Index([]secretscan.Tier{secretscan.Generic, secretscan.Likely, secretscan.Certain}, t)
}

// problem is a finding as an annotation.
func (f found) problem() preview.Problem {
	p := preview.Problem{Path: f.Path, Line: f.Line, Column: f.Column, Warning: !f.fails(),
		Message: fmt.Sprintf("%s (%s): %s", f.Rule, f.Tier, f.Description), Hint: "Fingerprint: " + f.Fingerprint}
	if f.text != "" {
		p.Path = ""
		p.Message += fmt.Sprintf(" It is in line %d of %s.", f.Line, f.text)
	}
	if f.commit != "" {
		p.Message += fmt.Sprintf(" Commit %.7s brought it.", f.commit)
	}
	return p
}

func (r *result) summary(title string) string {
	var b strings.Builder
	b.WriteString("**" + report.Escape(title) + "**\n")
	for i, f := range r.findings {
		if i == maxRows {
			fmt.Fprintf(&b, "\n%d more are not in this table.\n", len(r.findings)-maxRows)
			break
		}
		if i == 0 {
			b.WriteString("\n| Rule | Where | Fingerprint |\n| --- | --- | --- |\n")
		}
		where := fmt.Sprintf("%s:%d", f.Path, f.Line)
		if f.text != "" {
			where = fmt.Sprintf("line %d of %s", f.Line, f.text)
		}
		if f.commit != "" {
			where += fmt.Sprintf(" (%.7s)", f.commit)
		}
		fmt.Fprintf(&b, "| %s (%s) | %s | `%s` |\n", report.Escape(f.Rule), f.Tier, report.Escape(shortened(where)), f.Fingerprint)
	}
	if len(r.findings) > 0 {
		b.WriteString("\n" + whatToDo + allowance)
		if r.fork {
			b.WriteString(allowanceFork)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for _, notes := range [][]string{r.left, r.notes} {
		for i, note := range notes {
			if i == maxNotes {
				fmt.Fprintf(&b, "- and %d more\n", len(notes)-maxNotes)
				break
			}
			b.WriteString("- " + report.Escape(shortened(note)) + "\n")
		}
	}
	if len(r.scanned) > 0 {
		b.WriteString("- Scanned by the server: " + strings.Join(r.scanned, ", ") + ".\n")
	}
	return b.String()
}

func shortened(text string) string {
	if runes := []rune(text); len(runes) > maxNoted {
		return string(runes[:maxNoted-1]) + "…"
	}
	return text
}
