package report

import (
	"fmt"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// CommentMarker is the hidden line by which a preview's comment is found again.
func CommentMarker(environmentID string) string {
	return "<!-- flaresmith:preview:" + markerText(environmentID) + " -->"
}

// markerText keeps what can't end a marker early.
func markerText(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(":_.", r) {
			return r
		}
		return '-'
	}, clip(oneLine(text), 200))
}

// comment is the one comment of a preview. The schema diff gets the room that the rest leaves.
func comment(s Status) string {
	var top strings.Builder
	top.WriteString(CommentMarker(s.Environment.ID) + "\n")
	fmt.Fprintf(&top, "### Flaresmith preview: %s\n\n", strings.ToLower(s.headline()[:1])+s.headline()[1:])
	top.WriteString(stateLine(s))
	if s.Reason != "" {
		top.WriteString(Escape(clip(s.Reason, 500)) + "\n\n")
	}
	if s.Phase == PhaseWorking && len(s.Running) > 0 {
		top.WriteString("Under way: " + nameList(s.Running) + ".\n\n")
	}
	top.WriteString(stillServes(s))
	top.WriteString(problemList(s.problemHeading(), s.failures()))
	top.WriteString(problemList("Problems in the changed configuration, which is not in force before the merge", s.ConfigProblems))
	top.WriteString(problemList("Problems in the default branch's configuration: the last valid one stays in force until they are mended", s.PolicyProblems))
	top.WriteString(warningList(s))
	top.WriteString(changes(s))
	if next := s.next(); next != "" {
		top.WriteString("**Next:** " + next + "\n\n")
	}
	bottom := folded("Commands", commandTable())
	return top.String() + schemaDiff(s, maxComment-top.Len()-len(bottom)) + bottom
}

// stateLine is address, commit and end of life, as far as they are known. Of several Workers each has a
// line of its own before it.
func stateLine(s Status) string {
	var parts []string
	var workers string
	if url, ok := s.serves(); ok && !s.Phase.failing() {
		if len(s.Outputs.Workers) == 0 {
			parts = append(parts, "**"+address(url)+"**")
		}
		for _, w := range s.Outputs.Workers {
			workers += "- " + CodeSpan(w.Name) + ": **" + address(w.URL) + "**\n"
		}
	}
	if sha := s.headSHA(); sha != "" {
		parts = append(parts, "commit "+s.commitLink(sha))
	}
	if until := s.until(); until != "" {
		parts = append(parts, "until "+until)
	}
	if linkable(s.DetailsURL) {
		parts = append(parts, link("details", s.DetailsURL))
	}
	if workers != "" {
		workers += "\n"
	}
	if len(parts) == 0 {
		return workers
	}
	return workers + strings.Join(parts, " · ") + "\n\n"
}

// stillServes says, while the newest commit fails, what is there instead.
func stillServes(s Status) string {
	_, ok := s.serves()
	if !ok || !s.Phase.failing() {
		return ""
	}
	if s.Environment.GoodSHA == "" || s.Environment.GoodSHA == s.headSHA() {
		return "The preview still serves at " + s.addresses() + ".\n\n"
	}
	return fmt.Sprintf("The last good preview, of commit %s, still serves at %s.\n\n",
		s.commitLink(s.Environment.GoodSHA), s.addresses())
}

// problemList says what to fix and where.
func problemList(heading string, problems []preview.Problem) string {
	if len(problems) == 0 {
		return ""
	}
	const room = 12_000 // bytes
	var b strings.Builder
	b.WriteString("**" + heading + "**\n\n")
	shown := 0
	for _, p := range problems[:min(len(problems), maxShown)] {
		item := problemItem(p)
		if b.Len()+len(item) > room {
			break
		}
		b.WriteString(item)
		shown++
	}
	if more := len(problems) - shown; more > 0 {
		fmt.Fprintf(&b, "- and %d more\n", more)
	}
	b.WriteString("\n")
	return b.String()
}

// warningList names what should be known of the migrations of the commit that serves, or of those that failed.
func warningList(s Status) string {
	if s.Phase != PhaseReady {
		return problemList("To be known of the same migrations", s.warnings())
	}
	return problemList(headingDestructive, s.Outputs.Warnings) + problemList("Not applied", s.Outputs.Unapplied)
}

// failures are the problems that keep the commit from its preview, and warnings the others.
func (s Status) failures() []preview.Problem { return s.problems(false) }

func (s Status) warnings() []preview.Problem { return s.problems(true) }

func (s Status) problems(warning bool) []preview.Problem {
	var list []preview.Problem
	for _, p := range s.Problems {
		if p.Warning == warning {
			list = append(list, p)
		}
	}
	return list
}

const headingDestructive = "Destructive statements in the pending migrations"

func (s Status) problemHeading() string {
	if s.Phase == PhaseNeedsAction {
		return headingDestructive
	}
	return "Problems"
}

func problemItem(p preview.Problem) string {
	item := "- "
	if p.Path != "" {
		place := preview.Problem{Path: clip(oneLine(p.Path), 200), Line: p.Line, Column: p.Column}.String()
		item += CodeSpan(strings.TrimSuffix(place, ": ")) + " "
	}
	item += Escape(clip(p.Message, 500))
	if p.Hint != "" {
		item += "  \n  *" + Escape(clip(p.Hint, 300)) + "*"
	}
	return item + "\n"
}

// changes lists what differs from the parent, and what happened to the data.
func changes(s Status) string {
	if s.Phase.absent() {
		return ""
	}
	o := s.Outputs
	var b strings.Builder
	if len(o.Migrations) > 0 {
		b.WriteString("- Migrations applied: " + nameList(o.Migrations) + "\n")
	}
	if o.DataReset != "" {
		b.WriteString("- **Data was reset**: " + Escape(clip(o.DataReset, 300)) + "\n")
	}
	if len(o.BehindParent) > 0 {
		b.WriteString("- **Behind the parent**, which has: " + nameList(o.BehindParent) + "\n")
	}
	if b.Len() == 0 {
		return ""
	}
	return "**What changed**\n\n" + b.String() + "\n"
}

func nameList(names []string) string {
	shown := names[:min(len(names), maxShown)]
	spans := make([]string, len(shown))
	for i, name := range shown {
		spans[i] = CodeSpan(clip(name, 100))
	}
	text := strings.Join(spans, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// schemaDiff is the folded SQL from the parent to the preview, in at most room bytes.
func schemaDiff(s Status, room int) string {
	if s.Outputs.SchemaDiff == "" || s.Phase.absent() {
		return ""
	}
	const heading = "Schema diff against the parent"
	const cut = "\n-- The rest is left out here.\n"
	sql := visible(s.Outputs.SchemaDiff)
	frame := len(folded(heading, fenced("sql", cut))) + 2*longestRun(sql)
	text, shortened := clipLines(sql, room-frame)
	if shortened {
		text += cut
	}
	return folded(heading, fenced("sql", text))
}

// folded is a part that a person opens. The heading is ours.
func folded(heading, markdown string) string {
	return "<details>\n<summary>" + heading + "</summary>\n\n" + strings.TrimRight(markdown, "\n") + "\n\n</details>\n\n"
}
