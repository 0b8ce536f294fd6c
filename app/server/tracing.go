package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/tidwall/gjson"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/store"
	"github.com/flaresmith/flaresmith/app/telemetry"
	"github.com/flaresmith/flaresmith/app/telemetry/otlp"
)

// newExporter sends traces and the scraped metrics to where the operator says.
func (s *Server) newExporter(ctx context.Context, c config.Config) (*otlp.Exporter, error) {
	headers, err := c.Headers()
	if err != nil {
		return nil, err
	}
	return otlp.New(ctx, otlp.Config{Endpoint: c.OTLPEndpoint, Headers: headers, Service: c.ServiceName, Share: c.TraceShare,
		Metrics: s.metrics.registry, Logger: s.logger})
}

// jobSpans gives each job a span, below the one in which the job was wanted.
type jobSpans struct {
	river.MiddlewareDefaults
	tracer trace.Tracer
}

var errJobPanicked = errors.New("job panicked")

// Work implements rivertype.WorkerMiddleware.
func (m *jobSpans) Work(ctx context.Context, job *rivertype.JobRow, do func(context.Context) error) error {
	ctx = telemetry.Follow(ctx, gjson.GetBytes(job.Metadata, store.TraceKey).String())
	ctx, span := m.tracer.Start(ctx, "job "+job.Kind, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("queue", job.Queue), attribute.Int64("job", job.ID), attribute.Int("attempt", job.Attempt)))
	err := errJobPanicked
	defer func() { telemetry.End(span, jobFailure(err)) }()
	err = do(ctx)
	return err
}

// jobFailure is an error that is one: a job that comes back later by its own will has not failed.
func jobFailure(err error) error {
	var snooze *rivertype.JobSnoozeError
	if errors.As(err, &snooze) {
		return nil
	}
	return err
}

// startRequest begins the span of a request, and always a trace of our own: what a stranger's traceparent
// says is linked, and decides nothing.
func startRequest(tracer trace.Tracer, r *http.Request, name string) (context.Context, trace.Span) {
	options := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer)}
	if header := r.Header.Get("Traceparent"); header != "" {
		theirs := trace.SpanContextFromContext(telemetry.Follow(context.Background(), header))
		if theirs.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: theirs}))
		}
	}
	return tracer.Start(r.Context(), name, options...)
}

// requestSpans gives requests a span, but for deliveries, which come by the thousands, and probes.
func requestSpans(tracer trace.Tracer) gin.HandlerFunc {
	return func(c *gin.Context) {
		switch c.FullPath() {
		case "", hookPath, "/healthz", "/readyz":
			return
		}
		ctx, span := startRequest(tracer, c.Request, c.Request.Method+" "+c.FullPath())
		defer func() { telemetry.End(span, nil) }() // not by span.End itself, which would tell of a panic's value
		c.Request = c.Request.WithContext(ctx)
		c.Next()
		span.SetAttributes(attribute.Int("http.response.status_code", c.Writer.Status()))
		if c.Writer.Status() >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	}
}

// traced gives requests a span of that name.
func traced(tracer trace.Tracer, name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := startRequest(tracer, r, name)
		defer func() { telemetry.End(span, nil) }()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
