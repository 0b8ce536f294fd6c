package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Bounds of what a limit may make a caller wait.
const (
	leastWait = time.Second
	mostWait  = time.Hour
	// secondaryWait is GitHub's advice where a limit names no time.
	secondaryWait = time.Minute
)

// classify turns an error of a call about what into one of preview's classes. Errors that are
// classed already pass through; a body never becomes part of the text.
func classify(err error, what string) error {
	if err == nil {
		return nil
	}
	var (
		transient *preview.TransientError
		later     interface { // a call that was not made: the breaker is open, or a limit used up
			error
			RetryAfter() time.Duration
		}
		token     *ghinstallation.HTTPError
		rate      *gh.RateLimitError
		secondary *gh.AbuseRateLimitError
		answer    *gh.ErrorResponse
	)
	switch {
	case errors.As(err, &transient), errors.Is(err, preview.ErrNotFound), errors.Is(err, preview.ErrGone):
		return err
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", what, context.Canceled)
	case errors.As(err, &later): // before the token's: it may be inside
		return wait(later.RetryAfter(), "%s: %w", what, later)
	case errors.As(err, &token):
		return classifyToken(token, what)
	case errors.As(err, &rate):
		return wait(time.Until(rate.Rate.Reset.Time), "%s: GitHub's rate limit is used up", what)
	case errors.As(err, &secondary):
		if secondary.RetryAfter != nil {
			return wait(*secondary.RetryAfter, "%s: GitHub's secondary rate limit", what)
		}
		return wait(secondaryWait, "%s: GitHub's secondary rate limit", what)
	case errors.As(err, &answer):
		return classifyAnswer(answer, what)
	case isNetwork(err):
		return preview.Transient(fmt.Errorf("%s: GitHub did not answer: %w", what, err))
	}
	return fmt.Errorf("%s: %w", what, err)
}

func classifyAnswer(answer *gh.ErrorResponse, what string) error {
	response := answer.Response
	switch code := response.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("%s: %w", what, preview.ErrNotFound)
	case code == http.StatusTooManyRequests,
		code == http.StatusForbidden && (response.Header.Get("Retry-After") != "" || response.Header.Get("X-RateLimit-Remaining") == "0"):
		return wait(retryAfter(response.Header), "%s: GitHub's rate limit", what)
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusConflict:
		return &preview.TransientError{After: min(outbound.RetryAfter(response.Header), mostWait), Err: fmt.Errorf("%s: GitHub answered %d", what, code)}
	default:
		return fmt.Errorf("%s: GitHub answered %d: %s", what, code, details(answer))
	}
}

// classifyToken classes a failed attempt to get an installation's token. 404 is an installation
// that is gone; 401 is our own key or clock, which must not look as if every repository were gone.
func classifyToken(failed *ghinstallation.HTTPError, what string) error {
	if failed.Response == nil {
		return preview.Transient(fmt.Errorf("%s: GitHub did not answer for a token", what))
	}
	defer func() { _ = failed.Response.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(failed.Response.Body, 4<<10))
	answer := &gh.ErrorResponse{Response: failed.Response}
	if json.Unmarshal(text, answer) != nil {
		answer.Message = ""
	}
	switch code := failed.Response.StatusCode; {
	case code == http.StatusNotFound:
		return fmt.Errorf("%s: token of installation %d: %w", what, failed.InstallationID, preview.ErrGone)
	case code == http.StatusUnauthorized:
		return fmt.Errorf("%s: GitHub refuses the App's key or this machine's clock: %s", what, details(answer))
	case code == http.StatusUnprocessableEntity && outOfReach(answer.Message):
		return fmt.Errorf("%s: the repository is not in installation %d: %w", what, failed.InstallationID, preview.ErrGone)
	case code == http.StatusUnprocessableEntity && strings.Contains(strings.ToLower(answer.Message), "permission"):
		return fmt.Errorf("%s: %w: %s", what, preview.ErrNotPermitted, details(answer))
	}
	return classifyAnswer(answer, what+": token")
}

// outOfReach tells a token refused for its repository from one refused for its permissions: for
// both GitHub answers 422 and no code, so its words decide.
func outOfReach(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "repositor") && !strings.Contains(message, "permission")
}

// details is GitHub's own short explanation.
func details(answer *gh.ErrorResponse) string {
	parts := []string{answer.Message}
	for _, e := range answer.Errors {
		parts = append(parts, strings.Join(strings.Fields(e.Resource+" "+e.Field+" "+e.Code+" "+e.Message), " "))
	}
	text := strings.TrimSuffix(strings.Join(parts, "; "), "; ")
	return clip(strings.Join(strings.Fields(text), " "), 300)
}

func wait(after time.Duration, format string, args ...any) error {
	return &preview.TransientError{After: min(max(after, leastWait), mostWait), Err: fmt.Errorf(format, args...)}
}

func retryAfter(h http.Header) time.Duration {
	if after := outbound.RetryAfter(h); after > 0 {
		return after
	}
	if reset, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64); err == nil {
		return time.Until(time.Unix(reset, 0))
	}
	return secondaryWait
}

func isNetwork(err error) bool {
	var network net.Error
	var address *url.Error
	var syntax *json.SyntaxError // a proxy's page instead of an answer
	return errors.As(err, &network) || errors.As(err, &address) || errors.As(err, &syntax) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// clip bounds text to a number of characters.
func clip(text string, characters int) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if utf8.RuneCountInString(text) <= characters {
		return text
	}
	return string([]rune(text)[:characters-1]) + "…"
}
