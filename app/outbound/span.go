package outbound

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

const tracerName = "github.com/flaresmith/flaresmith/app/outbound"

// span begins the span of one attempt, until its answer's head, below the caller's; where the caller
// has none it does nothing. Like a metric's labels, its attributes are few values of ours: no
// address, whose path holds names and whose query may hold a token.
func (c *call) span(ctx context.Context) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, parent
	}
	p := &c.t.policy
	operation := p.Operation(c.request)
	return parent.TracerProvider().Tracer(tracerName).Start(ctx, p.Provider+" "+operation, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("provider", p.Provider), attribute.String("operation", operation),
			attribute.String("http.request.method", method(c.request)), attribute.Int("attempt", c.number)))
}

// tell says how an attempt ended. A status below 500 is no failure here: whether it is one, the
// caller knows.
func tell(span trace.Span, answer *http.Response, result Result) {
	if !span.IsRecording() {
		return
	}
	if answer != nil {
		span.SetAttributes(attribute.Int("http.response.status_code", answer.StatusCode))
	}
	span.SetAttributes(attribute.String("result", string(result)))
	if answer == nil && result != Canceled || answer != nil && answer.StatusCode >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, string(result))
	}
}
