package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/trace"

	"github.com/flaresmith/flaresmith/app/telemetry"
)

// problem is what goes wrong for a caller: the body of every error that we answer with.
type problem struct {
	Code        string         `json:"code"`     // CATEGORY_SUBCATEGORY[_PROVIDER]
	Message     string         `json:"message"`  // what is wrong, one sentence
	Severity    string         `json:"severity"` // info, warn, error, critical
	RetryPolicy string         `json:"retryPolicy"`
	RequestID   string         `json:"requestId"`
	TraceID     string         `json:"traceId"` // as in the log; where nothing is traced, of the caller's W3C trace; empty: none
	Timestamp   time.Time      `json:"timestamp"`
	Context     map[string]any `json:"context"`
	Hint        string         `json:"hint"` // what to do about it
	CauseChain  []string       `json:"causeChain"`
	Details     map[string]any `json:"details"`
}

// The policies of a problem.
const (
	retryNone = "none" // the same request gets the same answer
	retrySafe = "safe" // asking again later may help and harms nothing
)

// write answers with the problem in its envelope.
func (p problem) write(w http.ResponseWriter, r *http.Request, status int) {
	if p.RequestID == "" {
		p.RequestID = uuid.NewString()
	}
	p.Timestamp = time.Now().UTC().Truncate(time.Millisecond)
	ours := trace.SpanContextFromContext(r.Context())
	theirs := trace.SpanContextFromContext(telemetry.Follow(context.Background(), r.Header.Get("Traceparent")))
	switch {
	case ours.IsValid():
		p.TraceID = ours.TraceID().String()
	case theirs.IsValid():
		p.TraceID = theirs.TraceID().String()
	}
	if p.Context == nil {
		p.Context = map[string]any{}
	}
	if p.Details == nil {
		p.Details = map[string]any{}
	}
	if p.CauseChain == nil {
		p.CauseChain = []string{}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Request-Id", p.RequestID)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]problem{"error": p}) // who does not listen can't be told
}
