package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/flaresmith/flaresmith/app/plan"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

// Observer is told of what passes do, for metrics. Its methods are safe for concurrent use.
type Observer interface {
	// Moved is called when an environment's state was saved and is another one than before.
	Moved(from, to preview.State)
	// Stepped is called after each step of a plan.
	Stepped(s plan.Step, ok bool, took time.Duration)
	// Failed is called when a pass ended in an error; see failure.
	Failed(code, severity string)
}

// span runs one stage of a pass in a span of its own. That something newer is wanted is no failure.
func span(ctx context.Context, name string, do func(context.Context) error, attributes ...attribute.KeyValue) error {
	ctx, s := telemetry.Start(ctx, name, attributes...)
	err := do(ctx)
	if errors.Is(err, errSuperseded) {
		telemetry.End(s, nil)
	} else {
		telemetry.End(s, err)
	}
	return err
}

// about are the attributes of a pass's span.
func (p *pass) about() []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("project.id", p.env.ProjectID), attribute.String("environment.id", p.env.ID),
		attribute.String("environment", p.env.Name), attribute.Int("pr", p.env.PR), attribute.Int64("wanted", p.env.Wanted)}
}

// log is the logger of a pass.
func (p *pass) log() *slog.Logger {
	return p.Logger.With(slog.String("projectId", p.env.ProjectID), slog.String("environmentId", p.env.ID), slog.String("environment", p.env.Name))
}

// saveEnvironment writes the row, and tells when its state is another one.
func (p *pass) saveEnvironment(ctx context.Context) error {
	if err := p.Store.SaveEnvironment(ctx, p.lease, p.env); err != nil {
		return storeError("save environment", err)
	}
	if p.env.State != p.saved {
		p.Observer.Moved(p.saved, p.env.State)
		p.saved = p.env.State
	}
	return nil
}

// uncalled is the outside system that was not called because its calls fail too often; empty: the error is another one.
func uncalled(err error) string {
	var open interface{ Uncalled() string }
	if errors.As(err, &open) {
		return open.Uncalled()
	}
	return ""
}

// failure is an error of a pass as a metric and the log name it: a code of few, and its severity.
func failure(err error) (code, severity string) {
	switch preview.Classify(err) {
	case preview.ClassInvalid:
		return "ENV_PREVIEW_INVALID", "info"
	case preview.ClassApproval:
		return "ENV_APPROVAL_REQUIRED", "info"
	case preview.ClassTransient:
		if system := uncalled(err); system != "" {
			return "INTEGRATION_" + strings.ToUpper(system) + "_UNAVAILABLE", "warn"
		}
		return "INTEGRATION_UNAVAILABLE", "warn"
	case preview.ClassConflict:
		return "INTEGRATION_CONFLICT", "error"
	case preview.ClassNotFound:
		return "INTEGRATION_NOT_FOUND", "error"
	default:
		return "INTERNAL_ERROR", "error"
	}
}
