package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/telemetry"
	"github.com/flaresmith/flaresmith/app/telemetry/otlp"
	"github.com/flaresmith/flaresmith/app/telemetry/otlp/otlptest"
)

// strangers is a traceparent that asks to be sampled.
const strangers = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// lineage is the names of a span and of what it is below, from the outermost.
func lineage(spans []*tracepb.Span, s *tracepb.Span) []string {
	list := []string{s.GetName()}
	for _, parent := range spans {
		if bytes.Equal(parent.GetSpanId(), s.GetParentSpanId()) {
			return append(lineage(spans, parent), list...)
		}
	}
	return list
}

// One trace leads from a delivery over the job that it wanted to the pass, its stages and its calls, which
// GitHub is told of; and the log's lines name it.
func TestTraceOfAPass(t *testing.T) {
	t.Parallel()
	receiver := otlptest.New(t)
	w := newWorld(t, sampleFiles(), map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL, "OTEL_TRACES_SAMPLER_ARG": "1"})
	var mu sync.Mutex
	told := map[string]bool{}
	w.github.SetFaults(func(r *http.Request) *fault.Fault {
		mu.Lock()
		defer mu.Unlock()
		told[r.Header.Get("Traceparent")] = true
		return nil
	})
	failing := errors.New("disk is full")
	w.cloud.fail(func(_ context.Context, _ string, r preview.Resource) error {
		if r.Kind == preview.KindCollection {
			return failing
		}
		return nil
	})
	_, sha := w.open("feature/traced")
	w.wantCheck(sha, "failure")
	w.settle()
	w.stop()

	spans := receiver.Spans()
	got := map[string]bool{}
	known := map[string]bool{}
	for _, s := range spans {
		got[strings.Join(lineage(spans, s), " > ")] = true
		known["00-"+hex.EncodeToString(s.GetTraceId())+"-"+hex.EncodeToString(s.GetSpanId())+"-01"] = true
	}
	pass := "job deliver > delivery > job reconcile > pass"
	for _, want := range []string{
		pass + " > facts > fact pull request > github GET pulls",
		pass + " > facts > fact policy > github GET contents",
		pass + " > facts > fact changed files > github GET files",
		pass + " > commands", pass + " > plan", pass + " > record",
		pass + " > observe > observe database",
		pass + " > act > step source > github GET tarball",
		pass + " > act > step bundle", pass + " > act > step database", pass + " > act > step schema", pass + " > act > step worker",
		pass + " > act > step collection",
		pass + " > publish > publish check > github PATCH check-runs",
		pass + " > publish > publish comment > github PATCH comments",
		pass + " > publish > publish deployment > github POST statuses",
	} {
		if !got[want] {
			t.Errorf("no span %s", want)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(slices.Sorted(func(yield func(string) bool) {
			for line := range got {
				if !yield(line) {
					return
				}
			}
		}), "\n"))
	}
	mu.Lock()
	defer mu.Unlock()
	for parent := range told {
		if !known[parent] {
			t.Errorf("GitHub was told of %q, which is no span", parent)
		}
	}
	wantFailedStep(t, w, spans)
}

// wantFailedStep looks for the failed step: marked in the trace by its class, and told in the log, where both
// ids are the trace's.
func wantFailedStep(t *testing.T, w *world, spans []*tracepb.Span) {
	t.Helper()
	traces := map[string]bool{}
	for _, s := range spans {
		if s.GetName() == "step collection" {
			traces[hex.EncodeToString(s.GetTraceId())] = true
			if s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || s.GetStatus().GetMessage() != "permanent" {
				t.Errorf("status of the failed step: %v", s.GetStatus())
			}
		}
	}
	for line := range strings.Lines(w.log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("not JSON: %s", line)
		}
		if fields["msg"] != "pass failed" {
			continue
		}
		if trace, _ := fields["traceId"].(string); !traces[trace] || fields["code"] != "INTERNAL_ERROR" || fields["environmentId"] == nil ||
			fields["projectId"] == nil || fields["durationMs"] == nil || fields["spanId"] == nil {
			t.Errorf("the log's line: %s", line)
		}
		return
	}
	t.Error("the log does not tell of the failure")
}

// Tokens are planted wherever a pull request, a provider or the operator can put one; none is in what is sent
// to the collector or logged at any level.
func TestTelemetryHoldsNoSecrets(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	const token, personal, jwt, bearer = "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "github_pat_11ABCDEFG0abcdefghijkl_mnopqrst",
		"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiI3In0.c2lnbmF0dXJl", "cGxhbnRlZC1iZWFyZXItdG9rZW4"
	receiver := otlptest.New(t)
	w := newWorld(t, sampleFiles(), map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL, "OTEL_TRACES_SAMPLER_ARG": "1",
		"OTEL_EXPORTER_OTLP_HEADERS": "api-key=planted-collector-key", "FLARESMITH_LINK_KEY": strings.Repeat("planted-link-key", 3)})
	w.cloud.fail(func(_ context.Context, _ string, r preview.Resource) error {
		if r.Kind == preview.KindCollection {
			return fmt.Errorf("POST postgres://role:hunter2@db/x: Authorization: Bearer %s: %s: %s: %s", bearer, token, w.config["GITHUB_APP_PRIVATE_KEY"], testSecret)
		}
		return nil
	})
	branch := "feature/" + token
	sha := w.push(branch, "text of "+jwt)
	if _, err := w.github.OpenPR(testRepo, "Title "+personal, branch, "", "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(sha, "failure")
	w.settle()
	for _, path := range []string{"/projects/" + token + "/environments?t=" + jwt, "/" + token} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+bearer)
		request.Header.Set("Traceparent", strangers)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	w.server.logger.Error(personal, "any", []string{jwt}, slog.Group("g", "url", "postgres://role:hunter2@db/x"))
	w.stop()

	if len(receiver.Spans()) == 0 || !receiver.HasMetric("provision_duration_seconds") || !strings.Contains(w.log.String(), "pass failed") {
		t.Fatal("nothing was sent or logged, so nothing is proved")
	}
	bodies := bytes.Join(receiver.Bodies(), nil)
	for _, secret := range []string{token, personal, jwt, bearer, "hunter2", testSecret, "PRIVATE KEY", "planted-collector-key", "planted-link-key"} {
		if bytes.Contains(bodies, []byte(secret)) {
			t.Errorf("the collector was sent %s", secret)
		}
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
}

