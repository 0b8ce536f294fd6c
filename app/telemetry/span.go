package telemetry

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Scope is the name of the tracer.
const Scope = "github.com/flaresmith/flaresmith"

const traceparent = "traceparent"

// Start begins a span below that of ctx; where nothing is traced, it gives ctx back and a span that
// does nothing. Attributes must be ids, numbers and names of ours: no texts of a pull request or of an
// outside system.
func Start(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, trace.SpanFromContext(context.Background())
	}
	return parent.TracerProvider().Tracer(Scope).Start(ctx, name, trace.WithAttributes(attributes...))
}

// End ends a span. Of an error it tells the class only: its text may quote what is hostile or secret. What
// was given up has not failed.
func End(span trace.Span, err error) {
	if err != nil && !errors.Is(err, context.Canceled) && span.IsRecording() {
		span.SetStatus(codes.Error, string(preview.Classify(err)))
	}
	span.End()
}

// Traceparent is the W3C header of the span in ctx; empty: there is none.
func Traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[traceparent]
}

// Follow makes the span that a Traceparent told of the parent of the next one. What is no
// traceparent changes nothing.
func Follow(ctx context.Context, parent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceparent: parent})
}
