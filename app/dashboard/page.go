package dashboard

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// page is everything that the environments template shows: each derived word and number is here,
// the template only lays it out.
type page struct {
	Title      string // owner/name
	Repository string // its page; empty: unknown
	Archived   bool
	Person     string // who is signed in; empty: came with a link
	SignOut    string // where to end that, with the project
	Project    string
	Summary    []count
	Cards      []card
	Services   []service
	Gone       []gone
	// logs and files say whether those of the project are on this machine.
	logs, files bool
}

// count is how many environments are in one state.
type count struct {
	Tone  tone
	Count int
	Word  string
}

// tone is the colour of a state; the word beside it says the same.
type tone string

const (
	toneGood tone = "good"
	toneBusy tone = "busy"
	toneWait tone = "wait"
	toneBad  tone = "bad"
	toneGone tone = "gone"
)

// card is one environment that is up or on its way.
type card struct {
	Name     string
	Title    string // "Pull request #7", "Production"
	About    string // the pull request's own title, which is hostile text; may be empty
	Page     string // of the pull request or branch
	Branch   string // hostile text; may be empty
	Tone     tone
	State    string
	Ahead    string // what comes next
	URL      string
	Head     commit
	Serving  commit
	Expires  time.Time
	Next     time.Time // of a try that is due by itself
	Place    int       // in the queue; 0: does not wait
	Message  string
	Problems []problem
	Newest   *pass
	Earlier  []pass
	Versions []version // of a long-lived environment, newest first
	Workers  []worker  // where each of several answers; URL is then the first one's
	Files    []download
	Logs     []workerLog
	LogSpan  string
}

type worker struct{ Name, URL string }

// workerLog is what one Worker wrote.
type workerLog struct {
	ID    string // provider-side name of the Worker
	Name  string // of one of several; else empty
	Lines []line
}

type commit struct{ Short, URL string }

type problem struct {
	Place, URL, Message, Hint string
	Tone                      tone
}

type download struct{ Name, URL string }

type line struct {
	Time         time.Time
	Stream, Text string
}

// service is one outside system.
type service struct {
	Name    string
	Tone    tone
	State   string
	Until   time.Time // zero: it is called
	Budgets []string
}

// gone is an environment of which nothing is left.
type gone struct {
	Title, About, Page, Reason string
	Commit                     commit
}

// pass is one pass as a waterfall.
type pass struct {
	Started time.Time
	Tone    tone
	Outcome string
	Took    string
	Commit  commit
	Steps   []step
}

// version is one of a Worker's that the provider keeps.
type version struct {
	ID, Worker string // Worker is empty for the first one
	Commit     commit
	Deployed   time.Time
}

// step is one bar; X and Width are per cent of the pass.
type step struct {
	Name, Op, After, Took, Error string
	OK                           bool
	X, Width                     string
}

// read gathers what the page of a project shows.
func (d *Dashboard) read(ctx context.Context, projectID string) (page, error) {
	project, err := d.Store.Project(ctx, projectID)
	if err != nil {
		return page{}, err
	}
	environments, err := d.Store.ShownEnvironments(ctx, projectID, archivedShown)
	if err != nil {
		return page{}, err
	}
	ids := make([]string, len(environments))
	for i, e := range environments {
		ids[i] = e.ID
	}
	passes, err := d.Store.LastPasses(ctx, ids, passesShown)
	if err != nil {
		return page{}, err
	}
	versions, err := d.Store.Deployments(ctx, ids, versionsShown)
	if err != nil {
		return page{}, err
	}
	outputs, err := d.Store.OutputsOf(ctx, ids)
	if err != nil {
		return page{}, err
	}
	queue, err := d.Store.Queue(ctx, projectID)
	if err != nil {
		return page{}, err
	}
	p := page{Title: project.FullName(), Repository: d.repository(project), Archived: project.Archived}
	p.logs, p.files = d.Here(project)
	for _, e := range environments {
		if e.State == preview.StateArchived {
			p.Gone = append(p.Gone, p.goneOf(e))
			continue
		}
		c := d.card(p, e, outputs[e.ID], passes[e.ID], queue[e.ID])
		for _, v := range versions[e.ID] {
			c.Versions = append(c.Versions, version{ID: v.Version, Worker: v.Worker, Commit: p.commit(v.SHA), Deployed: v.DeployedAt})
		}
		p.Cards = append(p.Cards, c)
	}
	p.Summary = summary(p.Cards)
	if d.Services != nil {
		for _, s := range d.Services.Services(ctx, project) {
			p.Services = append(p.Services, serviceOf(s))
		}
	}
	return p, nil
}

func (d *Dashboard) repository(p preview.Project) string {
	if d.GitHubURL == "" {
		return ""
	}
	return strings.TrimRight(d.GitHubURL, "/") + "/" + url.PathEscape(p.Owner) + "/" + url.PathEscape(p.Name)
}

