package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flaresmith/flaresmith/app/reconcile"
)

// metrics are what Prometheus scrapes. Each server has its own registry, so that a test can run two.
type metrics struct {
	registry   *prometheus.Registry
	deliveries *prometheus.CounterVec
	handled    *prometheus.HistogramVec
	passes     *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_deliveries_total", Help: "Webhook requests by event and status."}, []string{"event", "status"}),
		handled: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "webhook_handle_duration_seconds", Help: "Time of a delivery in its handler, by event and outcome.",
			Buckets: prometheus.DefBuckets}, []string{"event", "outcome"}),
		passes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "provision_duration_seconds", Help: "Duration of a reconcile pass by its outcome.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 90, 300}}, []string{"outcome"}),
	}
	m.registry.MustRegister(m.deliveries, m.handled, m.passes, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Received implements inbox.Observer.
func (m *metrics) Received(event string, status int) {
	m.deliveries.WithLabelValues(event, strconv.Itoa(status)).Inc()
}

// Handled implements inbox.Observer.
func (m *metrics) Handled(event, outcome string, took time.Duration) {
	m.handled.WithLabelValues(event, outcome).Observe(took.Seconds())
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
