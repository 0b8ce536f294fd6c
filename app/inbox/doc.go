// Package inbox is the first step of the flow: it takes GitHub's webhook deliveries, stores each
// before it is answered, and later hands it to the handler of its event.
//
// A request passes the checks that cost least first (size, headers), then its signature over the
// raw bytes; only then is anything written. Routing keys (installation, repository, pull request)
// are scanned out of the JSON, which is parsed fully by the worker and never before the answer.
// Deliveries that come at the same time are committed together; when too many wait, the next is told
// 503 at once. 202 means committed: a delivery that was acknowledged survives a crash of everything. A
// delivery id that is known is answered 202 and changes nothing.
//
// Payloads are kept as s2, which takes a third more space than zstd's fastest level and a fifth of its time:
// a delivery is there for a week, and compressing it was a quarter of the server's work.
//
// What did not arrive, as while the server was down, is found in GitHub's list of deliveries and stored
// as if it had; see Sweeper.
//
// Handlers are go-githubapp's EventHandlers and Scheduler is its Scheduler, whose error-means-not-
// accepted contract is what a durable inbox needs. Its event dispatcher is not used: it knows one
// secret where a rotation needs two, reads a body of any size, and keeps the first of two handlers
// for one event without a word.
//
// The package must not know what an event means; that is the handlers' business.
package inbox