func (d *Dashboard) card(p page, e preview.Environment, out preview.Outputs, passes []preview.PassRecord, place int) card {
	c := card{
		Name: e.Name, Title: titleOf(e), About: e.Title, Page: p.pageOf(e), Branch: cmp.Or(e.HeadRef, e.Branch), Ahead: ahead(e, passes, place),
		Head: p.commit(e.HeadSHA), Serving: p.commit(e.GoodSHA), Expires: e.ExpiresAt, Place: place, Message: e.Message,
	}
	c.Tone, c.State = stateOf(e)
	if e.GoodSHA != "" && openable(out.URL) {
		c.URL = out.URL
	}
	if e.Kind.Core() && e.SHA != "" {
		c.Head = p.commit(e.SHA)
	}
	if !e.FailingSince.IsZero() {
		c.Next = e.NextPassAt
	}
	if place > 0 { // the message tells the place of an earlier pass
		c.Message = "All places are taken. It starts by itself when one is free."
	}
	for _, x := range e.Problems {
		c.Problems = append(c.Problems, p.problem(e, x))
	}
	for i, record := range passes {
		shown := p.pass(record)
		if i == 0 {
			c.Newest = &shown
			continue
		}
		c.Earlier = append(c.Earlier, shown)
	}
	if d.Files != nil && p.files {
		for _, file := range out.Files {
			c.Files = append(c.Files, download{Name: file, URL: "environments/" + url.PathEscape(e.Name) + "/files/" + url.PathEscape(file)})
		}
	}
	for _, w := range out.Workers {
		if e.GoodSHA != "" && openable(w.URL) {
			c.Workers = append(c.Workers, worker(w))
		}
	}
	if d.Logs != nil && p.logs {
		c.Logs, c.LogSpan = d.logs(e, out), "15 minutes"
	}
	return c
}

// openable reports whether a browser may be led there.
func openable(address string) bool {
	return strings.HasPrefix(address, "https://") || strings.HasPrefix(address, "http://")
}

// logs are those of an environment's Workers, as soon as there is one.
func (d *Dashboard) logs(e preview.Environment, out preview.Outputs) []workerLog {
	logs := []workerLog{{ID: e.Name}}
	for _, w := range out.Workers {
		if w.URL == out.URL {
			logs[0].Name = w.Name
			continue
		}
		logs = append(logs, workerLog{ID: preview.WorkerName(e.Name, w.Name), Name: w.Name})
	}
	shown := logs[:0]
	for _, log := range logs {
		if log.Lines = d.recent(log.ID); e.GoodSHA != "" || len(log.Lines) > 0 {
			shown = append(shown, log)
		}
	}
	return shown
}

// recent are the last lines of a Worker's log.
func (d *Dashboard) recent(name string) []line {
	since := d.Now().Add(-logWindow)
	all := d.Logs.Logs(name)
	all = all[max(0, len(all)-logLinesShown):]
	var shown []line
	for _, l := range all {
		if l.Time.After(since) {
			shown = append(shown, line(l))
		}
	}
	return shown
}

func titleOf(e preview.Environment) string {
	switch e.Kind {
	case preview.EnvironmentProd:
		return "Production"
	case preview.EnvironmentStaging:
		return "Staging"
	case preview.EnvironmentDev:
		return "Development"
	}
	return fmt.Sprintf("Pull request #%d", e.PR)
}

// pageOf is the pull request's page, or the branch's.
func (p page) pageOf(e preview.Environment) string {
	switch {
	case p.Repository == "":
		return ""
	case e.PR > 0:
		return fmt.Sprintf("%s/pull/%d", p.Repository, e.PR)
	case e.Branch != "":
		return p.Repository + "/tree/" + escapePath(e.Branch)
	}
	return ""
}

func (p page) commit(sha string) commit {
	if len(sha) < 7 {
		return commit{Short: sha}
	}
	c := commit{Short: sha[:7]}
	if p.Repository != "" {
		c.URL = p.Repository + "/commit/" + url.PathEscape(sha)
	}
	return c
}

func (p page) problem(e preview.Environment, x preview.Problem) problem {
	shown := problem{Message: x.Message, Hint: x.Hint, Place: x.Path, Tone: toneBad}
	if x.Warning {
		shown.Tone = toneWait
	}
	if x.Path == "" {
		return shown
	}
	fragment := ""
	if x.Line > 0 {
		shown.Place = fmt.Sprintf("%s:%d", x.Path, x.Line)
		fragment = fmt.Sprintf("#L%d", x.Line)
	}
	if p.Repository != "" && e.HeadSHA != "" {
		shown.URL = p.Repository + "/blob/" + url.PathEscape(e.HeadSHA) + "/" + escapePath(x.Path) + fragment
	}
	return shown
}

func escapePath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

func stateOf(e preview.Environment) (tone, string) {
	switch e.State {
	case preview.StateActive:
		return toneGood, "Active"
	case preview.StateQueued:
		return toneWait, "Waiting"
	case preview.StateProvisioning:
		return toneBusy, "Being made"
	case preview.StateUpdating:
		return toneBusy, "Updating"
	case preview.StateError:
		return toneBad, "Failing"
	case preview.StateFailed:
		return toneBad, "Failed"
	}
	return toneGone, "Gone"
}

