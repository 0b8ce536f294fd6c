// Package telemetry is how the server is seen from outside while it works: spans for what takes
// time, log lines without secrets, and panics that have become errors. It takes what every step of the flow
// tells it, and gives it to the logger and to the tracer of the span that stands in the context. Only the
// first span of a trace needs a tracer; where there is none, spans cost next to nothing.
//
// It must not know what the steps mean, nor where traces go; that is package otlp's.
//
// go-githubapp logs by zerolog, at the debug level and only where a context has such a logger. None
// has, so there is nothing to lead into ours.
package telemetry
