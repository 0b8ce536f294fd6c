package server

import (
	"net/http"
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
	passes     *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhook_deliveries_total", Help: "Webhook deliveries by result."}, []string{"result"}),
		passes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "provision_duration_seconds", Help: "Duration of a reconcile pass by its outcome.",
			Buckets: []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 90, 300}}, []string{"outcome"}),
	}
	m.registry.MustRegister(m.deliveries, m.passes, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
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