// A collector that is down keeps no pass and no end of the server.
func TestCollectorIsDown(t *testing.T) {
	t.Parallel()
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = down.Close()
	w := newWorld(t, sampleFiles(), map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + down.Addr().String(), "OTEL_TRACES_SAMPLER_ARG": "1"})
	_, sha := w.open("feature/untold")
	w.wantCheck(sha, "success")
	w.settle()
	began := time.Now()
	w.stop()
	if took := time.Since(began); took > 2*drainTimeout {
		t.Errorf("the server took %s to stop", took)
	}
	if n := strings.Count(w.log.String(), "telemetry is not received"); n > 2 {
		t.Errorf("the log tells it %d times", n)
	}
}

// A stranger's trace is linked and decides nothing; the answer and the log name ours.
func TestStrangersTrace(t *testing.T) {
	t.Parallel()
	var log logLines
	logger := slog.New(telemetry.NewHandler(slog.NewJSONHandler(&log, nil), telemetry.NewRedactor()))
	ended := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended)).Tracer("")
	absent := newAbsent(&names{err: errors.New("the database is gone")}, "localhost", logger)
	answer := askAbsent(traced(tracer, "absent preview", absent), "preview-k7xq2mab-pr-7.localhost", "")

	span := ended.Ended()[0]
	ours := span.SpanContext().TraceID().String()
	var body map[string]struct{ TraceID, RequestID string }
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	var line struct{ TraceID, RequestID string }
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{ours, ours}, []string{body["error"].TraceID, line.TraceID}); diff != "" {
		t.Errorf("trace ids of answer and log (-want +got):\n%s", diff)
	}
	if line.RequestID == "" || line.RequestID != body["error"].RequestID {
		t.Errorf("request ids %q and %q", body["error"].RequestID, line.RequestID)
	}
	if strings.Contains(strangers, ours) || span.Parent().IsValid() {
		t.Error("the stranger's trace goes on")
	}
	if len(span.Links()) != 1 || !strings.Contains(strangers, span.Links()[0].SpanContext.TraceID().String()) {
		t.Errorf("links: %v", span.Links())
	}
}

// A handler that panics is told of in the log, without the request; the answer leads to its line and says nothing else.
func TestPanicInHandler(t *testing.T) {
	t.Parallel()
	const token = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
	var log logLines
	logger := slog.New(telemetry.NewHandler(slog.NewJSONHandler(&log, nil), telemetry.NewRedactor()))
	ended := tracetest.NewSpanRecorder()
	engine := gin.New()
	engine.Use(requestSpans(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(ended)).Tracer("")), recovery(logger, newMetrics().Failed))
	engine.GET("/projects/:project", func(*gin.Context) { panic("at " + token) })
	r := httptest.NewRequest(http.MethodGet, "/projects/"+token+"?t="+token, nil)
	r.Header.Set("Cookie", token)
	answer := httptest.NewRecorder()
	engine.ServeHTTP(answer, r)
	span := ended.Ended()[0]
	ours := span.SpanContext().TraceID().String()
	if answer.Code != http.StatusInternalServerError || strings.Contains(answer.Body.String(), token) || !strings.Contains(answer.Body.String(), ours) {
		t.Errorf("answer %d %q", answer.Code, answer.Body)
	}
	if span.Name() != "GET /projects/:project" || span.Status().Code != codes.Error || len(span.Events()) != 0 {
		t.Errorf("span %q, status %v, events %v", span.Name(), span.Status(), span.Events())
	}
	if text := log.String(); strings.Contains(text, token) || !strings.Contains(text, ours) {
		t.Errorf("log: %s", text)
	}
}

// A stranger can't make the server keep a trace.
func TestStrangersDoNotSample(t *testing.T) {
	t.Parallel()
	receiver := otlptest.New(t)
	exporter, err := otlp.New(t.Context(), otlp.Config{Endpoint: receiver.URL, Service: "flaresmith", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	handler := traced(exporter.Tracer(), "absent preview", newAbsent(&names{}, "localhost", slog.New(slog.DiscardHandler)))
	for range 100 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = "x.localhost"
		r.Header.Set("Traceparent", strangers)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	exporter.Shutdown(t.Context())
	if n := len(receiver.Spans()); n != 0 {
		t.Errorf("%d spans were kept", n)
	}
}
