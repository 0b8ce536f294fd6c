// Package outbound is the one http.RoundTripper under every SDK: it bounds a call in time, spends
// the provider's published limits, repeats what is safe to repeat, and stops calling a provider
// that fails. It takes requests and a Policy, and gives answers or typed errors: [OpenError] and
// [LimitError], whose RetryAfter says when to come back, and [TimeoutError]. It must not know what
// any provider's calls mean, and imports no package of the module. There is no hedging: a request
// is never in flight twice.
//
// State is kept per account ([Transport.For]): breaker, budgets, pause and slots of one account do
// not touch those of another. Breakers and budgets are kept in this process and, where [Options] has a
// [Shared], together with all replicas; pauses and slots are each process's own. While Shared does not
// answer, a replica spends half of each budget, beginning with nothing, and tells the others afterwards.
//
// A call waits for what limits it, up to the policy's MaxWait. One that is marked by [Dispensable] does not: it is refused at once,
// and leaves part of each budget to the others.
//
// # What is repeated
//
// A call is repeated when all of this holds: attempts are left; its body, if it has one, can be made
// again (GetBody); the wait fits into the caller's deadline and the policy's MaxWait; the breaker is
// not open; and either the request is safe to repeat or the failure proves that nothing was done.
//
//   - Safe are the policy's methods (GET, HEAD, OPTIONS, PUT, DELETE unless it says otherwise) and
//     requests with the header Idempotency-Key or X-Idempotency-Key, with a value or, as in
//     net/http, present with none (then nothing is sent), or whose context is marked by [Repeatable].
//   - Nothing was done when the connection was never made, when the provider limited us, and for the
//     statuses of Policy.Retry.Refused. Which those are differs: Neon says so of 423 and 503; for
//     GitHub a 503 proves nothing, so a POST that got one is not sent again.
//   - A POST that timed out is never sent again.
//
// # Breaker
//
// Failures are network errors, timeouts and 5xx; not 4xx, not a limit (that is a pause), and not a
// caller that went away. The breaker is sony/gobreaker v2: one file on the standard library alone,
// with a rolling window, callbacks on a change and exclusion of calls that prove nothing.
// failsafe-go's fits as well, but brings gRPC, protobuf and a digest into the module's graph.
//
// # Clock
//
// Time is the time package's, jitter is [Options].Jitter. Tests run in testing/synctest, whose clock
// also drives the breaker and the limiters, which an injected clock could not reach: with two clocks
// in one decision a test would prove little.
package outbound
