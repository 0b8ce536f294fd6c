package postman

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	defaultAPI  = "https://api.getpostman.com"
	maxAnswer   = 64 << 20
	callTimeout = 60 * time.Second
	// quotaPause is how long nobody is asked once the month's requests are used up: that may last for weeks, and
	// ends early when somebody buys more.
	quotaPause = time.Hour
)

// apiError is an answer of Postman's that says no.
type apiError struct {
	Status  int
	Name    string
	Message string
	after   time.Duration
}

func (e *apiError) Error() string {
	message := e.Message
	const longest = 300
	if len(message) > longest {
		message = strings.ToValidUTF8(message[:longest], "") + "…"
	}
	return fmt.Sprintf("postman answers %d: %s", e.Status, strings.TrimSpace(e.Name+" "+message))
}

// quotaError says that the month's requests are used up.
type quotaError struct{ until time.Time }

func (e *quotaError) Error() string {
	return "the requests of Postman's plan are used up for this month; usage is on Postman's resource usage page"
}

// status is that of an apiError, or 0.
func status(err error) int {
	var api *apiError
	if errors.As(err, &api) {
		return api.Status
	}
	return 0
}

// classify gives an error its class; one that has a class keeps it.
func classify(err error) error {
	if err == nil || preview.Classify(err) != preview.ClassPermanent {
		return err
	}
	var quota *quotaError
	if errors.As(err, &quota) {
		return &preview.TransientError{After: max(time.Until(quota.until), time.Second), Err: err}
	}
	var api *apiError
	if !errors.As(err, &api) {
		return transientFailure(err)
	}
	switch {
	case api.Status == http.StatusNotFound:
		return fmt.Errorf("%w: %w", preview.ErrNotFound, err)
	case api.Status == http.StatusLocked, api.Status == http.StatusTooManyRequests, api.Status == http.StatusRequestTimeout,
		api.Status >= http.StatusInternalServerError:
		return &preview.TransientError{After: api.after, Err: err}
	}
	return err
}

// transientFailure is a call without an answer: the network's, a limit's, or the caller's that went away.
func transientFailure(err error) error {
	var wait interface{ RetryAfter() time.Duration }
	if errors.As(err, &wait) {
		return &preview.TransientError{After: wait.RetryAfter(), Err: err}
	}
	var sent *url.Error
	if errors.As(err, &sent) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, io.ErrUnexpectedEOF) {
		return preview.Transient(err)
	}
	return err
}

// client speaks Postman's API.
type client struct {
	http *http.Client
	base string
	key  preview.Secret
	log  *slog.Logger

	mu     sync.Mutex
	usedUp time.Time // until then nobody is asked: the month's requests are used up
}

// call sends one request and decodes the answer into into, unless that is nil.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	if err := c.quota(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return preview.Transient(fmt.Errorf("read answer: %w", err))
	}
	var failure *apiError
	if answer.StatusCode >= http.StatusMultipleChoices {
		failure = refused(answer, text)
	}
	usedUp := c.note(answer.Header, failure)
	if failure != nil && failure.Status == http.StatusTooManyRequests && usedUp {
		return c.quota()
	}
	if failure != nil {
		return failure
	}
	if into == nil {
		into = &map[string]json.RawMessage{}
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return preview.Transient(errors.New("postman's answer is not the JSON that it should be")) // what was asked may be done
	}
	return nil
}

// send makes the request. Its body's length is known, as Postman wants it.
func (c *client) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		sent = bytes.NewReader(text) // the transport can read it again
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, sent)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("X-API-Key", c.key.Reveal())
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return c.http.Do(request)
}

// refused is the error of an answer that is none of success. A proxy's page has neither name nor message.
func refused(answer *http.Response, text []byte) *apiError {
	var body struct {
		Error struct {
			Name    string `json:"name"`
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(text, &body)
	return &apiError{Status: answer.StatusCode, Name: body.Error.Name, Message: body.Error.Message, after: outbound.RetryAfter(answer.Header)}
}

// note looks at what is left of the month and reports whether that is nothing.
func (c *client) note(h http.Header, failure *apiError) bool {
	left := h.Get("RateLimit-Remaining-Month")
	if left == "" {
		left = h.Get("X-RateLimit-Remaining-Month")
	}
	n, err := strconv.ParseInt(left, 10, 64)
	if (err != nil || n > 0) && (failure == nil || failure.Name != "serviceLimitExhausted") {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.usedUp = time.Now().Add(quotaPause)
	c.log.Warn("the requests of the plan are used up for this month", "provider", "postman", "until", c.usedUp)
	return true
}

// quota is the error for a call while the month's requests are used up.
func (c *client) quota() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Now().Before(c.usedUp) {
		return &quotaError{c.usedUp}
	}
	return nil
}
