package outbound

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/propagation"
)

// maxAccounts bounds what is remembered; beyond it everything is forgotten at once.
const maxAccounts = 10_000

// Options are what a Transport may be given beside its policy.
type Options struct {
	Observer Observer     // default: nobody
	Logger   *slog.Logger // told of breakers that open and close; default: discard
	// Jitter gives a number in [0, 1); default math/rand/v2. It is called from many goroutines.
	Jitter func() float64
	// API is where the provider's API is. Only requests to its scheme, host and paths below its own are
	// told the W3C traceparent of their span: an answer may lead elsewhere. Nil: none is.
	API *url.URL
	// Shared is what all replicas know; nil: each process has limits and breakers of its own.
	Shared Shared
}

// Transport calls one provider by its policy. It is safe for concurrent use. As an
// http.RoundTripper it is the account with the empty name; For gives others.
type Transport struct {
	policy Policy
	base   http.RoundTripper
	o      Options

	askAgain atomic.Int64 // when Shared may be asked, in nanoseconds since 1970

	mu       sync.Mutex
	accounts map[string]*account
}

// New puts a policy over base (nil: http.DefaultTransport).
func New(p Policy, base http.RoundTripper, o Options) *Transport {
	if base == nil {
		base = http.DefaultTransport
	}
	if o.Observer == nil {
		o.Observer = silent{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	return &Transport{policy: p.withDefaults(), base: base, o: o, accounts: map[string]*account{}}
}

// For is the RoundTripper of one account: its breaker, budgets, pause and slots are its own. The
// name is not a secret: it is shown on the status page.
func (t *Transport) For(name string) http.RoundTripper { return &accountTransport{t, name} }

type accountTransport struct {
	transport *Transport
	account   string
}

// RoundTrip implements http.RoundTripper.
func (t *accountTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.transport.roundTrip(r, t.account)
}

// RoundTrip implements http.RoundTripper. Beside the base's errors it returns *OpenError,
// *LimitError and *TimeoutError.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) { return t.roundTrip(r, "") }

// CloseIdleConnections lets http.Client reach the base's connections.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

type repeatableKey struct{}

// Repeatable marks the requests of a context as safe to repeat, whatever their method.
func Repeatable(ctx context.Context) context.Context {
	return context.WithValue(ctx, repeatableKey{}, true)
}

func (t *Transport) account(name string) *account {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a, ok := t.accounts[name]; ok {
		return a
	}
	if len(t.accounts) >= maxAccounts {
		clear(t.accounts)
	}
	a := newAccount(name, &t.policy, t.o.Observer, t.breakerChanged)
	a.shared = shared{Shared: t.o.Shared, key: t.key(name), t: t}
	t.accounts[name] = a
	return a
}

// key is an account's name for all replicas: a provider's API may be at several places.
func (t *Transport) key(name string) string {
	if t.o.API == nil {
		return t.policy.Provider + " " + name
	}
	return t.policy.Provider + " " + t.o.API.Scheme + "://" + t.o.API.Host + t.o.API.Path + " " + name
}

func (t *Transport) breakerChanged(name, from, to string, until time.Time) {
	t.o.Observer.BreakerChanged(t.policy.Provider, name, from, to)
	level := slog.LevelInfo
	if to == "open" {
		level = slog.LevelWarn
	}
	t.o.Logger.Log(context.Background(), level, "circuit breaker changed", "provider", t.policy.Provider, "account", name,
		"from", from, "to", to, "until", until)
}

// call is one RoundTrip: one request and its attempts.
type call struct {
	t       *Transport
	account *account
	request *http.Request
	safe    bool // to repeat
	again   bool // its body can be made again
	number  int  // of the attempt
}

func (t *Transport) roundTrip(r *http.Request, name string) (*http.Response, error) {
	c := &call{t: t, account: t.account(name), request: r, safe: t.safe(r),
		again: r.Body == nil || r.Body == http.NoBody || r.GetBody != nil}
	for c.number = 1; ; c.number++ {
		answer, result, err := c.attempt()
		wait, ok := c.repeat(answer, result, err)
		if !ok {
			return answer, err
		}
		discard(answer)
		if err := c.account.checkOpen(); err != nil { // why wait for what will be refused
			return nil, err
		}
		if err := c.account.wait(r.Context(), "backoff", time.Now().Add(wait)); err != nil {
			return nil, err
		}
	}
}

func (t *Transport) safe(r *http.Request) bool {
	_, key := r.Header["Idempotency-Key"]
	_, xkey := r.Header["X-Idempotency-Key"]
	marked, _ := r.Context().Value(repeatableKey{}).(bool)
	return key || xkey || marked || t.policy.Retry.Safe(r)
}

// repeat says whether there is another attempt after this one, and after what wait.
func (c *call) repeat(answer *http.Response, result Result, err error) (time.Duration, bool) {
	p := &c.t.policy
	var jittered time.Duration
	if most := min(p.Retry.Base<<min(c.number-1, 20), p.Retry.Most); most > 0 {
		jittered = time.Duration(c.t.o.Jitter() * float64(most))
	}
	if answer != nil && result == Limited {
		d, said := asked(answer.Header, true, time.Now())
		if !said {
			d = p.Retry.Pause
		}
		c.account.pause(d)
	}
	switch {
	case c.number >= p.Retry.Attempts, !c.again, c.request.Context().Err() != nil:
		return 0, false
	case result == Open, result == Limit, result == Canceled:
		return 0, false
	case err == nil && !p.repeatStatus(result, answer):
		return 0, false
	case !c.safe && !p.nothingDone(result, answer, err):
		return 0, false
	}
	if answer != nil {
		if d, said := asked(answer.Header, result == Limited, time.Now()); said {
			jittered += d
		} else if result == Limited {
			jittered += p.Retry.Pause
		}
	}
	return jittered, c.account.fits(c.request.Context(), jittered)
}

// attempt sends the request once. An answer's body holds the attempt's slot until it ends, is
// closed, or takes too long.
func (c *call) attempt() (*http.Response, Result, error) {
	p, ctx := &c.t.policy, c.request.Context()
	leave, err := c.account.enter(c.request)
	if err != nil {
		if c.number == 1 { // later, the first attempt closed it
			closeBody(c.request)
		}
		return nil, c.notSent(err), err
	}
	done, err := c.account.turn(ctx)
	if err != nil {
		leave()
		if c.number == 1 {
			closeBody(c.request)
		}
		return nil, c.notSent(err), err
	}
	defer done()
	within, cancel := context.WithCancelCause(ctx)
	end := func() { cancel(nil); leave() }
	timer := time.AfterFunc(p.Timeout, func() { cancel(&TimeoutError{Provider: p.Provider, Limit: p.Timeout}) })
	within, span := c.span(within)
	defer span.End()
	sent, err := c.prepare(within)
	if err != nil {
		timer.Stop()
		end()
		return nil, Canceled, err
	}

	var result Result
	var answer *http.Response
	var failed, judged error
	began := time.Now()
	_, err = c.account.breaker.Execute(func() (struct{}, error) {
		answer, failed = c.t.base.RoundTrip(sent) //nolint:bodyclose // the caller closes it, or discard
		failed = ownTimeout(within, ctx, failed)
		took := time.Since(began)
		result = p.result(ctx, answer, failed)
		c.observe(result, took)
		tell(span, answer, result)
		judged = verdict(ctx, result, failed, took)
		return struct{}{}, judged
	})
	if result != "" { // it was sent
		c.account.report(ctx, judged)
	}
	timer.Stop()
	switch {
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests):
		end()
		closeBody(sent)
		c.observe(Open, 0)
		tell(span, nil, Open)
		return nil, Open, c.account.openError()
	case failed != nil:
		end()
		return nil, result, failed
	}
	answer.Request = c.request
	answer.Body = newBody(within, answer.Body, c, cancel, leave)
	return answer, result, nil
}

// prepare is the request of this attempt, with a body of its own after the first.
func (c *call) prepare(ctx context.Context) (*http.Request, error) {
	r := c.request.Clone(ctx)
	if c.number > 1 && c.request.GetBody != nil {
		body, err := c.request.GetBody()
		if err != nil {
			return nil, fmt.Errorf("%s: the request's body again: %w", c.t.policy.Provider, err)
		}
		r.Body = body
	}
	api := c.t.o.API
	if api != nil && r.URL.Scheme == api.Scheme && r.URL.Host == api.Host && strings.HasPrefix(r.URL.Path, api.Path) {
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	}
	return r, nil
}

// notSent tells of an attempt that ended before it began.
func (c *call) notSent(err error) Result {
	result := Canceled
	var open *OpenError
	var limit *LimitError
	switch {
	case errors.As(err, &open):
		result = Open
	case errors.As(err, &limit):
		result = Limit
	case errors.Is(err, context.DeadlineExceeded):
		result = Timeout
	}
	c.observe(result, 0)
	return result
}

func (c *call) observe(result Result, took time.Duration) {
	p := &c.t.policy
	c.t.o.Observer.Attempted(Attempt{Provider: p.Provider, Operation: p.Operation(c.request), Result: result, Number: c.number, Took: took})
}

// ownTimeout is err, or the attempt's own timeout if that is what ended it.
func ownTimeout(within, ctx context.Context, err error) error {
	var timeout *TimeoutError
	if err != nil && ctx.Err() == nil && errors.As(context.Cause(within), &timeout) {
		return timeout
	}
	return err
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}
