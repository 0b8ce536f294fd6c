package server

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/github"
)

const (
	checkRunsRoute = "POST /repos/{owner}/{repo}/check-runs"
	tokensRoute    = "POST /app/installations/{installation_id}/access_tokens"
)

// passRoutes are all operations of GitHub that the life of a preview uses.
func passRoutes() []string {
	return []string{
		"GET /app",
		"GET /repos/{owner}/{repo}/collaborators/{username}/permission",
		"GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
		"GET /repos/{owner}/{repo}/contents/{path}",
		"GET /repos/{owner}/{repo}/deployments",
		"GET /repos/{owner}/{repo}/issues/comments/{comment_id}",
		"GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
		"GET /repos/{owner}/{repo}/pulls/{pull_number}",
		"GET /repos/{owner}/{repo}/pulls/{pull_number}/files",
		"GET /repos/{owner}/{repo}/tarball/{ref}",
		"PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
		"PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
		tokensRoute,
		checkRunsRoute,
		"POST /repos/{owner}/{repo}/deployments",
		"POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
		"POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
		"POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
	}
}

// TestPassRoutes keeps the list above complete: an operation that is not on it would have no fault.
func TestPassRoutes(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.say(pr, "octo-dev", "/flaresmith status")
	w.settle()
	w.wantCheck(w.push("feature/a", "two"), "success")
	w.settle()
	if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	used := slices.DeleteFunc(slices.Sorted(maps.Keys(w.github.Counts())), func(route string) bool {
		// Those of the sweep and of the proposal of a configuration, which have tests of their own.
		return slices.Contains([]string{"GET /app/hook/deliveries", "GET /repos/{owner}/{repo}", "GET /repos/{owner}/{repo}/pulls"}, route)
	})
	if diff := cmp.Diff(passRoutes(), used); diff != "" {
		t.Errorf("operations (-list +used):\n%s", diff)
	}
}

// TestGitHubFaults lets the first request of every operation fail in each way there is. What people
// see must come to be all the same, once.
func TestGitHubFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault fault.Fault
		// refused: GitHub says no, which another try does not cure; the next event, or the slow poll, does.
		refused bool
	}{
		{"403", fault.Fault{Status: http.StatusForbidden, Body: `{"message":"Resource not accessible by integration"}`}, true},
		{"404", fault.Fault{Status: http.StatusNotFound}, true},
		{"422", fault.Fault{Status: http.StatusUnprocessableEntity, Body: `{"message":"Validation Failed","errors":[{"resource":"X","code":"custom","message":"no"}]}`}, true},
		{"401", fault.Fault{Status: http.StatusUnauthorized, Body: `{"message":"Bad credentials"}`}, true},
		{"500", fault.Fault{Status: http.StatusInternalServerError}, false},
		{"502 with a page", fault.Fault{Status: http.StatusBadGateway, Body: "<html>bad gateway</html>"}, false},
		{"secondary limit", github.RateLimited(http.StatusForbidden, time.Second), false},
		{"secondary limit by 429", github.RateLimited(http.StatusTooManyRequests, time.Second), false},
		{"primary limit", github.PrimaryLimited(time.Now().Add(2 * time.Second)), false},
		{"dropped", fault.Fault{Drop: true}, false},
		{"garbage", fault.Fault{Status: http.StatusOK, Body: "<html>bad gateway</html>"}, false},
		{"done and dropped", fault.Fault{Drop: true, After: true}, false},
		{"done and 500", fault.Fault{Status: http.StatusInternalServerError, After: true}, false},
		{"done and garbage", fault.Fault{Status: http.StatusOK, Body: "<html>bad gateway</html>", After: true}, false},
		{"slow", fault.Fault{Delay: 500 * time.Millisecond}, false},
	}
	for _, tt := range someOf(tests) {
		for _, write := range []bool{false, true} {
			if !write && (tt.fault.After || tt.fault.Delay > 0) {
				continue // to read twice, or slowly, is nothing
			}
			if !write && testing.Short() {
				continue // what is read at the same time is, too, where it fails
			}
			name := tt.name + map[bool]string{false: ", reading", true: ", writing"}[write]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, sampleFiles(), nil)
				w.settle()
				var rules []fault.Rule
				for _, route := range passRoutes() {
					if strings.HasPrefix(route, "GET ") != write {
						rules = append(rules, fault.Nth(1, 1, fault.OnRoute(route, tt.fault)))
					}
				}
				w.github.SetFaults(rules...)
				pr, sha := w.open("feature/one")
				w.say(pr, "octo-dev", "/flaresmith status")
				if write && !tt.refused {
					w.wantCheck(sha, "success") // by itself
					w.until("the command is answered", func() bool { return len(comments(t, w, pr)) >= 3 })
				} else {
					w.wake(sha)
				}
				w.github.SetFaults()
				w.until("nothing is left to tell", func() bool { return w.environment(pr).Attempts == 0 })
				if err := w.server.store.WantProject(t.Context(), w.environment(pr).ProjectID); err != nil {
					t.Fatal(err)
				}
				w.settle()
				w.wantOnce(pr, sha, tt.refused)
				w.wantNoSecret("bad gateway")
				if err := w.github.ClosePR(testRepo, pr, "octo-dev"); err != nil {
					t.Fatal(err)
				}
				w.settle()
				if n := w.cloud.total(); n != 0 {
					t.Errorf("%d resources left", n)
				}
				if slices.ContainsFunc(w.state(), func(line string) bool { return strings.Contains(line, "hunter2") }) {
					t.Error("the store holds a password")
				}
			})
		}
	}
}

