package github_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

func TestPublishWritesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.publish(report.Published{}, b.rendering(report.PhaseReady, b.sha))
	want := map[string]int{"POST " + repo + "/check-runs": 1, "POST " + repo + "/issues/{issue_number}/comments": 1,
		"POST " + repo + "/deployments": 1, "POST " + repo + "/deployments/{deployment_id}/statuses": 1}
	if diff := cmp.Diff(want, b.writes()); diff != "" {
		t.Error(diff)
	}
	again := b.rendering(report.PhaseReady, b.sha)
	again.Check.Text = "other durations"
	if diff := cmp.Diff(first, b.publish(first, again)); diff != "" {
		t.Error(diff)
	}
	if n := len(b.sim.Requests()); n != 0 {
		t.Errorf("an unchanged report made %d requests", n)
	}
	// A process that died before it could remember finds all of it again.
	if diff := cmp.Diff(first, b.publish(report.Published{Begun: true}, again)); diff != "" {
		t.Error(diff)
	}
	want = map[string]int{"PATCH " + repo + "/check-runs/{check_run_id}": 1, "POST " + repo + "/deployments/{deployment_id}/statuses": 1}
	if diff := cmp.Diff(want, b.writes()); diff != "" {
		t.Error(diff)
	}
	deployments, err := b.sim.Deployments("acme/shop")
	b.check(err)
	if len(deployments) != 1 || !deployments[0].Transient || deployments[0].Production || deployments[0].State() != "success" {
		t.Errorf("%+v", deployments)
	}
}

func TestLifeOfAReport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	published := b.publish(report.Published{}, b.rendering(report.PhaseWorking, b.sha))
	published = b.publish(published, b.rendering(report.PhaseReady, b.sha))
	serving := published.DeploymentID
	next, err := b.sim.Commit("acme/shop", "cart", map[string]string{"src/cart.ts": "x ="}, "break")
	b.check(err)
	problem := preview.Problem{Path: "src/cart.ts", Line: 1, Column: 4, Message: "Unexpected end of file"}
	published = b.publish(published, b.rendering(report.PhaseInvalid, next, problem))
	states := func() map[string]string {
		list, err := b.sim.Deployments("acme/shop")
		b.check(err)
		states := map[string]string{}
		for _, d := range list {
			states[d.SHA] = d.State()
		}
		return states
	}
	if diff := cmp.Diff(map[string]string{b.sha: "success", next: "failure"}, states()); diff != "" {
		t.Errorf("while the newest commit fails: %s", diff)
	}
	if published.ServingID != serving {
		t.Errorf("serving deployment is %d, want %d", published.ServingID, serving)
	}
	fixed, err := b.sim.Commit("acme/shop", "cart", map[string]string{"src/cart.ts": "export {}"}, "fix")
	b.check(err)
	published = b.publish(published, b.rendering(report.PhaseReady, fixed))
	if diff := cmp.Diff(map[string]string{b.sha: "inactive", next: "inactive", fixed: "success"}, states()); diff != "" {
		t.Errorf("after the fix: %s", diff)
	}
	published = b.publish(published, b.rendering(report.PhaseClosed, fixed))
	if diff := cmp.Diff(map[string]string{b.sha: "inactive", next: "inactive", fixed: "inactive"}, states()); diff != "" {
		t.Errorf("after the close: %s", diff)
	}
	comments, err := b.sim.Comments("acme/shop", b.pr)
	b.check(err)
	if len(comments) != 1 || comments[0].ID != published.CommentID || !strings.Contains(comments[0].Body, "everything is gone") {
		t.Errorf("%+v", comments)
	}
	runs, err := b.sim.CheckRuns("acme/shop", fixed)
	b.check(err)
	if len(runs) != 1 || runs[0].Conclusion != "neutral" || len(runs[0].Actions) != 0 {
		t.Errorf("%+v", runs)
	}
	runs, err = b.sim.CheckRuns("acme/shop", next)
	b.check(err)
	if len(runs) != 1 || runs[0].Conclusion != "failure" || len(runs[0].Annotations) != 1 || runs[0].Annotations[0].StartLine != 1 || len(runs[0].Actions) != 3 {
		t.Errorf("%+v", runs)
	}
}

