package server

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/palantir/go-githubapp/githubapp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/plan"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/reconcile"
	"github.com/flaresmith/flaresmith/app/specsync"
)

// metrics are what Prometheus scrapes. Each server has its own registry, so that a test can run two.
type metrics struct {
	registry    *prometheus.Registry
	deliveries  *prometheus.CounterVec
	handled     *prometheus.HistogramVec
	passes      *prometheus.HistogramVec
	redelivered *prometheus.CounterVec
	deploys     *prometheus.HistogramVec
	moves       *prometheus.CounterVec
	failures    *prometheus.CounterVec
	applies     *prometheus.HistogramVec
	calls       *outboundMetrics
	events      map[string]bool // of deliveries, that become labels; the others are one
}

// outboundMetrics are those of calls to providers.
type outboundMetrics struct {
	attempts *prometheus.CounterVec
	took     *prometheus.HistogramVec
	retries  *prometheus.CounterVec
	waits    *prometheus.HistogramVec
	spent    *prometheus.CounterVec
	opened   *prometheus.CounterVec
	open     *prometheus.GaugeVec

	mu       sync.Mutex
	accounts map[string]map[string]bool // whose breaker is not closed, by provider
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_deliveries_total", Help: "Webhook requests by event and status."}, []string{"event", "status"}),
		handled: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "webhook_handle_duration_seconds", Help: "Time of a delivery in its handler, by event and outcome.",
			Buckets: prometheus.DefBuckets}, []string{"event", "outcome"}),
		redelivered: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_redelivered_total", Help: "Deliveries that did not arrive and were looked up, by event and outcome."}, []string{"event", "outcome"}),
		passes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "provision_duration_seconds", Help: "Duration of a reconcile pass by its outcome.",
			Buckets: passBuckets()}, []string{"outcome"}),
		deploys: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "deployment_duration_seconds", Help: "Duration of one deployment of a Worker by its result.",
			Buckets: passBuckets()}, []string{"result"}),
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "environment_state_transitions_total", Help: "Changes of an environment's state."}, []string{"from", "to"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "errors_total", Help: "Errors that a pass ended in or a caller was answered with, by code."}, []string{"code", "severity"}),
	}
	m.applies = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "spec_apply_duration_seconds", Help: "Duration of an attempt to apply specs to a branch, by its outcome.",
		Buckets: passBuckets()}, []string{"outcome"})
	for _, a := range specsync.Attempts() {
		m.applies.WithLabelValues(string(a)) // 0 until one ends so, so that the first time is seen
	}
	m.calls = newOutboundMetrics(m.registry)
	m.registry.MustRegister(m.deliveries, m.handled, m.redelivered, m.passes, m.deploys, m.moves, m.failures, m.applies, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// passBuckets reach from a look at what is there to the longest that a pass takes.
func passBuckets() []float64 {
	return []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 90, 300}
}

func newOutboundMetrics(r prometheus.Registerer) *outboundMetrics {
	m := &outboundMetrics{accounts: map[string]map[string]bool{},
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outbound_attempts_total", Help: "Attempts of calls to providers by result; open and limit were not sent."},
			[]string{"provider", "operation", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "outbound_attempt_duration_seconds", Help: "Time to an answer's head, of attempts that were sent.",
			Buckets: []float64{0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}}, []string{"provider"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "retry_attempts", Help: "Attempts after a call's first."}, []string{"provider", "operation"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "outbound_wait_seconds", Help: "Waits before an attempt, by reason: a budget, pause, slots or backoff.",
			Buckets: []float64{0.05, 0.1, 0.5, 1, 5, 10, 20}}, []string{"provider", "reason"}),
		spent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rate_limit_consumed_total", Help: "Units taken from a provider's published limit."}, []string{"scope"}),
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "circuit_breaker_open_total", Help: "Times a provider's breaker opened, over all accounts."}, []string{"provider"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "circuit_breaker_open_accounts", Help: "Accounts of a provider whose breaker is open now, or half-open."}, []string{"provider"}),
	}
	r.MustRegister(m.attempts, m.took, m.retries, m.waits, m.spent, m.opened, m.open)
	for provider := range cloudPolicies() {
		m.expect(provider)
	}
	m.expect(outbound.GitHub().Provider)
	return m
}

