package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/telemetry"
)

// Whoever opens the server's own address in a browser is told where the pages are.
func TestNoPage(t *testing.T) {
	t.Parallel()
	engine := gin.New()
	engine.NoRoute(noPage)
	for accept, want := range map[string]string{"text/html,*/*": "The details of a check on GitHub lead to", "*/*": "404 page not found"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d, %s", accept, w.Code, w.Body)
		}
	}
}

// A handler that panics gets an answer like other errors; its cause is in the log alone, found by the request's id.
func TestRecovery(t *testing.T) {
	t.Parallel()
	const secret = "correct horse battery staple"
	var log bytes.Buffer
	logger := slog.New(telemetry.NewHandler(slog.NewJSONHandler(&log, nil), telemetry.NewRedactor(secret)))
	m := newMetrics()
	engine := gin.New()
	engine.Use(recovery(logger, m.Failed))
	engine.GET("/panics/:how", func(c *gin.Context) {
		if c.Param("how") == "late" {
			c.String(http.StatusOK, "the first half")
			c.Writer.Flush()
			panic("in the middle")
		}
		panic(errors.New("the key is " + secret))
	})
	server := httptest.NewUnstartedServer(engine)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	defer server.Close()
	get := func(how string) (*http.Response, string, error) {
		r, err := server.Client().Get(server.URL + "/panics/" + how)
		if err != nil {
			return nil, "", err
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		return r, string(body), err
	}

	answer, body, err := get("early")
	if err != nil {
		t.Fatal(err)
	}
	var envelope map[string]problem
	if err := json.Unmarshal([]byte(body), &envelope); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	p := envelope["error"]
	if answer.StatusCode != http.StatusInternalServerError || answer.Header.Get("X-Request-Id") != p.RequestID || p.RequestID == "" || p.Timestamp.IsZero() {
		t.Errorf("status %d, headers %v, %+v", answer.StatusCode, answer.Header, p)
	}
	if diff := cmp.Diff([]string{"INTERNAL_ERROR", "critical", "none"}, []string{p.Code, p.Severity, p.RetryPolicy}); diff != "" {
		t.Errorf("problem (-want +got):\n%s", diff)
	}
	if strings.Contains(body, "key") || strings.Contains(body, "routes_test") {
		t.Errorf("the answer tells of the cause: %s", body)
	}
	line := log.String()
	for _, want := range []string{p.RequestID, `"route":"/panics/:how"`, "the key is ***", "routes_test.go", `"code":"INTERNAL_ERROR"`} {
		if !strings.Contains(line, want) {
			t.Errorf("the log lacks %q: %s", want, line)
		}
	}
	if strings.Contains(line, secret) {
		t.Errorf("the log holds the secret: %s", line)
	}

	// What has begun is cut off.
	if answer, body, err := get("late"); err == nil {
		t.Errorf("an answer that was broken off looks whole: %d %q", answer.StatusCode, body)
	}
	page := httptest.NewRecorder()
	m.handler().ServeHTTP(page, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if want := `errors_total{code="INTERNAL_ERROR",severity="critical"} 2`; !strings.Contains(page.Body.String(), want) {
		t.Errorf("metrics lack %q", want)
	}
}