// TestRerequested: a person pressed "Re-run", which GitHub answers for with a new run only.
func TestRerequested(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.publish(report.Published{}, b.rendering(report.PhaseReady, b.sha))
	b.writes()
	rerequested := first
	rerequested.NewCheck = true
	second := b.publish(rerequested, b.rendering(report.PhaseReady, b.sha))
	if second.CheckRunID == first.CheckRunID || second.NewCheck {
		t.Errorf("%+v", second)
	}
	if diff := cmp.Diff(map[string]int{"POST " + repo + "/check-runs": 1}, b.writes()); diff != "" {
		t.Error(diff)
	}
	third := b.publish(second, b.rendering(report.PhaseReady, b.sha))
	if diff := cmp.Diff(second, third); diff != "" || len(b.sim.Requests()) != 0 {
		t.Errorf("%s; %d requests", diff, len(b.sim.Requests()))
	}
}

// TestListedAndNotFound: GitHub lists a run and answers 404 to its update. It is tried again; the second time one new run
// takes its place; where that one is not found either, no third is made.
func TestListedAndNotFound(t *testing.T) {
	t.Parallel()
	const create, update = "POST " + repo + "/check-runs", "PATCH " + repo + "/check-runs/{check_run_id}"
	notFound := fault.Fault{Status: http.StatusNotFound}
	transient, done := preview.ClassTransient, preview.Class("")
	phases := []report.Phase{report.PhaseReady, report.PhaseReady, report.PhaseClosed, report.PhaseWorking, report.PhaseClosed}
	tests := []struct {
		name   string
		missed int // updates that answer 404
		want   []preview.Class
		writes map[string]int
	}{
		{"once", 1, []preview.Class{transient, done, done, done, done}, map[string]int{update: 5}},
		{"twice", 2, []preview.Class{transient, done, done, done, done}, map[string]int{update: 5, create: 1}},
		{"always", 100, []preview.Class{transient, done, transient, transient, transient}, map[string]int{update: 5, create: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			published := b.publish(report.Published{}, b.rendering(report.PhaseWorking, b.sha))
			b.writes()
			b.sim.SetFaults(fault.Nth(1, tt.missed, fault.OnRoute(update, notFound)))
			var got []preview.Class
			for _, phase := range phases {
				r := b.rendering(phase, b.sha)
				r.Comment, r.Deployment = "", nil
				var err error
				if published, err = b.app.Publish(t.Context(), b.project, preview.PullRequest{Number: b.pr}, published, r); err != nil {
					got = append(got, preview.Classify(err))
				} else {
					got = append(got, done)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("classes (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.writes, b.writes()); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("in the middle of many annotations", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.sim.SetFaults(fault.OnRoute(update, notFound))
		var published report.Published
		for range 4 {
			r := b.rendering(report.PhaseInvalid, b.sha, problems(120)...)
			r.Comment, r.Deployment = "", nil
			published, _ = b.app.Publish(t.Context(), b.project, preview.PullRequest{Number: b.pr}, published, r)
		}
		runs, err := b.sim.CheckRuns("acme/shop", b.sha)
		b.check(err)
		var got []int
		for _, run := range runs {
			got = append(got, len(run.Annotations))
		}
		if diff := cmp.Diff([]int{50, 50, 50}, got); diff != "" { // the first, another try, and one that needs no update
			t.Errorf("annotations (-want +got):\n%s", diff)
		}
		if published.CheckDigest == "" {
			t.Errorf("the check is not done: %+v", published)
		}
	})
	t.Run("another commit", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		next, err := b.sim.Commit("acme/shop", "cart", map[string]string{"src/cart.ts": "export {}"}, "next")
		b.check(err)
		published := b.publish(report.Published{CheckSHA: b.sha, CheckRunID: 1, CheckNotFound: 3}, b.rendering(report.PhaseWorking, next))
		if published.CheckNotFound != 0 {
			t.Errorf("%+v", published)
		}
	})
	t.Run("merge group", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		check := report.MergeGroupCheck(b.sha)
		unfinished := check
		unfinished.Status, unfinished.Conclusion = "in_progress", ""
		b.check(b.app.AnswerCheck(t.Context(), b.project, b.sha, unfinished))
		b.writes()
		b.sim.SetFaults(fault.OnRoute(update, notFound))
		for range 2 {
			b.check(b.app.AnswerCheck(t.Context(), b.project, b.sha, check))
		}
		if diff := cmp.Diff(map[string]int{update: 1, create: 1}, b.writes()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
	})
}

func TestUpdateOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	published := b.publish(report.Published{}, b.rendering(report.PhaseSkipped, b.sha))
	if published.CheckRunID == 0 || published.CommentID != 0 || published.DeploymentID != 0 {
		t.Errorf("%+v", published)
	}
	if diff := cmp.Diff(map[string]int{"POST " + repo + "/check-runs": 1}, b.writes()); diff != "" {
		t.Error(diff)
	}
}

func TestAnnotationsAreNeverDoubled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	many := problems(120)
	first := b.publish(report.Published{}, b.rendering(report.PhaseInvalid, b.sha, many...))
	want := map[string]int{"POST " + repo + "/check-runs": 1, "PATCH " + repo + "/check-runs/{check_run_id}": 2}
	if diff := cmp.Diff(want, onlyChecks(b.writes())); diff != "" {
		t.Error(diff)
	}
	changed := b.rendering(report.PhaseInvalid, b.sha, many...)
	changed.Check.Title = "Another title"
	second := b.publish(first, changed)
	b.publish(report.Published{Begun: true}, changed) // after a crash
	fewer := b.publish(second, b.rendering(report.PhaseInvalid, b.sha, many[:2]...))
	runs, err := b.sim.CheckRuns("acme/shop", b.sha)
	b.check(err)
	got := map[int64]int{}
	for _, run := range runs {
		got[run.ID] = len(run.Annotations)
	}
	if diff := cmp.Diff(map[int64]int{first.CheckRunID: 120, fewer.CheckRunID: 2}, got); diff != "" {
		t.Error(diff)
	}
}

// More annotations than four requests take are counted.
func TestAnnotationsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.publish(report.Published{}, b.rendering(report.PhaseInvalid, b.sha, problems(260)...))
	want := map[string]int{"POST " + repo + "/check-runs": 1, "PATCH " + repo + "/check-runs/{check_run_id}": 3}
	if diff := cmp.Diff(want, onlyChecks(b.writes())); diff != "" {
		t.Error(diff)
	}
	runs, err := b.sim.CheckRuns("acme/shop", b.sha)
	b.check(err)
	if len(runs) != 1 || len(runs[0].Annotations) != 200 || runs[0].Annotations[0].StartLine != 1 || runs[0].Annotations[199].StartLine != 200 {
		t.Fatalf("%d runs", len(runs))
	}
	if !strings.Contains(runs[0].Summary, "\n200 of 260 places are annotated") {
		t.Errorf("the summary does not count them: %s", runs[0].Summary)
	}
}

