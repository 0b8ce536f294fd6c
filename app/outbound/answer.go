package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// longest bounds what a header says, so that no sum overflows.
const longest = (1 << 31) * time.Second

// briefly is the time below which a caller's own deadline says nothing about the provider.
const briefly = time.Second

// errProvesNothing and errServer are told to the breaker, never to a caller.
var (
	errProvesNothing = errors.New("the caller went away")
	errServer        = errors.New("the provider answered with a 5xx")
)

// result names how an attempt ended.
func (p *Policy) result(ctx context.Context, answer *http.Response, err error) Result {
	var timeout net.Error
	switch {
	case err != nil && errors.Is(ctx.Err(), context.Canceled):
		return Canceled
	case err != nil && (errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout()):
		return Timeout
	case err != nil:
		return Network
	case p.Limited(answer):
		return Limited
	case answer.StatusCode >= 500:
		return Failed
	case answer.StatusCode >= 400:
		return Refused
	}
	return OK
}

// verdict is what the breaker makes of an attempt: nil is a success.
func verdict(ctx context.Context, result Result, err error, took time.Duration) error {
	switch result {
	case Canceled:
		return errProvesNothing
	case Timeout:
		if ctx.Err() != nil && took < briefly {
			return errProvesNothing
		}
		return err
	case Network:
		return err
	case Failed:
		return errServer
	}
	return nil
}

// nothingDone reports a failure which proves that the provider did not do what was asked.
func (p *Policy) nothingDone(result Result, answer *http.Response, err error) bool {
	if answer != nil {
		return result == Limited || slices.Contains(p.Retry.Refused, answer.StatusCode)
	}
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

// repeatStatus reports answers that another attempt may change.
func (p *Policy) repeatStatus(result Result, answer *http.Response) bool {
	return result == Limited || slices.Contains(p.Retry.Refused, answer.StatusCode) ||
		answer.StatusCode >= 500 && answer.StatusCode != http.StatusNotImplemented
}

// RetryAfter is how long an answer asks to be left alone, in seconds or by a date; 0: it does not say.
func RetryAfter(h http.Header) time.Duration {
	d, _ := asked(h, false, time.Now())
	return d
}

// asked is how long the provider asks to be left alone; false: it does not say. A moment that has
// passed is zero. limited also reads x-ratelimit-reset, which otherwise only describes the limit.
func asked(h http.Header, limited bool, now time.Time) (time.Duration, bool) {
	for _, name := range []string{"Retry-After", "RetryAfter", "X-RateLimit-RetryAfter"} { // the others are Postman's
		value := h.Get(name)
		if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds >= 0 {
			return time.Duration(min(seconds, int64(longest/time.Second))) * time.Second, true
		}
		if date, err := http.ParseTime(value); err == nil {
			return min(max(date.Sub(now), 0), longest), true
		}
	}
	if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); limited && err == nil && reset > 0 {
		return min(max(time.Unix(min(reset, 1<<40), 0).Sub(now), 0), longest), true
	}
	return 0, false
}

// discard ends an answer that nobody will see, unread: the end of a failed one may never come.
func discard(answer *http.Response) {
	if answer != nil {
		_ = answer.Body.Close()
	}
}

// Stay is the CheckRedirect of clients that send secrets: an answer that leads to another address is not followed, which would get
// the key. It is the answer.
func Stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
