package main

import (
	"context"
	"time"

	"github.com/flaresmith/flaresmith/action/workflow"
)

// previewInterval is the time between two looks at a preview.
const previewInterval = 3 * time.Second

func stepPreview(ctx context.Context, step *workflow.Step) (workflow.Report, int, error) {
	timeout := step.Duration("timeout", 10*time.Minute)
	slug := step.Input("app-slug", "flaresmith")
	if err := step.CheckInputs(); err != nil {
		return workflow.Report{}, exitFailed, err
	}
	p, err := step.WaitForPreview(ctx, slug, timeout, previewInterval)
	if err != nil {
		return workflow.Report{}, exitFailed, err
	}
	r := workflow.Report{Status: string(p.State), Outputs: map[string]string{"preview-url": p.URL}}
	switch p.State {
	case workflow.PreviewReady:
		r.Passed, r.Title = true, "The preview is ready"
		r.Advice = "<" + p.URL + ">"
		return r, exitOK, nil
	case workflow.PreviewTimeout:
		r.Title = "The preview is " + p.Reason
	default:
		r.Title = "There is no preview of this commit: " + p.Reason
	}
	return r, exitFailed, nil
}
