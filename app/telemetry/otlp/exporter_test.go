package otlp_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/telemetry/otlp"
	"github.com/flaresmith/flaresmith/app/telemetry/otlp/otlptest"
)

// lines is a log that a test can read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

func open(t *testing.T, c otlp.Config, log *lines) *otlp.Exporter {
	t.Helper()
	c.Logger = slog.New(slog.NewTextHandler(log, nil))
	e, err := otlp.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// work makes a failing trace of two spans.
func work(e *otlp.Exporter) {
	ctx, root := e.Tracer().Start(context.Background(), "root", trace.WithAttributes(attribute.String("long", strings.Repeat("x", 10_000))))
	_, step := e.Tracer().Start(ctx, "step")
	step.SetStatus(codes.Error, "transient")
	step.End()
	root.End()
}

func TestExport(t *testing.T) {
	t.Parallel()
	receiver := otlptest.New(t)
	registry := prometheus.NewRegistry()
	passes := prometheus.NewCounter(prometheus.CounterOpts{Name: "passes_total", Help: "Passes."})
	registry.MustRegister(passes)
	passes.Inc()
	var log lines
	e := open(t, otlp.Config{Endpoint: receiver.URL + "/", Service: "flaresmith", Metrics: registry,
		Headers: map[string]preview.Secret{"api-key": "hush-hush"}}, &log)
	work(e)
	_, quick := e.Tracer().Start(t.Context(), "quick") // nothing special, and no share
	quick.End()
	e.Shutdown(t.Context())

	var got []string
	for _, s := range receiver.Spans() {
		got = append(got, s.GetName())
		for _, a := range s.GetAttributes() {
			if n := len(a.GetValue().GetStringValue()); n > 256 {
				t.Errorf("attribute %s has %d bytes", a.GetKey(), n)
			}
		}
	}
	if slices.Sort(got); !slices.Equal(got, []string{"root", "step"}) {
		t.Errorf("spans %v", got)
	}
	if !receiver.HasMetric("passes_total") {
		t.Error("the registry was not sent")
	}
	for _, h := range receiver.Headers() {
		if h.Get("Api-Key") != "hush-hush" {
			t.Error("a request without its header")
		}
	}
	for _, body := range receiver.Bodies() {
		if !bytes.Contains(body, []byte("flaresmith")) {
			t.Error("a request without the service's name")
		}
	}
}

// A collector that does not answer keeps nobody waiting, and the log hears of it once.
func TestCollectorIsNotThere(t *testing.T) {
	t.Parallel()
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = down.Close()
	slow := otlptest.New(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	slow.Answer(func(r *http.Request) int {
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return http.StatusServiceUnavailable
	})
	refusing := otlptest.New(t)
	refusing.Answer(func(*http.Request) int { return http.StatusForbidden })
	for name, endpoint := range map[string]string{"down": "http://" + down.Addr().String(), "slow": slow.URL, "refusing": refusing.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lines
			e := open(t, otlp.Config{Endpoint: endpoint, Service: "x", Metrics: prometheus.NewRegistry()}, &log)
			began := time.Now()
			for range 5000 { // far more than the queue holds; who waited for the collector would need minutes
				work(e)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("the work took %s", took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began = time.Now()
			e.Shutdown(ctx)
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("the end took %s", took)
			}
			if n := log.count("telemetry is not received"); n > 2 { // traces and metrics
				t.Errorf("the log tells it %d times", n)
			}
		})
	}
}

// Without a collector nothing is recorded.
func TestOff(t *testing.T) {
	t.Parallel()
	var log lines
	e := open(t, otlp.Config{Service: "x", Metrics: prometheus.NewRegistry()}, &log)
	_, span := e.Tracer().Start(t.Context(), "root")
	if span.IsRecording() || span.SpanContext().IsValid() {
		t.Error("a span is recorded")
	}
	e.Shutdown(t.Context())
}