// wake wants one pass after the other, as events would, until the commit's check is green: who was
// refused, or failed often, comes back only after minutes.
func (w *world) wake(sha string) {
	w.t.Helper()
	w.until("the check is green", func() bool {
		_, err := w.server.store.Pool().Exec(w.t.Context(), `UPDATE environments SET next_pass_at = now() WHERE wanted = observed`)
		if err != nil {
			w.t.Fatal(err)
		}
		check, ok := w.check(testRepo, sha)
		return ok && check.Conclusion == "success"
	})
}

// wantOnce makes sure that people see one of each, beside their command and its answer, which GitHub
// may have refused for good.
func (w *world) wantOnce(pr int, sha string, refused bool) {
	w.t.Helper()
	most, least := 3, 3
	if refused {
		least = 2
	}
	if n := len(comments(w.t, w, pr)); n > most || n < least {
		w.t.Errorf("%d comments, want ours, the command and its answer", n)
	}
	runs, err := w.github.CheckRuns(testRepo, sha)
	if err != nil || len(runs) != 1 {
		w.t.Errorf("%d check runs, %v", len(runs), err)
	}
	deployments, err := w.github.Deployments(testRepo)
	if err != nil || len(deployments) != 1 || deployments[0].State() != "success" {
		w.t.Errorf("deployments %+v, %v", deployments, err)
	}
}

// TestGitHubFaultLasts: while GitHub refuses or loses every report, the log says what it was and of
// what, the preview is made all the same, and nobody asks without end. When it is over there is one check.
func TestGitHubFaultLasts(t *testing.T) {
	t.Parallel()
	// "check runs" where they are looked for first, as after a report that was left out.
	of := regexp.MustCompile(`check runs? \\"Flaresmith / Preview\\" of acme/shop at `)
	tests := []struct {
		name   string
		fault  fault.Fault
		says   string
		passes bool // it is tried again by itself
	}{
		{"403", fault.Fault{Status: http.StatusForbidden, Body: `{"message":"Resource not accessible by integration"}`}, "GitHub answered 403: Resource not accessible by integration", false},
		{"404", fault.Fault{Status: http.StatusNotFound}, "not found", false},
		{"422", fault.Fault{Status: http.StatusUnprocessableEntity, Body: `{"message":"Validation Failed","errors":[{"resource":"CheckRun","field":"output","code":"custom","message":"too long"}]}`},
			"GitHub answered 422: Validation Failed; CheckRun output custom too long", false},
		{"500", fault.Fault{Status: http.StatusInternalServerError, Body: `{"message":"ghs_secret"}`}, "GitHub answered 500", true},
		{"502 with a page", fault.Fault{Status: http.StatusBadGateway, Body: "<html>ghs_secret</html>"}, "GitHub answered 502", true},
		{"429", github.RateLimited(http.StatusTooManyRequests, 30*time.Minute), "limit", true},
		{"primary limit", github.PrimaryLimited(time.Now().Add(30 * time.Minute)), "limit", true},
		{"dropped", fault.Fault{Drop: true}, "GitHub did not answer", true},
		{"done and dropped", fault.Fault{Drop: true, After: true}, "GitHub did not answer", true},
		{"garbage", fault.Fault{Status: http.StatusOK, Body: "<html>ghs_secret</html>"}, "GitHub did not answer", true},
		{"never in time", fault.Fault{Delay: time.Minute, Drop: true}, "GitHub did not answer", true},
	}
	for _, tt := range someOf(tests) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			calls := patient
			if tt.fault.Delay > 0 {
				calls = func(*outbound.Policy) {} // as a server waits
			}
			w := newWorldWith(t, sampleFiles(), nil, Options{StandIns: StandIns{Calls: calls}})
			w.settle()
			w.github.SetFaults(fault.OnRoute(checkRunsRoute, tt.fault))
			pr, sha := w.open("feature/one")
			w.until("it is in the log", func() bool {
				for line := range strings.Lines(w.log.String()) { // whatever else is told of a report on a busy machine
					if (strings.Contains(line, "report work") || strings.Contains(line, "publish report")) && of.MatchString(line) && strings.Contains(line, tt.says) {
						return true
					}
				}
				return false
			})
			w.until("the pass ended", func() bool { return !w.environment(pr).NextPassAt.IsZero() })
			got := w.environment(pr)
			if w.cloud.sha(got.Name) != sha {
				t.Error("the preview was not made")
			}
			if !tt.passes && got.NextPassAt.Before(time.Now().Add(5*time.Minute)) {
				t.Errorf("it is asked again at %s", got.NextPassAt)
			}
			if n := w.github.Counts()[checkRunsRoute]; n > 20 {
				t.Errorf("asked %d times", n)
			}
			w.github.SetFaults()
			if tt.name == "429" || tt.name == "primary limit" { // half an hour from now
				if got.NextPassAt.Before(time.Now().Add(time.Minute)) {
					t.Errorf("it is asked again at %s, before the limit ends", got.NextPassAt)
				}
				w.wantNoSecret("ghs_secret")
				return
			}
			if err := w.server.store.WantProject(t.Context(), got.ProjectID); err != nil {
				t.Fatal(err)
			}
			w.wantCheck(sha, "success")
			w.until("nothing is left to tell", func() bool { return w.environment(pr).Attempts == 0 })
			w.settle()
			w.wantOneOfEach(pr, sha)
			w.wantNoSecret("ghs_secret")
		})
	}
}
