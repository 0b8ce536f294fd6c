package server

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/flaresmith/flaresmith/app/racetest"
	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// scrape is what Prometheus gets.
func (w *world) scrape() []byte {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.server.scrape.Addr().String()+"/metrics", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("scrape: status %d, %v", response.StatusCode, err)
	}
	return text
}

// After a pass that succeeded and one that failed, the metrics tell of both; their names are those of the
// README, and as Prometheus wants them but where REQUIREMENTS.md names them otherwise.
func TestMetrics(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	w.github.SetFaults(fault.Nth(1, 1, fault.OnRoute("GET /repos/{owner}/{repo}/contents/{path}", fault.Fault{Status: http.StatusBadGateway})))
	_, good := w.open("feature/good")
	w.wantCheck(good, "success")
	bad, err := w.github.CommitAs("octo-dev", testRepo, "feature/bad", map[string]string{"src/index.js": "export default {"}, "bad")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.github.OpenPR(testRepo, "Bad", "feature/bad", "", "octo-dev"); err != nil {
		t.Fatal(err)
	}
	w.wantCheck(bad, "failure")
	w.settle()
	if status := w.deliver("made_up_by_somebody", []byte(`{}`)); status != http.StatusAccepted {
		t.Fatalf("status %d", status)
	}
	text := w.scrape()
	for _, want := range []string{
		`(?m)^provision_duration_seconds_count\{outcome="ready"\} [1-9]`,
		`(?m)^provision_duration_seconds_count\{outcome="invalid"\} [1-9]`,
		`(?m)^deployment_duration_seconds_count\{result="done"\} 1$`,
		`(?m)^environment_state_transitions_total\{from="queued",to="provisioning"\} 2$`,
		`(?m)^environment_state_transitions_total\{from="provisioning",to="active"\} 1$`,
		`(?m)^environment_state_transitions_total\{from="provisioning",to="error"\} [1-9]`,
		`(?m)^errors_total\{code="ENV_PREVIEW_INVALID",severity="info"\} [1-9]`,
		`(?m)^circuit_breaker_open_total\{provider="github"\} 0$`,
		`(?m)^retry_attempts\{operation="GET contents",provider="github"\} 1$`,
		`(?m)^preview_env_active_total 1$`,
		`(?m)^outbound_attempts_total\{operation="GET pulls",provider="github",result="ok"\} [1-9]`,
		`(?m)^webhook_deliveries_total\{event="pull_request",status="202"\} [1-9]`,
		`(?m)^webhook_deliveries_total\{event="other",status="202"\} 1$`,
		`(?m)^webhook_handle_duration_seconds_count\{event="pull_request",outcome="done"\} [1-9]`,
		`(?m)^webhook_deliveries_pending [01]$`,
		`(?m)^webhook_lag_seconds [0-9.e-]+$`,
		`(?m)^job_queue_depth\{queue="inbox"\} [0-9]`,
		`(?m)^job_queue_age_seconds\{queue="reconcile"\} [0-9]`,
		`(?m)^job_queue_running\{queue="reconcile"\} [0-9]`,
	} {
		if !regexp.MustCompile(want).Match(text) {
			t.Errorf("no line %s", want)
		}
	}
	if bytes.Contains(text, []byte("made_up_by_somebody")) {
		t.Error("the name of an event that nobody knows is a label")
	}
	if t.Failed() {
		t.Log(string(text))
	}
	wantNames(t, text)
}

func wantNames(t *testing.T, text []byte) {
	t.Helper()
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		// REQUIREMENTS.md names them so.
		if p.Metric != "preview_env_active_total" && p.Metric != "retry_attempts" {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented, scraped []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)(?:\\{[a-z, ]+\\})?` \\| (?:counter|gauge|histogram) \\|").FindAllSubmatch(readme, -1) {
		documented = append(documented, string(m[1]))
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllSubmatch(text, -1) {
		name := string(m[1])
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			scraped = append(scraped, name)
		}
	}
	for _, name := range scraped {
		if !slices.Contains(documented, name) {
			t.Errorf("the README's table lacks %s", name)
		}
	}
	for _, name := range documented {
		// The stand-in is a GitHub without published limits, so nothing is taken from any.
		if name != "rate_limit_consumed_total" && !slices.Contains(scraped, name) {
			t.Errorf("%s is in the README's table and not scraped", name)
		}
	}
}
