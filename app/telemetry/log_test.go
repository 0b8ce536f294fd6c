package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/flaresmith/flaresmith/app/preview"
)

const hidden = "webhook-secret"

type masked struct{ Name, Token string }

type text struct{ inner string }

func (x text) String() string { return "text of " + x.inner }

// A secret is found wherever a line can hold one, and nothing else is changed.
func TestHandlerRedacts(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(NewHandler(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}), NewRedactor(hidden)))
	token := "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
	logger.Info("message with " + hidden)
	logger.Info("m", "text", token, "number", 7, "secret", preview.Secret(hidden))
	logger.Info("m", "error", fmt.Errorf("wrapped: %w", errors.New(token)))
	logger.Info("m", slog.Group("g", "a", hidden, slog.Group("h", "b", token)))
	logger.With("a", hidden).WithGroup("g").Info("m", "b", hidden)
	logger.Info("m", "struct", masked{Name: "x", Token: token}, "map", map[string]string{"k": hidden}, "bytes", []byte(hidden), "stringer", text{hidden})
	logger.Info("m", "list", []string{"a", "b"}, "struct", masked{Name: "x"}, "nil", nil, "wait", 20*time.Second)
	logger.Info("m", "key "+hidden, "x")
	slog.NewLogLogger(logger.Handler(), slog.LevelDebug).Printf("http: panic serving: %s", token) // as http.Server does
	for line := range strings.Lines(out.String()) {
		for _, secret := range []string{hidden, token} {
			if strings.Contains(line, secret) {
				t.Errorf("a line holds %s: %s", secret, line)
			}
		}
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	var plain map[string]any
	if err := json.Unmarshal([]byte(strings.Split(out.String(), "\n")[6]), &plain); err != nil {
		t.Fatal(err)
	}
	delete(plain, "time")
	want := map[string]any{"level": "INFO", "msg": "m", "list": []any{"a", "b"}, "struct": map[string]any{"Name": "x", "Token": ""}, "nil": nil, "wait": "20s"}
	if diff := cmp.Diff(want, plain); diff != "" {
		t.Errorf("a line without secrets (-want +got):\n%s", diff)
	}
}

// Lines of a span carry its ids, and only those.
func TestHandlerTellsSpan(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(NewHandler(slog.NewJSONHandler(&out, nil), NewRedactor()))
	ctx, root := sdktrace.NewTracerProvider().Tracer("").Start(t.Context(), "root")
	ctx, span := Start(ctx, "step")
	logger.InfoContext(ctx, "inside")
	End(span, nil)
	root.End()
	logger.InfoContext(t.Context(), "outside")
	var got []map[string]any
	for line := range strings.Lines(out.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, "time")
		got = append(got, fields)
	}
	want := []map[string]any{
		{"level": "INFO", "msg": "inside", "traceId": root.SpanContext().TraceID().String(), "spanId": span.SpanContext().SpanID().String()},
		{"level": "INFO", "msg": "outside"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestTraceparent(t *testing.T) {
	t.Parallel()
	if got := Traceparent(t.Context()); got != "" {
		t.Errorf("of no span: %q", got)
	}
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if got := Traceparent(Follow(t.Context(), parent)); got != parent {
		t.Errorf("got %q, want %q", got, parent)
	}
	for _, broken := range []string{"", "x", parent[:54], "00-00000000000000000000000000000000-b7ad6b7169203331-01", strings.Repeat("a", 10_000)} {
		if got := Traceparent(Follow(t.Context(), broken)); got != "" {
			t.Errorf("of %.60q: %q", broken, got)
		}
	}
}

// What fails is told by its class: the error's text may quote anything.
func TestEndTellsClassOnly(t *testing.T) {
	t.Parallel()
	ctx, root := sdktrace.NewTracerProvider().Tracer("").Start(t.Context(), "root")
	_, span := Start(ctx, "step")
	End(span, preview.Transient(errors.New("dial postgres://x:hunter2@db")))
	root.End()
	if got := span.(sdktrace.ReadOnlySpan).Status().Description; got != "transient" {
		t.Errorf("description %q", got)
	}
	if n := len(span.(sdktrace.ReadOnlySpan).Events()); n != 0 {
		t.Errorf("%d events", n)
	}
}
