package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

const (
	branch    = "reviews"
	checkName = "Flaresmith / Preview"
	specCheck = "Flaresmith / Spec"
)

// story is what the steps hand on to each other.
type story struct {
	*world
	commits map[string]Commit
	pr      int
	sha     string // of the newest push
	good    github.CheckRun
	preview previewFacts
}

// previewFacts is where the preview is, as GitHub was told.
type previewFacts struct {
	url  string // e.g. http://<name>.localhost:<port>/
	name string
}

// chapter is one step of the story: it does something and verifies what follows.
type chapter struct {
	name, title string
	play        func(s *story, ctx context.Context) (detail []string, err error)
	link        func(s *story) string
}

func chapters() []chapter {
	page := func(s *story) string { return fmt.Sprintf("%s/%s/pull/%d", s.github.URL(), repo, s.pr) }
	return []chapter{
		{"opened", "A pull request is opened and gets its preview", (*story).open, page},
		{"isolated", "The preview serves rows of its own database branch", (*story).isolated, func(s *story) string { return s.preview.url + "products" }},
		{"updated", "A migration is pushed: updated in place, schema diff shown", (*story).update, page},
		{"specified", "A spec is changed: drift shown, applied, preview follows", (*story).specify, page},
		{"commands", "Slash commands: status, extend, unknown, refused", (*story).command, page},
		{"failing", "Two broken commits: the check says where, the preview stays", (*story).fail, page},
		{"closed", "The pull request is closed and everything is gone", (*story).close, page},
	}
}

// tell plays the chapters in order and stops at the first that does not show what it promises.
func tell(ctx context.Context, w *world, show *show) storyResult {
	s := &story{world: w, commits: map[string]Commit{}}
	result := storyResult{OK: true, Leaks: []string{}}
	all := chapters()
	commits, err := Commits()
	for _, c := range commits {
		s.commits[c.Name] = c
	}
	for i, c := range all {
		started := time.Now()
		var detail []string
		if err == nil {
			sctx, cancel := context.WithTimeout(ctx, stepTimeout)
			detail, err = c.play(s, sctx)
			cancel()
		}
		step := stepResult{Name: c.name, OK: err == nil, DurationMS: time.Since(started).Milliseconds(), Detail: strings.Join(detail, "\n")}
		if err != nil {
			step.Detail = strings.Join(append(detail, "not verified: "+err.Error()), "\n")
		}
		result.Steps = append(result.Steps, step)
		link := ""
		if s.pr != 0 {
			link = c.link(s)
		}
		show.step(i+1, len(all), c.title, step, link)
		if err != nil {
			result.OK = false
			break
		}
	}
	result.PreviewURL = s.preview.url
	result.CheckRun = checkResult{Name: s.good.Name, Conclusion: s.good.Conclusion}
	lctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTimeout)
	defer cancel()
	leaks, err := w.leaks(lctx)
	if err != nil {
		leaks = append(leaks, "could not look: "+err.Error())
	}
	result.Leaks, result.OK = append(result.Leaks, leaks...), result.OK && len(leaks) == 0
	return result
}

// open: PR opened → delivery → inbox → handler → reconcile → database, Worker, collection → check,
// comment, deployment.
func (s *story) open(ctx context.Context) ([]string, error) {
	if err := s.push(CommitReviews); err != nil {
		return nil, err
	}
	number, err := s.github.OpenPR(repo, "Customers review products", branch, "", developer)
	if err != nil {
		return nil, err
	}
	s.pr = number
	check, err := s.checkOf(ctx, s.sha, "success")
	if err != nil {
		return nil, err
	}
	s.good = check
	if err := s.findPreview(ctx); err != nil {
		return nil, err
	}
	var health struct{ Service, Database string }
	if err := s.get(ctx, "", &health); err != nil {
		return nil, err
	}
	if want := s.place.database(s.preview.name); health.Database != want {
		return nil, fmt.Errorf("the Worker serves database %q and not %q", health.Database, want)
	}
	found, err := s.place.found(ctx)
	collected := withWord(found, s.place.collected()...)
	if err != nil || len(collected) < 2 {
		return nil, errors.Join(fmt.Errorf("for Postman there is only: %v", collected), err)
	}
	body, err := s.previewComment(ctx, s.preview.url)
	if err != nil {
		return nil, err
	}
	if err := s.wantFound(ctx); err != nil {
		return nil, err
	}
	return []string{
		fmt.Sprintf("check %q: %s, %s", check.Name, check.Conclusion, check.Title),
		fmt.Sprintf("database %s, Worker at %s", health.Database, s.preview.url),
		fmt.Sprintf("Postman: %s", strings.Join(shortly(collected), ", ")),
		fmt.Sprintf("a deployment; a comment of %d characters", len(body)),
	}, nil
}

