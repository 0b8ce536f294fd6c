package workflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/sethvargo/go-retry"
)

const (
	callTimeout = 20 * time.Second
	readTries   = 4
)

// errNoToken says that there is nothing to call the API with.
var errNoToken = errors.New("the step has no token")

// client is for the API of the run's GitHub, which may be an Enterprise Server.
func (s *Step) client() (*gh.Client, error) {
	if s.Token() == "" {
		return nil, errNoToken
	}
	client, err := gh.NewClient(&http.Client{Timeout: callTimeout}).WithAuthToken(s.Token()).WithEnterpriseURLs(s.context.APIURL, s.context.APIURL)
	if err != nil {
		return nil, fmt.Errorf("GITHUB_API_URL is no address")
	}
	return client, nil
}

// read makes a call that changes nothing, again where that may help.
func read(ctx context.Context, call func(ctx context.Context) error) error {
	backoff := retry.WithMaxRetries(readTries-1, retry.WithJitterPercent(20, retry.NewExponential(300*time.Millisecond)))
	return retry.Do(ctx, backoff, func(ctx context.Context) error {
		err := call(ctx)
		if passing(err) {
			return retry.RetryableError(err)
		}
		return err
	})
}

// passing reports whether a fault may be over in a moment.
func passing(err error) bool {
	var answer *gh.ErrorResponse
	var network net.Error
	var limited *gh.RateLimitError
	var secondary *gh.AbuseRateLimitError
	return errors.As(err, &answer) && answer.Response.StatusCode >= http.StatusInternalServerError ||
		errors.As(err, &network) && !errors.Is(err, context.Canceled) || errors.As(err, &limited) || errors.As(err, &secondary)
}

// refused reports whether the token may not do this: GitHub says 403, or 404 where it hides things.
func refused(err error) bool {
	var answer *gh.ErrorResponse
	return errors.As(err, &answer) && (answer.Response.StatusCode == http.StatusForbidden || answer.Response.StatusCode == http.StatusNotFound ||
		answer.Response.StatusCode == http.StatusUnauthorized)
}

// tellable is an error of a call without what an answer or address may hold.
func tellable(err error) string {
	var answer *gh.ErrorResponse
	var limited *gh.RateLimitError
	var secondary *gh.AbuseRateLimitError
	switch {
	case errors.As(err, &limited), errors.As(err, &secondary):
		return "GitHub's rate limit is used up"
	case errors.As(err, &answer):
		return fmt.Sprintf("GitHub answered %d", answer.Response.StatusCode)
	case errors.Is(err, context.DeadlineExceeded):
		return "GitHub did not answer in time"
	case errors.Is(err, errNoToken):
		return errNoToken.Error()
	}
	return "GitHub can't be reached"
}
