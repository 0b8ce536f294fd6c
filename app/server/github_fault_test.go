package server

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

// TestGitHubFaults lets the first request of every write fail in each way there is. What people
// see must come to be all the same, once.
func TestGitHubFaults(t *testing.T) {
	t.Parallel()
	routes := []string{
		"POST /repos/{owner}/{repo}/check-runs", "PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}",
		"POST /repos/{owner}/{repo}/issues/{issue_number}/comments", "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
		"POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
		"POST /repos/{owner}/{repo}/deployments", "POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
		"POST /app/installations/{installation_id}/access_tokens",
	}
	tests := []struct {
		name  string
		fault github.Fault
	}{
		{"500", github.Fault{Status: http.StatusInternalServerError}},
		{"502 with a page", github.Fault{Status: http.StatusBadGateway, Body: "<html>bad gateway</html>"}},
		{"rate limited", github.RateLimited(http.StatusForbidden, time.Second)},
		{"too many", github.RateLimited(http.StatusTooManyRequests, time.Second)},
		{"dropped", github.Fault{Drop: true}},
		{"done and dropped", github.Fault{Drop: true, After: true}},
		{"done and 500", github.Fault{Status: http.StatusInternalServerError, After: true}},
		{"slow", github.Fault{Delay: 2 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sampleFiles(), nil)
			w.settle()
			var rules []github.Rule
			for _, route := range routes {
				rules = append(rules, github.Nth(1, 1, github.OnRoute(route, tt.fault)))
			}
			w.github.SetFaults(rules...)
			pr, sha := w.open("feature/one")
			w.wantCheck(sha, "success")
			if _, err := w.github.Comment(testRepo, pr, "octo-dev", "/flaresmith status"); err != nil {
				t.Fatal(err)
			}
			w.until("the command is answered", func() bool { return len(comments(t, w, pr)) >= 3 })
			w.until("nothing is left to tell", func() bool {
				e := w.environment(pr)
				return e.Wanted == e.Observed && e.Attempts == 0
			})
			w.settle()
			if list := comments(t, w, pr); len(list) != 3 {
				t.Errorf("%d comments, want ours, the command and its answer", len(list))
			}
			runs, err := w.github.CheckRuns(testRepo, sha)
			if err != nil || len(runs) != 1 {
				t.Errorf("%d check runs, %v", len(runs), err)
			}
			deployments, err := w.github.Deployments(testRepo)
			if err != nil || len(deployments) != 1 || deployments[0].State() != "success" {
				t.Errorf("deployments %+v, %v", deployments, err)
			}
			for _, c := range comments(t, w, pr) {
				for _, secret := range []string{"hunter2", testSecret, "ghs_", "PRIVATE KEY", "bad gateway"} {
					if strings.Contains(c.Body, secret) {
						t.Errorf("a comment holds %q:\n%s", secret, c.Body)
					}
				}
			}
			w.github.SetFaults()
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
