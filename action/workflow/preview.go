package workflow

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	gh "github.com/google/go-github/v62/github"
)

// previewCheck is the name of the App's check run on a pull request's commit.
const previewCheck = "Flaresmith / Preview"

// Preview is how waiting for one ended.
type Preview struct {
	State  PreviewState
	URL    string // of a preview that is ready
	Reason string // of any other
}

// PreviewState says how a preview is.
type PreviewState string

// The states.
const (
	PreviewReady   PreviewState = "ready"
	PreviewFailed  PreviewState = "failed"  // there is none of this commit, and without a change there will be none
	PreviewTimeout PreviewState = "timeout" // it may still come
	previewWaiting PreviewState = ""
)

// WaitForPreview waits until the App whose slug is given has deployed the head of the event's pull request, or
// said why it has not. interval is the time between two looks.
func (s *Step) WaitForPreview(ctx context.Context, slug string, timeout, interval time.Duration) (Preview, error) {
	if s.Event.Pull == nil {
		return Preview{}, fmt.Errorf("%s is no event of a pull request: there is no preview to wait for", s.Event.Name)
	}
	client, err := s.client()
	if err != nil {
		return Preview{}, fmt.Errorf("%w: waiting for a preview needs one that may read checks and deployments", err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	w := &watch{client: client, slug: slug, commit: s.Event.Head, number: s.Event.Pull.Number}
	w.owner, w.repository = s.context.Repo()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for said := "nothing was heard of it"; ; {
		seen, err := w.look(ctx)
		news := w.news
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded): // maybe in the midst of a look
			return Preview{State: PreviewTimeout, Reason: fmt.Sprintf("not ready after %s: %s", timeout, said)}, nil
		case err != nil && ctx.Err() == nil && passing(err):
			news = tellable(err) // an outage is waited out
		case err != nil:
			return Preview{}, err
		case seen.State != previewWaiting:
			return seen, nil
		}
		if news != said {
			said = news
			s.Logf("waiting: %s", said)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// watch is what is looked at again and again.
type watch struct {
	client                  *gh.Client
	owner, repository, slug string
	commit                  string
	number                  int    // of the pull request
	news                    string // what was seen, for whoever waits
	blind                   bool   // the token may not read checks
}

const newsBlind = "no deployment is there yet, and the token may not read checks, which say why: give the job checks: read"

// look asks once. The deployment has the address; the check run has the reason if there will be none.
func (w *watch) look(ctx context.Context) (Preview, error) {
	w.news = "nothing is heard of a preview of " + w.commit[:min(7, len(w.commit))] + " yet; is the App installed?"
	if w.blind {
		w.news = newsBlind
	}
	seen, err := w.deployment(ctx)
	if err != nil || seen.State != previewWaiting || w.blind {
		return seen, err
	}
	run, err := w.check(ctx)
	switch {
	case refused(err):
		w.blind, w.news = true, newsBlind
		return seen, nil
	case err != nil || run == nil:
		return seen, err
	}
	w.news = run.GetOutput().GetTitle()
	switch {
	case run.GetStatus() != "completed":
		return seen, nil
	case run.GetConclusion() == "success":
		w.news = "the check is green, the deployment is not there yet"
		return seen, nil
	}
	return Preview{State: PreviewFailed, Reason: w.news}, nil
}

// deployment looks for the commit's deployment of a pull request.
func (w *watch) deployment(ctx context.Context) (Preview, error) {
	var list []*gh.Deployment
	err := read(ctx, func(ctx context.Context) (err error) {
		list, _, err = w.client.Repositories.ListDeployments(ctx, w.owner, w.repository, &gh.DeploymentsListOptions{SHA: w.commit, ListOptions: gh.ListOptions{PerPage: 100}})
		return err
	})
	if refused(err) {
		return Preview{}, errors.New("the token may not read deployments: give the job `deployments: read`")
	} else if err != nil {
		return Preview{}, err
	}
	for _, d := range list {
		if d.GetSHA() != w.commit || d.GetCreator().GetLogin() != w.slug+"[bot]" {
			continue
		}
		// Two pull requests can have one head; ADR 3 says how environments are called.
		if name := d.GetEnvironment(); strings.HasPrefix(name, "preview-") && strings.HasSuffix(name, fmt.Sprintf("-pr-%d", w.number)) {
			return w.status(ctx, d)
		}
	}
	return Preview{}, nil
}

// status reads the newest status of a deployment.
func (w *watch) status(ctx context.Context, d *gh.Deployment) (Preview, error) {
	var list []*gh.DeploymentStatus
	err := read(ctx, func(ctx context.Context) (err error) {
		list, _, err = w.client.Repositories.ListDeploymentStatuses(ctx, w.owner, w.repository, d.GetID(), &gh.ListOptions{PerPage: 1})
		return err
	})
	if err != nil || len(list) == 0 {
		return Preview{}, err
	}
	status := list[0]
	w.news = strings.TrimSpace(status.GetState() + ": " + status.GetDescription())
	switch status.GetState() {
	case "success":
		if address, err := url.Parse(status.GetEnvironmentURL()); err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
			return Preview{State: PreviewFailed, Reason: "the preview has no address"}, nil
		}
		return Preview{State: PreviewReady, URL: status.GetEnvironmentURL()}, nil
	case "failure", "error", "inactive":
		return Preview{State: PreviewFailed, Reason: status.GetDescription()}, nil
	}
	return Preview{}, nil
}

// check is the newest run of the App's check, or nil.
func (w *watch) check(ctx context.Context) (*gh.CheckRun, error) {
	var list *gh.ListCheckRunsResults
	err := read(ctx, func(ctx context.Context) (err error) {
		list, _, err = w.client.Checks.ListCheckRunsForRef(ctx, w.owner, w.repository, w.commit, &gh.ListCheckRunsOptions{CheckName: gh.String(previewCheck)})
		return err
	})
	if err != nil {
		return nil, err
	}
	var newest *gh.CheckRun
	for _, run := range list.CheckRuns {
		if run.GetApp().GetSlug() == w.slug && run.GetID() > newest.GetID() {
			newest = run
		}
	}
	return newest, nil
}
