package main

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/action/workflow"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

func readsPreviews() *gh.InstallationPermissions {
	return &gh.InstallationPermissions{Deployments: gh.String("read"), Checks: gh.String("read")}
}

// wait waits for the pull request's preview, looking often.
func (p *project) wait(timeout time.Duration, permissions *gh.InstallationPermissions) (workflow.Preview, error) {
	p.t.Helper()
	environment := map[string]string{
		"GITHUB_REPOSITORY": "acme/shop", "GITHUB_API_URL": p.APIURL(), "GITHUB_EVENT_NAME": "pull_request", "INPUT_GITHUB_TOKEN": p.token(permissions),
		"GITHUB_EVENT_PATH": writeFile(p.t, filepath.Join(p.t.TempDir(), "event.json"), jsonText(p.t, p.event("acme/shop"))),
	}
	step, err := workflow.New(&bytes.Buffer{}, func(name string) string { return environment[name] })
	if err != nil {
		p.t.Fatal(err)
	}
	return step.WaitForPreview(p.t.Context(), "flaresmith", timeout, 100*time.Millisecond)
}

// checkRun is what the App writes on the pull request's head.
func (p *project) checkRun(status, conclusion, title string) {
	p.t.Helper()
	transport := p.transport(&gh.InstallationPermissions{Checks: gh.String("write")})
	client, err := gh.NewClient(&http.Client{Transport: transport, Timeout: 30 * time.Second}).WithEnterpriseURLs(p.URL(), p.URL())
	if err != nil {
		p.t.Fatal(err)
	}
	options := gh.CreateCheckRunOptions{Name: "Flaresmith / Preview", HeadSHA: p.head, Status: &status, Output: &gh.CheckRunOutput{Title: &title, Summary: &title}}
	if conclusion != "" {
		options.Conclusion = &conclusion
	}
	if _, _, err := client.Checks.CreateCheckRun(p.t.Context(), "acme", "shop", options); err != nil {
		p.t.Fatal(err)
	}
}

func TestWaitForPreview(t *testing.T) {
	t.Parallel()
	const address = "https://shop-pr-1.example.dev"
	const long, short = 5 * time.Minute, 3 * time.Second // long: it ends before
	tests := []struct {
		name    string
		prepare func(p *project)
		timeout time.Duration
		want    workflow.Preview
	}{
		{"ready", func(p *project) { p.deploy("success", "Ready", address) }, long, workflow.Preview{State: workflow.PreviewReady, URL: address}},
		{"failed", func(p *project) { p.deploy("failure", "Invalid: no Worker", "") }, long, workflow.Preview{State: workflow.PreviewFailed, Reason: "Invalid: no Worker"}},
		{"destroyed", func(p *project) { p.deploy("inactive", "Destroyed", "") }, long, workflow.Preview{State: workflow.PreviewFailed, Reason: "Destroyed"}},
		{"the check says why not", func(p *project) { p.checkRun("completed", "action_required", "Needs an approval") }, long,
			workflow.Preview{State: workflow.PreviewFailed, Reason: "Needs an approval"}},
		{"still at work", func(p *project) { p.checkRun("in_progress", "", "Working: database") }, short,
			workflow.Preview{State: workflow.PreviewTimeout, Reason: "not ready after 3s: Working: database"}},
		{"in progress", func(p *project) { p.deploy("in_progress", "Working", "") }, short,
			workflow.Preview{State: workflow.PreviewTimeout, Reason: "not ready after 3s: in_progress: Working"}},
		{"another pull request of this head", func(p *project) {
			p.number++
			p.deploy("success", "Ready", "https://shop-pr-2.example.dev")
			p.number--
		}, short, workflow.Preview{State: workflow.PreviewTimeout}},
		{"an outage on the way", func(p *project) {
			p.SetFaults(fault.Nth(1, 5, fault.OnRoute("GET /repos/{owner}/{repo}/deployments", fault.Fault{Status: http.StatusBadGateway})))
			p.deploy("success", "Ready", address)
		}, long, workflow.Preview{State: workflow.PreviewReady, URL: address}},
		{"no address", func(p *project) { p.deploy("success", "Ready", "javascript:alert(1)") }, long,
			workflow.Preview{State: workflow.PreviewFailed, Reason: "the preview has no address"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x\n")}}, map[string]string{"a.txt": "x\n"})
			tt.prepare(p)
			got, err := p.wait(tt.timeout, readsPreviews())
			// Where the first look takes longer than all of the time there is, it gets more.
			for more := 10 * tt.timeout; err == nil && tt.timeout == short && strings.Contains(got.Reason, "nothing was heard") && more < long; more *= 2 {
				got, err = p.wait(more, readsPreviews())
				tt.want.Reason = strings.Replace(tt.want.Reason, short.String(), more.String(), 1)
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.State == workflow.PreviewTimeout && tt.want.Reason == "" {
				tt.want.Reason = got.Reason
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWaitForPreviewAsItComes has the App at work while the step waits.
func TestWaitForPreviewAsItComes(t *testing.T) {
	t.Parallel()
	p := newProject(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x\n")}}, map[string]string{"a.txt": "x\n"})
	p.checkRun("in_progress", "", "Working")
	type end struct {
		preview workflow.Preview
		err     error
	}
	ended := make(chan end, 1)
	go func() {
		preview, err := p.wait(5*time.Minute, readsPreviews())
		ended <- end{preview, err}
	}()
	for asked := 0; asked < 3; { // it looks, and looks again
		asked = 0
		for _, r := range p.Requests() {
			if r.Route == "GET /repos/{owner}/{repo}/commits/{ref}/check-runs" {
				asked++
			}
		}
		select {
		case e := <-ended:
			t.Fatalf("ended early: %+v", e)
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.deploy("success", "Ready", "https://shop.example.dev")
	if e := <-ended; e.err != nil || e.preview.URL != "https://shop.example.dev" {
		t.Errorf("%+v", e)
	}
}

func TestWaitForPreviewWithoutPermission(t *testing.T) {
	t.Parallel()
	p := newProject(t, fstest.MapFS{"README.md": &fstest.MapFile{Data: []byte("x\n")}}, map[string]string{"a.txt": "x\n"})
	if _, err := p.wait(5*time.Minute, &gh.InstallationPermissions{Checks: gh.String("read")}); err == nil || !strings.Contains(err.Error(), "deployments: read") {
		t.Errorf("got %v", err)
	}
	p.deploy("success", "Ready", "https://shop.example.dev")
	if got, err := p.wait(5*time.Minute, &gh.InstallationPermissions{Deployments: gh.String("read")}); err != nil || got.State != workflow.PreviewReady {
		t.Errorf("%+v, %v", got, err)
	}
}
