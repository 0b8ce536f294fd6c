package github

import (
	"context"
	"errors"
	"fmt"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/report"
)

const maxDeploymentText = 140 // characters

// deployment brings the deployment of the commit up to date. GitHub's own auto_inactive passes
// over transient environments, so the ones that this one replaces are made inactive here: the
// last successful one stays active until a newer commit succeeds.
func (w *publisher) deployment(ctx context.Context, d *report.Deployment, updateOnly bool) error {
	if d == nil || (updateOnly && w.state.DeploymentID == 0) {
		return nil
	}
	want, err := digest(d)
	if err != nil || w.state.DeploymentDigest == want {
		return err
	}
	if d.State == "inactive" {
		err = w.retireAll(ctx, d)
	} else {
		err = w.deploy(ctx, d)
	}
	if err != nil {
		return err
	}
	w.state.DeploymentDigest = want
	return nil
}

// deploy writes the status of the commit's deployment, which is created where it is missing.
func (w *publisher) deploy(ctx context.Context, d *report.Deployment) error {
	if w.state.DeploymentID == 0 || w.state.DeploymentSHA != d.SHA {
		if err := w.placeDeployment(ctx, d); err != nil {
			return err
		}
	}
	err := w.setStatus(ctx, w.state.DeploymentID, d)
	if errors.Is(err, preview.ErrNotFound) { // a person deleted it
		w.state.DeploymentID = 0
		if err = w.placeDeployment(ctx, d); err == nil {
			err = w.setStatus(ctx, w.state.DeploymentID, d)
		}
	}
	if err != nil || d.State != "success" || w.state.ServingID == w.state.DeploymentID {
		return err
	}
	if err := w.retire(ctx, w.state.ServingID, d); err != nil {
		return err
	}
	w.state.ServingID = w.state.DeploymentID
	return nil
}

// placeDeployment finds the commit's deployment, which an interrupted report may have left, or
// creates it, and makes the one before inactive unless that serves.
func (w *publisher) placeDeployment(ctx context.Context, d *report.Deployment) error {
	id, err := int64(0), preview.ErrNotFound
	if !w.fresh {
		id, err = w.findDeployment(ctx, d)
	}
	if errors.Is(err, preview.ErrNotFound) {
		id, err = w.createDeployment(ctx, d)
	}
	if err != nil {
		return err
	}
	if before := w.state.DeploymentID; before != w.state.ServingID && before != id {
		if err := w.retire(ctx, before, d); err != nil {
			return err
		}
	}
	w.state.DeploymentID, w.state.DeploymentSHA, w.state.DeploymentDigest = id, d.SHA, ""
	return nil
}

func (w *publisher) findDeployment(ctx context.Context, d *report.Deployment) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, _, err := w.client.Repositories.ListDeployments(ctx, w.project.Owner, w.project.Name,
		&gh.DeploymentsListOptions{SHA: d.SHA, Environment: d.Environment, ListOptions: gh.ListOptions{PerPage: 1}})
	if err != nil {
		return 0, classify(err, w.deploymentName(d))
	}
	for _, found := range list {
		if found.GetSHA() == d.SHA && found.GetEnvironment() == d.Environment {
			return found.GetID(), nil
		}
	}
	return 0, preview.ErrNotFound
}

func (w *publisher) createDeployment(ctx context.Context, d *report.Deployment) (int64, error) {
	ctx, cancel, err := forWrite(ctx)
	if err != nil {
		return 0, err
	}
	defer cancel()
	core := preview.EnvironmentKind(d.Environment).Core()
	if !core && !preview.NamePattern.MatchString(d.Environment) || !fullSHA.MatchString(d.SHA) {
		return 0, fmt.Errorf("%s: not a name and commit of ours", w.deploymentName(d))
	}
	created, _, err := w.client.Repositories.CreateDeployment(ctx, w.project.Owner, w.project.Name, &gh.DeploymentRequest{
		Ref:                   gh.String(d.SHA),
		Environment:           gh.String(d.Environment),
		Description:           gh.String(clip(d.Description, maxDeploymentText)),
		AutoMerge:             gh.Bool(false),
		RequiredContexts:      &[]string{}, // else GitHub refuses while any check is pending
		TransientEnvironment:  gh.Bool(!core),
		ProductionEnvironment: gh.Bool(d.Environment == string(preview.EnvironmentProd)),
	})
	if err != nil {
		return 0, classify(err, w.deploymentName(d))
	}
	return created.GetID(), nil
}

func (w *publisher) setStatus(ctx context.Context, id int64, d *report.Deployment) error {
	ctx, cancel, err := forWrite(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	_, _, err = w.client.Repositories.CreateDeploymentStatus(ctx, w.project.Owner, w.project.Name, id, &gh.DeploymentStatusRequest{
		State: gh.String(d.State), Description: gh.String(clip(d.Description, maxDeploymentText)),
		EnvironmentURL: optional(d.URL), AutoInactive: gh.Bool(false)})
	return classify(err, w.deploymentName(d))
}

// retireAll makes every deployment of the preview that may be active inactive.
func (w *publisher) retireAll(ctx context.Context, d *report.Deployment) error {
	if w.state.ServingID != w.state.DeploymentID {
		if err := w.retire(ctx, w.state.ServingID, d); err != nil {
			return err
		}
	}
	w.state.ServingID = 0
	return w.retire(ctx, w.state.DeploymentID, d)
}

// retire makes one deployment inactive; none, or one that is gone, is no error.
func (w *publisher) retire(ctx context.Context, id int64, d *report.Deployment) error {
	if id == 0 {
		return nil
	}
	inactive := *d
	inactive.State, inactive.URL = "inactive", ""
	if d.State != "inactive" {
		inactive.Description = "A newer commit took its place."
	}
	if err := w.setStatus(ctx, id, &inactive); err != nil && !errors.Is(err, preview.ErrNotFound) {
		return err
	}
	return nil
}

func (w *publisher) deploymentName(d *report.Deployment) string {
	return fmt.Sprintf("deployment %s of %s at %.7s", clip(d.Environment, 60), w.project.FullName(), d.SHA)
}
