package neon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	defaultAPI  = "https://console.neon.tech/api/v2"
	maxAnswer   = 8 << 20
	callTimeout = 30 * time.Second
)

// apiError is an answer of Neon's that says no. It never holds a request's or an answer's secrets.
type apiError struct {
	Status  int
	Code    string `json:"code"`
	Message string `json:"message"`
	after   time.Duration
}

func (e *apiError) Error() string {
	message := e.Message
	const longest = 300
	if len(message) > longest {
		message = message[:longest] + "…"
	}
	return fmt.Sprintf("neon answers %d: %s", e.Status, strings.TrimSpace(e.Code+" "+message))
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
	var api *apiError
	if !errors.As(err, &api) {
		return transientFailure(err)
	}
	switch {
	case api.Status == http.StatusNotFound:
		return fmt.Errorf("%w: %w", preview.ErrNotFound, err)
	case api.Status == http.StatusLocked, api.Status == http.StatusTooManyRequests, api.Status >= http.StatusInternalServerError,
		api.Status == http.StatusRequestTimeout, limited(err):
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

// client speaks Neon's API for one project.
type client struct {
	http    *http.Client
	base    string
	key     preview.Secret
	project string
}

// call sends one request for the project and decodes the answer into into, unless that is nil.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		sent = bytes.NewReader(text) // the transport can read it again
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+"/projects/"+url.PathEscape(c.project)+path, sent)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return preview.Transient(fmt.Errorf("read answer: %w", err))
	}
	if answer.StatusCode >= http.StatusMultipleChoices {
		failure := &apiError{}
		_ = json.Unmarshal(text, failure) // a proxy's page has neither code nor message
		failure.Status, failure.after = answer.StatusCode, outbound.RetryAfter(answer.Header)
		return failure
	}
	if len(text) == 0 {
		return nil
	}
	if into == nil {
		into = &json.RawMessage{}
	}
	if err := json.Unmarshal(text, into); err != nil {
		return preview.Transient(errors.New("neon's answer is not the JSON that it should be")) // what was asked may be done
	}
	return nil
}
