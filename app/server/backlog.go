package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flaresmith/flaresmith/app/store"
)

// backlogTimeout bounds the query of one scrape.
const backlogTimeout = 2 * time.Second

// backlog is what waits in the database, looked up at each scrape. Every server on one database tells the
// same. Without an answer of the database it tells nothing; the other metrics are still scraped.
type backlog struct {
	read   func(context.Context) (store.Backlog, error)
	logger *slog.Logger

	pending, lag, depth, age, running, previews *prometheus.Desc
}

// watch adds the backlog to what is scraped.
func (m *metrics) watch(s *store.Store, logger *slog.Logger) {
	m.registry.MustRegister(&backlog{read: s.Backlog, logger: logger,
		pending:  prometheus.NewDesc("webhook_deliveries_pending", "Deliveries that are stored and not handled.", nil, nil),
		lag:      prometheus.NewDesc("webhook_lag_seconds", "How long the oldest delivery that is not handled has waited.", nil, nil),
		depth:    prometheus.NewDesc("job_queue_depth", "Jobs that are due and not begun.", []string{"queue"}, nil),
		age:      prometheus.NewDesc("job_queue_age_seconds", "How long the oldest job that is due and not begun has waited.", []string{"queue"}, nil),
		running:  prometheus.NewDesc("job_queue_running", "Jobs at work, on all servers.", []string{"queue"}, nil),
		previews: prometheus.NewDesc("preview_env_active_total", "Previews that serve.", nil, nil),
	})
}

// Describe implements prometheus.Collector.
func (b *backlog) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{b.pending, b.lag, b.depth, b.age, b.running, b.previews} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (b *backlog) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), backlogTimeout)
	defer cancel()
	now, err := b.read(ctx)
	if err != nil {
		b.logger.WarnContext(ctx, "backlog for metrics", slog.Any("error", err))
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(b.pending, float64(now.Deliveries))
	gauge(b.lag, now.DeliveryAge.Seconds())
	gauge(b.previews, float64(now.Previews))
	for queue, jobs := range now.Jobs {
		gauge(b.depth, float64(jobs.Waiting), queue)
		gauge(b.age, jobs.Age.Seconds(), queue)
		gauge(b.running, float64(jobs.Running), queue)
	}
}
