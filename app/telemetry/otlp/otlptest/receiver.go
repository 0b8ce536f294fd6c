// Package otlptest is a collector for tests: it takes OpenTelemetry's protocol over HTTP and keeps what
// it was sent.
package otlptest

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const maxBody = 64 << 20

// Receiver keeps what it was sent. Make one with New.
type Receiver struct {
	URL string

	mu      sync.Mutex
	bodies  [][]byte
	headers []http.Header
	spans   []*spans.Span
	metrics map[string]bool
	before  func(*http.Request) int
}

// New starts a receiver for the time of a test.
func New(tb testing.TB) *Receiver {
	tb.Helper()
	r := &Receiver{metrics: map[string]bool{}}
	server := httptest.NewServer(r)
	tb.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// Answer sets what is asked before a request is taken; a status other than 0 is the answer.
func (r *Receiver) Answer(before func(*http.Request) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	before := r.before
	r.mu.Unlock()
	if before != nil {
		if status := before(request); status != 0 {
			w.WriteHeader(status)
			return
		}
	}
	var from io.Reader = request.Body
	if request.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(request.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		from = unzipped
	}
	body, err := io.ReadAll(io.LimitReader(from, maxBody))
	if err == nil {
		err = r.take(request, body)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty message is the answer
}

func (r *Receiver) take(request *http.Request, body []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.headers = append(r.bodies, body), append(r.headers, request.Header.Clone())
	switch request.URL.Path {
	case "/v1/traces":
		var got tracepb.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &got); err != nil {
			return err
		}
		for _, resource := range got.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
	case "/v1/metrics":
		var got metricspb.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &got); err != nil {
			return err
		}
		for _, resource := range got.GetResourceMetrics() {
			for _, scope := range resource.GetScopeMetrics() {
				for _, m := range scope.GetMetrics() {
					r.metrics[m.GetName()] = true
				}
			}
		}
	}
	return nil
}

// Spans are those received so far.
func (r *Receiver) Spans() []*spans.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*spans.Span{}, r.spans...)
}

// Bodies are the requests so far, as they were before compression.
func (r *Receiver) Bodies() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte{}, r.bodies...)
}

// Headers are those of the requests so far.
func (r *Receiver) Headers() []http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]http.Header{}, r.headers...)
}

// HasMetric reports whether a metric of that name was received.
func (r *Receiver) HasMetric(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.metrics[name]
}

// Until waits until the receiver has what done looks for.
func (r *Receiver) Until(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("%s was not received", what)
		}
	}
}