// isolated: the preview answers with rows copied from the parent; a row written to it stays there.
func (s *story) isolated(ctx context.Context) ([]string, error) {
	type product struct {
		ID   int
		Name string
	}
	var before, after []product
	if err := s.get(ctx, "products", &before); err != nil {
		return nil, err
	}
	if len(before) == 0 {
		return nil, errors.New("the preview has none of its parent's rows")
	}
	const name = "Tea tray"
	if err := s.post(ctx, "products", map[string]any{"name": name, "priceCents": 1900}, nil); err != nil {
		return nil, err
	}
	if err := s.get(ctx, "products", &after); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(after, func(p product) bool { return p.Name == name }) {
		return nil, fmt.Errorf("the preview lost the product %q", name)
	}
	inParent, tables, err := s.parentState(ctx, name)
	if err != nil {
		return nil, err
	}
	if inParent != 0 || tables != 1 {
		return nil, fmt.Errorf("the parent changed: %d such products, %d tables", inParent, tables)
	}
	return []string{fmt.Sprintf("%d products from the parent, one more written; the parent still has %d and no new table", len(before), len(before))}, nil
}

// update: a commit with a schema-changing migration is applied in place.
func (s *story) update(ctx context.Context) ([]string, error) {
	if err := s.push(CommitStock); err != nil {
		return nil, err
	}
	check, err := s.checkOf(ctx, s.sha, "success")
	if err != nil {
		return nil, err
	}
	s.good = check
	body, err := s.previewComment(ctx, "stock")
	if err != nil {
		return nil, fmt.Errorf("schema diff: %w", err)
	}
	var products []struct {
		Name  string
		Stock *int
	}
	if err := s.get(ctx, "products", &products); err != nil {
		return nil, err
	}
	if len(products) < 4 || products[0].Stock == nil {
		return nil, fmt.Errorf("%d products, with a stock: %v; the data should be kept and the column new", len(products), products[0].Stock != nil)
	}
	return append([]string{"the data written before is still there; the comment shows, against the parent:"}, diffLines(body)...), nil
}

// specify: a commit changes specs alone, and brings the migration. The check about specs says what is not as they say; its
// button commits that to the branch, and the preview has the new column and the new route.
func (s *story) specify(ctx context.Context) ([]string, error) {
	if err := s.push(CommitDescription); err != nil {
		return nil, err
	}
	drift, err := s.checkNamed(ctx, specCheck, s.sha, "action_required")
	if err != nil {
		return nil, err
	}
	if len(drift.Actions) != 1 || len(drift.Annotations) == 0 {
		return nil, fmt.Errorf("%d buttons and %d annotations for what is not as the specs say", len(drift.Actions), len(drift.Annotations))
	}
	if _, err := s.checkOf(ctx, s.sha, "success"); err != nil { // the migration alone breaks nothing
		return nil, err
	}
	if err := s.get(ctx, "products/1", nil); !errors.Is(err, errNoRoute) {
		return nil, errors.Join(errors.New("before it is applied, the new route should answer 404"), err)
	}
	if err := s.github.PressButton(repo, drift.ID, drift.Actions[0].Identifier, developer); err != nil {
		return nil, err
	}
	if err := s.until(ctx, "what was applied is on the branch", func() (bool, error) {
		head, err := s.github.Branch(repo, branch)
		applied := head != s.sha
		s.sha = head
		return applied, err
	}); err != nil {
		return nil, err
	}
	if _, err := s.checkNamed(ctx, specCheck, s.sha, "success"); err != nil {
		return nil, err
	}
	if s.good, err = s.checkOf(ctx, s.sha, "success"); err != nil {
		return nil, err
	}
	type product struct {
		ID          int
		Name        string
		Description *string
		Stock       *int
	}
	var added, found product
	if err := s.post(ctx, "products", map[string]any{"name": "Kettle", "priceCents": 4900, "description": "Boils a litre"}, &added); err != nil {
		return nil, err
	}
	route := fmt.Sprintf("products/%d", added.ID)
	if err := s.get(ctx, route, &found); err != nil {
		return nil, err
	}
	if found.Name != "Kettle" || found.Description == nil || found.Stock == nil {
		return nil, fmt.Errorf("the new route answers %+v", found)
	}
	detail := []string{fmt.Sprintf("check %q: %s, %s", drift.Name, drift.Conclusion, drift.Title)}
	for _, a := range drift.Annotations {
		detail = append(detail, fmt.Sprintf("  %s:%d  %s", a.Path, a.StartLine, firstLine(a.Message)))
	}
	return append(detail,
		fmt.Sprintf("%s presses %s; %s commits to the branch", developer, drift.Actions[0].Label, s.github.BotLogin()),
		fmt.Sprintf("GET %s answers %s, %q; before, 404", route, found.Name, *found.Description)), nil
}