// problems are n of them, each on a line of its own.
func problems(n int) []preview.Problem {
	var list []preview.Problem
	for line := range n {
		list = append(list, preview.Problem{Path: "src/cart.ts", Line: line + 1, Message: fmt.Sprintf("Problem %d", line)})
	}
	return list
}

func onlyChecks(writes map[string]int) map[string]int {
	for route := range writes {
		if !strings.Contains(route, "check-runs") {
			delete(writes, route)
		}
	}
	return writes
}

func TestCommentIsFoundOrMadeAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	copied := report.CommentMarker("env-1") + "\nI am not the bot"
	_, err := b.sim.Comment("acme/shop", b.pr, "octo-dev", copied)
	b.check(err)
	for i := range 130 {
		_, err := b.sim.Comment("acme/shop", b.pr, "octo-dev", fmt.Sprint("chatter ", i))
		b.check(err)
	}
	first := b.publish(report.Published{}, b.rendering(report.PhaseWorking, b.sha))
	found := b.publish(report.Published{Begun: true}, b.rendering(report.PhaseReady, b.sha)) // on the second page
	if found.CommentID != first.CommentID {
		t.Errorf("comment %d, want %d", found.CommentID, first.CommentID)
	}
	b.check(b.sim.DeleteComment("acme/shop", first.CommentID, "octo-dev"))
	anew := b.publish(found, b.rendering(report.PhaseUnavailable, b.sha))
	if anew.CommentID == first.CommentID || anew.CommentID == 0 {
		t.Errorf("after a person deleted it: %d", anew.CommentID)
	}
	comments, err := b.sim.Comments("acme/shop", b.pr)
	b.check(err)
	if len(comments) != 132 || comments[0].Body != copied {
		t.Errorf("%d comments, the first is %q", len(comments), comments[0].Body)
	}
}