// ahead says what comes next for an environment, and who brings it.
func ahead(e preview.Environment, passes []preview.PassRecord, place int) string {
	switch {
	case e.Wanted > e.Observed:
		return "Is being brought up to date"
	case place > 0:
		return "Starts when a place is free"
	case len(passes) > 0 && passes[0].Outcome == outcomeApproval:
		return "Goes on after an approval, or a push without the destructive migration"
	case len(e.Problems) > 0:
		return "Goes on when a fix is pushed"
	case e.State == preview.StateError, !e.FailingSince.IsZero():
		return "Is tried again by itself"
	}
	return "Follows the next push"
}

func (p page) goneOf(e preview.Environment) gone {
	g := gone{Title: titleOf(e), About: e.Title, Page: p.pageOf(e), Commit: p.commit(e.HeadSHA), Reason: e.Message}
	switch {
	case e.Closed:
		g.Reason = "Its pull request was closed."
	case e.Held:
		g.Reason = "Destroyed on request, until /flaresmith preview."
	case e.ExpiredSHA != "":
		g.Reason = "Its time was up. A push or /flaresmith preview brings it back."
	case g.Reason == "":
		g.Reason = "It has no preview."
	}
	return g
}

func serviceOf(s Service) service {
	shown := service{Name: systemName(s.Name), Tone: toneGood, State: "Answers", Until: s.Until}
	for _, b := range s.Budgets {
		shown.Budgets = append(shown.Budgets, fmt.Sprintf("%d of %d %s left", b.Remaining, b.Burst, budgetName(b.Name)))
	}
	switch {
	case s.Breaker == "open":
		shown.Tone, shown.State = toneBad, "Not called: too many calls failed"
	case s.Breaker == "half-open":
		shown.Tone, shown.State = toneWait, "Being tried again"
	case !s.Until.IsZero():
		shown.Tone, shown.State = toneWait, "Asked for a pause"
	}
	return shown
}

// systemName is how people know an outside system.
func systemName(name string) string {
	names := map[string]string{"cloudflare": "Cloudflare", "github": "GitHub", "neon": "Neon", "postman": "Postman"}
	return cmp.Or(names[name], name)
}

// budgetName is what a budget counts, for a person.
func budgetName(name string) string {
	names := map[string]string{"content-minute": "new texts a minute", "content-hour": "new texts an hour"}
	return cmp.Or(names[name], name)
}

// summary counts the cards by state, in the order that wants attention.
func summary(cards []card) []count {
	counts := []count{{Tone: toneBad, Word: "failing"}, {Tone: toneBusy, Word: "working"}, {Tone: toneWait, Word: "waiting"}, {Tone: toneGood, Word: "active"}}
	var shown []count
	for _, c := range counts {
		for _, card := range cards {
			if card.Tone == c.Tone {
				c.Count++
			}
		}
		if c.Count > 0 {
			shown = append(shown, c)
		}
	}
	return shown
}

func (p page) pass(r preview.PassRecord) pass {
	shown := pass{Started: r.StartedAt, Took: took(r.Duration), Commit: p.commit(r.SHA)}
	shown.Tone, shown.Outcome = outcomeOf(r.Outcome)
	whole := max(r.Duration.Milliseconds(), 1)
	for _, s := range r.Steps {
		whole = max(whole, s.StartMS+s.DurationMS)
	}
	for _, s := range r.Steps {
		// A bar that is too short to see is drawn a little longer, and never beyond the end.
		width := max(float64(s.DurationMS)/float64(whole)*100, 0.8)
		x := min(float64(s.StartMS)/float64(whole)*100, 100-width)
		shown.Steps = append(shown.Steps, step{Name: s.Name, Op: s.Op, OK: s.OK, Error: s.Error,
			After: took(time.Duration(s.StartMS) * time.Millisecond), Took: took(time.Duration(s.DurationMS) * time.Millisecond), X: fmt.Sprintf("%.2f%%", x), Width: fmt.Sprintf("%.2f%%", width)})
	}
	return shown
}

// outcomeApproval is the outcome of a pass that ended before a destructive migration.
const outcomeApproval = "needs_action"

// outcomeOf says a pass's outcome for a person.
func outcomeOf(outcome string) (tone, string) {
	switch outcome {
	case "ready":
		return toneGood, "succeeded"
	case "invalid", "outage", "failed":
		return toneBad, "failed"
	case outcomeApproval:
		return toneBad, "needs an approval"
	case "unavailable":
		return toneWait, "will be tried again"
	case "superseded":
		return toneWait, "gave way to a newer event"
	case "closed", "expired", "held", "skipped":
		return toneGone, "took everything down"
	case "queued":
		return toneWait, "waits for a place"
	}
	return toneGone, outcome
}

// took is a duration as people say it.
func took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}