// expect has a provider's breakers in the metrics before one opens, so that the first time is seen.
func (m *outboundMetrics) expect(provider string) {
	m.opened.WithLabelValues(provider)
	m.open.WithLabelValues(provider)
}

// expect makes the events of these handlers labels. Call it before the first delivery.
func (m *metrics) expect(list []githubapp.EventHandler) {
	m.events = map[string]bool{}
	for _, h := range list {
		for _, event := range h.Handles() {
			m.events[event] = true
			m.redelivered.WithLabelValues(event, "lost") // 0 until one is, so that the first one is seen
		}
	}
}

// Attempted implements outbound.Observer.
func (m *metrics) Attempted(a outbound.Attempt) {
	m.calls.attempts.WithLabelValues(a.Provider, a.Operation, string(a.Result)).Inc()
	if a.Result == outbound.Open || a.Result == outbound.Limit {
		return
	}
	m.calls.took.WithLabelValues(a.Provider).Observe(a.Took.Seconds())
	if a.Number > 1 {
		m.calls.retries.WithLabelValues(a.Provider, a.Operation).Inc()
	}
}

// Waited implements outbound.Observer.
func (m *metrics) Waited(provider, reason string, d time.Duration) {
	m.calls.waits.WithLabelValues(provider, reason).Observe(d.Seconds())
}

// Spent implements outbound.Observer.
func (m *metrics) Spent(provider, budget string, units int) {
	m.calls.spent.WithLabelValues(provider + "/" + budget).Add(float64(units))
}

// BreakerChanged implements outbound.Observer.
func (m *metrics) BreakerChanged(provider, account, _, to string) {
	m.calls.breakerChanged(provider, account, to)
}

func (m *outboundMetrics) breakerChanged(provider, account, to string) {
	if to == "open" {
		m.opened.WithLabelValues(provider).Inc()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	accounts := m.accounts[provider]
	if accounts == nil {
		accounts = map[string]bool{}
		m.accounts[provider] = accounts
	}
	if to == "closed" {
		delete(accounts, account)
	} else {
		accounts[account] = true
	}
	m.open.WithLabelValues(provider).Set(float64(len(accounts)))
}

// Received implements inbox.Observer.
func (m *metrics) Received(event string, status int) {
	if event != "" && !m.events[event] {
		event = "other"
	}
	m.deliveries.WithLabelValues(event, strconv.Itoa(status)).Inc()
}

// Handled implements inbox.Observer.
func (m *metrics) Handled(event, outcome string, took time.Duration) {
	m.handled.WithLabelValues(event, outcome).Observe(took.Seconds())
}

// Redelivered implements inbox.Observer.
func (m *metrics) Redelivered(event, outcome string) {
	m.redelivered.WithLabelValues(event, outcome).Inc()
}

// Moved implements reconcile.Observer.
func (m *metrics) Moved(from, to preview.State) {
	m.moves.WithLabelValues(string(from), string(to)).Inc()
}

// Stepped implements reconcile.Observer.
func (m *metrics) Stepped(s plan.Step, ok bool, took time.Duration) {
	if s.Resource.Kind != preview.KindWorker || !s.Writes() || s.Op == plan.OpDelete {
		return
	}
	result := "done"
	if !ok {
		result = "failed"
	}
	m.deploys.WithLabelValues(result).Observe(took.Seconds())
}

// Failed implements reconcile.Observer.
func (m *metrics) Failed(code, severity string) {
	m.failures.WithLabelValues(code, severity).Inc()
}

// specAttempted notes an attempt to apply specs.
func (m *metrics) specAttempted(a specsync.Attempt, took time.Duration) {
	m.applies.WithLabelValues(string(a)).Observe(took.Seconds())
}

func (m *metrics) pass(r reconcile.Result, d time.Duration) {
	outcome := string(r.Phase)
	if outcome == "" {
		outcome = "superseded"
	}
	m.passes.WithLabelValues(outcome).Observe(d.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
