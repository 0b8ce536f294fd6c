package telemetry

import (
	"context"
	"encoding/json"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// The keys by which a log line and a trace find each other.
const (
	KeyTraceID = "traceId"
	KeySpanID  = "spanId"
)

// handler redacts every line and adds the ids of the context's span.
type handler struct {
	next   slog.Handler
	redact *Redactor
}

// NewHandler puts redaction and trace ids before next.
func NewHandler(next slog.Handler, redact *Redactor) slog.Handler {
	return handler{next: next, redact: redact}
}

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.redact.Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		clean.AddAttrs(slog.String(KeyTraceID, span.TraceID().String()), slog.String(KeySpanID, span.SpanID().String()))
	}
	return h.next.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return handler{next: h.next.WithAttrs(clean), redact: h.redact}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{next: h.next.WithGroup(name), redact: h.redact}
}

func (h handler) attr(a slog.Attr) slog.Attr {
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindString:
		value = slog.StringValue(h.redact.Text(value.String()))
	case slog.KindDuration: // as people write it: JSON has nanoseconds
		value = slog.StringValue(value.Duration().String())
	case slog.KindGroup:
		members := value.Group()
		clean := make([]slog.Attr, len(members))
		for i, member := range members {
			clean[i] = h.attr(member)
		}
		value = slog.GroupValue(clean...)
	case slog.KindAny:
		value = h.any(value)
	}
	return slog.Attr{Key: h.redact.Text(a.Key), Value: value}
}

// any is the value itself, or its text where that has to be redacted.
func (h handler) any(value slog.Value) slog.Value {
	switch v := value.Any().(type) {
	case nil:
		return value
	case error:
		return slog.StringValue(h.redact.Text(v.Error()))
	case []byte:
		return slog.StringValue(h.redact.Text(string(v)))
	case *slog.Source: // what AddSource of an outer handler makes
		return value
	default:
		text := value.String() // as a text handler shows it
		shown, err := json.Marshal(v)
		if err == nil && h.redact.Text(text) == text && h.redact.Text(string(shown)) == string(shown) {
			return value
		}
		return slog.StringValue(h.redact.Text(text))
	}
}
