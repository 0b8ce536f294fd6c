// Package otlp sends traces and metrics to a collector, over HTTP and in OpenTelemetry's own protocol.
// It takes the collector's address and the registry that Prometheus scrapes, too, and gives the tracer
// that begins traces.
//
// Of the traces it sends a share, chosen by the trace's id as other services choose, and always those
// in which something failed or that took long. That is known only at the end, so spans are recorded in any
// case and wait in memory for the end of the first span of their trace on this server. No library does
// this in the process (the OpenTelemetry Collector does it between services), so it is done here; what
// follows, the queue and the sending, is OpenTelemetry's.
//
// A collector that is slow or gone costs spans and nothing else: queues are bounded, full ones drop,
// nobody waits for a request, and the end of the server waits for a few seconds at most.
//
// OpenTelemetry's global provider, propagator and error handler are left alone: two servers in one
// process, as in tests, do not know of each other.
package otlp