// When the context ends, a write at hand is finished and remembered, and nothing else begins.
func TestPublishIsStopped(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]string{"while reading": "GET " + repo + "/commits/{ref}/check-runs", "while writing": "POST " + repo + "/check-runs"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			b.sim.SetFaults(func(r *http.Request) *fault.Fault {
				if fault.RouteOf(r) == at {
					stop()
				}
				return nil
			})
			ready := b.rendering(report.PhaseReady, b.sha)
			ready.Comment, ready.Deployment = "", nil
			published, err := b.app.Publish(ctx, b.project, preview.PullRequest{Number: b.pr}, report.Published{Begun: true}, ready)
			writing := name == "while writing"
			if writing != (err == nil) || writing != (published.CheckRunID != 0) {
				t.Errorf("published %+v, error %v", published, err)
			}
			b.sim.SetFaults()
			b.publish(published, ready)
			if diff := cmp.Diff(map[string]int{"POST " + repo + "/check-runs": 1}, b.writes()); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
		})
	}
}

// One part that fails keeps none of the others from being written and remembered, and is all that the next
// report writes.
func TestPartialFailure(t *testing.T) {
	t.Parallel()
	check, comment, status := "POST "+repo+"/check-runs", "POST "+repo+"/issues/{issue_number}/comments", "POST "+repo+"/deployments/{deployment_id}/statuses"
	tests := []struct{ name, fails string }{
		{name: "check", fails: check},
		{name: "comment", fails: comment},
		{name: "deployment", fails: status},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.sim.SetFaults(fault.OnRoute(tt.fails, fault.Fault{Status: http.StatusBadGateway}))
			ready := b.rendering(report.PhaseReady, b.sha)
			published, err := b.app.Publish(t.Context(), b.project, preview.PullRequest{Number: b.pr}, report.Published{}, ready)
			if preview.Classify(err) != preview.ClassTransient {
				t.Errorf("class of %v", err)
			}
			got := map[string]bool{check: published.CheckDigest != "", comment: published.CommentDigest != "", status: published.DeploymentDigest != ""}
			want := map[string]bool{check: tt.fails != check, comment: tt.fails != comment, status: tt.fails != status}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("remembered (-want +got):\n%s", diff)
			}
			b.sim.SetFaults()
			b.writes()
			b.publish(published, ready)
			if diff := cmp.Diff(map[string]int{tt.fails: 1}, b.writes()); diff != "" {
				t.Errorf("written again (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLostAnswer: the work was done, the answer never came.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	creates := []string{"POST " + repo + "/check-runs", "POST " + repo + "/issues/{issue_number}/comments", "POST " + repo + "/deployments"}
	var rules []fault.Rule
	for _, route := range creates {
		rules = append(rules, fault.OnRoute(route, fault.Fault{Drop: true, After: true}))
	}
	b.sim.SetFaults(rules...)
	ready := b.rendering(report.PhaseReady, b.sha)
	published, err := b.app.Publish(t.Context(), b.project, preview.PullRequest{Number: b.pr}, report.Published{}, ready)
	if preview.Classify(err) != preview.ClassTransient {
		t.Errorf("class of %v", err)
	}
	b.sim.SetFaults()
	b.writes()
	b.publish(published, ready)
	for _, route := range creates {
		if n := b.sim.Counts()[route]; n != 0 {
			t.Errorf("%s: created %d more", route, n)
		}
	}
}
