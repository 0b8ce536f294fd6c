package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	prometheusbridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/telemetry"
)

const (
	requestTimeout = 10 * time.Second // of one request to the collector, its repetitions included
	spansEvery     = 2 * time.Second
	metricsEvery   = 30 * time.Second
	queued         = 4096 // spans that wait for a request; more are dropped
	batch          = 512
	maxText        = 256 // bytes of one attribute
)

// Config is where traces and metrics go.
type Config struct {
	// Endpoint is the collector's base URL; v1/traces and v1/metrics are below it. Empty: nothing is
	// recorded and nothing sent.
	Endpoint string
	Headers  map[string]preview.Secret // of every request to it
	Service  string                    // how the server names itself
	Share    float64                   // of the traces, 0 to 1, that are sent though nothing is special about them
	Metrics  prometheus.Gatherer       // sent too; nil: none
	Logger   *slog.Logger
}

// Exporter sends traces and metrics. It is safe for concurrent use.
type Exporter struct {
	traces  *sdktrace.TracerProvider // nil: off
	metrics *metric.MeterProvider    // nil: off
}

// New makes an exporter, and calls nobody yet.
func New(ctx context.Context, c Config) (*Exporter, error) {
	if c.Endpoint == "" {
		return &Exporter{}, nil
	}
	base, err := url.Parse(c.Endpoint)
	if err != nil { // the error would quote the address
		return nil, errors.New("OTLP endpoint: not a URL")
	}
	about := resource.NewSchemaless(attribute.String("service.name", c.Service))
	e := &Exporter{}
	if e.traces, err = newTraces(ctx, c, base.JoinPath("v1", "traces").String(), about); err != nil {
		return nil, fmt.Errorf("OTLP traces: %w", err)
	}
	if c.Metrics == nil {
		return e, nil
	}
	if e.metrics, err = newMetrics(ctx, c, base.JoinPath("v1", "metrics").String(), about); err != nil {
		return nil, fmt.Errorf("OTLP metrics: %w", err)
	}
	return e, nil
}

// newTraces states every option that OpenTelemetry would otherwise read from the environment.
func newTraces(ctx context.Context, c Config, endpoint string, about *resource.Resource) (*sdktrace.TracerProvider, error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint), otlptracehttp.WithHeaders(revealed(c.Headers)),
		otlptracehttp.WithTimeout(requestTimeout), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: requestTimeout}))
	if err != nil {
		return nil, err
	}
	queue := sdktrace.NewBatchSpanProcessor(&spans{SpanExporter: exporter, outcome: outcome{logger: c.Logger, what: "traces"}},
		sdktrace.WithBatchTimeout(spansEvery), sdktrace.WithExportTimeout(requestTimeout),
		sdktrace.WithMaxQueueSize(queued), sdktrace.WithMaxExportBatchSize(batch))
	return sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithSpanProcessor(newTail(queue)),
		sdktrace.WithSampler(recordAll{sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Share))}),
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{AttributeValueLengthLimit: maxText, AttributeCountLimit: 32, EventCountLimit: 16,
			LinkCountLimit: 16, AttributePerEventCountLimit: 8, AttributePerLinkCountLimit: 8})), nil
}

func newMetrics(ctx context.Context, c Config, endpoint string, about *resource.Resource) (*metric.MeterProvider, error) {
	exporter, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(endpoint), otlpmetrichttp.WithHeaders(revealed(c.Headers)),
		otlpmetrichttp.WithTimeout(requestTimeout), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: requestTimeout}))
	if err != nil {
		return nil, err
	}
	reader := metric.NewPeriodicReader(&points{Exporter: exporter, outcome: outcome{logger: c.Logger, what: "metrics"}},
		metric.WithInterval(metricsEvery), metric.WithTimeout(requestTimeout),
		metric.WithProducer(prometheusbridge.NewMetricProducer(prometheusbridge.WithGatherer(c.Metrics))))
	return metric.NewMeterProvider(metric.WithResource(about), metric.WithReader(reader)), nil
}

// Tracer begins traces; where nothing is sent, its spans do nothing.
func (e *Exporter) Tracer() trace.Tracer {
	if e.traces == nil {
		return noop.NewTracerProvider().Tracer(telemetry.Scope)
	}
	return e.traces.Tracer(telemetry.Scope)
}

// Shutdown sends what is left until ctx ends, and then forgets it. Call it once.
func (e *Exporter) Shutdown(ctx context.Context) {
	var group sync.WaitGroup
	if e.traces != nil {
		group.Go(func() { _ = e.traces.Shutdown(ctx) }) // a failure is logged by outcome
	}
	if e.metrics != nil {
		group.Go(func() { _ = e.metrics.Shutdown(ctx) })
	}
	group.Wait()
}

func revealed(secrets map[string]preview.Secret) map[string]string {
	headers := make(map[string]string, len(secrets))
	for name, value := range secrets {
		headers[name] = value.Reveal()
	}
	return headers
}

// outcome tells the log when sending begins to fail and when it works again, not each time. Nobody
// else hears of a failure: OpenTelemetry would print it.
type outcome struct {
	logger  *slog.Logger
	what    string
	failing atomic.Bool
}

func (o *outcome) of(ctx context.Context, err error) {
	switch {
	case err != nil && !o.failing.Swap(true):
		o.logger.WarnContext(ctx, "telemetry is not received", slog.String("what", o.what), slog.Any("error", err))
	case err == nil && o.failing.Swap(false):
		o.logger.InfoContext(ctx, "telemetry is received again", slog.String("what", o.what))
	}
}

// spans is an exporter of spans with an outcome.
type spans struct {
	sdktrace.SpanExporter
	outcome
}

// ExportSpans implements sdktrace.SpanExporter.
func (s *spans) ExportSpans(ctx context.Context, list []sdktrace.ReadOnlySpan) error {
	s.of(ctx, s.SpanExporter.ExportSpans(ctx, list))
	return nil
}

// points is an exporter of metrics with an outcome.
type points struct {
	metric.Exporter
	outcome
}

// Export implements metric.Exporter.
func (p *points) Export(ctx context.Context, metrics *metricdata.ResourceMetrics) error {
	p.of(ctx, p.Exporter.Export(ctx, metrics))
	return nil
}