// command: status, extend, an unknown one, one by somebody without write access.
func (s *story) command(ctx context.Context) ([]string, error) {
	asked := []struct{ user, text, wants string }{
		{guest, "/flaresmith status", "ready"},
		{developer, "/flaresmith extend 24h", "lives until"},
		{developer, "/flaresmith fly", "is no command"},
		{guest, "/flaresmith rebuild", "Not done"},
	}
	var detail []string
	for _, a := range asked {
		id, err := s.github.Comment(repo, s.pr, a.user, a.text)
		if err != nil {
			return detail, err
		}
		reply, err := s.replyTo(ctx, id)
		if err != nil {
			return detail, fmt.Errorf("%s: %w", a.text, err)
		}
		if !strings.Contains(strings.ToLower(reply), strings.ToLower(a.wants)) {
			return detail, fmt.Errorf("%s by %s: the answer lacks %q: %s", a.text, a.user, a.wants, reply)
		}
		detail = append(detail, fmt.Sprintf("%s: %s → %s", a.user, a.text, firstLine(reply)))
	}
	return detail, nil
}

// fail: a syntax error, then a migration that does not apply; the last good preview keeps serving.
func (s *story) fail(ctx context.Context) ([]string, error) {
	var detail []string
	for _, name := range []string{CommitSyntaxError, CommitMigrationError} {
		if err := s.push(name); err != nil {
			return detail, err
		}
		check, err := s.checkOf(ctx, s.sha, "failure")
		if err != nil {
			return detail, err
		}
		place := s.commits[name].FailsAt
		i := slices.IndexFunc(check.Annotations, func(a github.Annotation) bool { return a.Path == place.Path && a.StartLine == place.Line })
		if i < 0 {
			return detail, fmt.Errorf("%s: no annotation at %s:%d in %+v", name, place.Path, place.Line, check.Annotations)
		}
		var products []struct{ Stock *int }
		if err := s.get(ctx, "products", &products); err != nil {
			return detail, fmt.Errorf("%s: the last good preview does not serve: %w", name, err)
		}
		if len(products) < 4 || products[0].Stock == nil {
			return detail, fmt.Errorf("%s: the last good preview changed", name)
		}
		detail = append(detail, fmt.Sprintf("%s:%d  %s", place.Path, place.Line, firstLine(check.Annotations[i].Message)))
	}
	return append(detail, "the preview still serves the commit before"), nil
}

// close: nothing is left at any provider, and GitHub says so.
func (s *story) close(ctx context.Context) ([]string, error) {
	if err := s.github.ClosePR(repo, s.pr, developer); err != nil {
		return nil, err
	}
	if _, err := s.previewComment(ctx, "closed"); err != nil {
		return nil, err
	}
	if err := s.until(ctx, "the deployment is inactive", func() (bool, error) {
		deployments, err := s.github.Deployments(repo)
		return !slices.ContainsFunc(deployments, func(d github.Deployment) bool { return d.State() != "inactive" }), err
	}); err != nil {
		return nil, err
	}
	leaks, err := s.leaks(ctx)
	if err != nil || len(leaks) > 0 {
		return nil, errors.Join(fmt.Errorf("left behind: %s", strings.Join(leaks, ", ")), err)
	}
	if err := s.until(ctx, "the preview answers no more", func() (bool, error) { return s.get(ctx, "", nil) != nil, nil }); err != nil {
		return nil, err
	}
	return []string{"nothing of it is left; the deployment is inactive; the comment says so"}, nil
}
