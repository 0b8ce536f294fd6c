package cloudflare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	sdk "github.com/cloudflare/cloudflare-go"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	defaultAPI  = "https://api.cloudflare.com/client/v4"
	maxAnswer   = 8 << 20
	callTimeout = 2 * time.Minute
)

// client speaks Cloudflare's API for one account.
type client struct {
	api     *sdk.API
	account string
	http    *http.Client
	base    string
}

func newClient(base string, token preview.Secret, account string, transport http.RoundTripper) (*client, error) {
	c := &client{account: account, http: &http.Client{Transport: edge{transport}}, base: base}
	var err error
	c.api, err = c.as(token)
	return c, err
}

// as is the library's client with a token.
func (c *client) as(token preview.Secret) (*sdk.API, error) {
	return sdk.NewWithAPIToken(token.Reveal(), sdk.BaseURL(c.base), sdk.HTTPClient(c.http),
		sdk.UsingRetryPolicy(0, 0, 0), sdk.UsingRateLimit(math.MaxFloat64), sdk.UserAgent("flaresmith"))
}

// edge makes errors of the answers that say no before the library sees them: of 429 and 5xx it keeps neither the
// body nor Retry-After, and it leaves their bodies open. So is an answer that leads elsewhere, where nobody may get what is sent here.
type edge struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper. Beside the base's errors it returns *apiError.
func (e edge) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := e.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	limited := io.LimitReader(answer.Body, maxAnswer)
	if answer.StatusCode < http.StatusMultipleChoices {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{limited, answer.Body}
		return answer, nil
	}
	defer func() { _ = answer.Body.Close() }()
	failure := &apiError{status: answer.StatusCode, after: outbound.RetryAfter(answer.Header)}
	var said struct {
		Errors json.RawMessage `json:"errors"`
	}
	if err := json.NewDecoder(limited).Decode(&said); err == nil { // a proxy's page has none
		_ = json.Unmarshal(said.Errors, &failure.errors)
	}
	return nil, failure
}

// form is a body that is no JSON.
type form struct {
	contentType string
	content     []byte
}

// call sends one request for the account and decodes the result into into, unless that is nil. The body is nil, a
// *form, or what is sent as JSON.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	_, err := c.send(ctx, c.api, method, path, body, into)
	return err
}

func (c *client) send(ctx context.Context, api *sdk.API, method, path string, body, into any) (sdk.RawResponse, error) {
	return c.sendTo(ctx, api, method, "/accounts/"+url.PathEscape(c.account)+path, body, into)
}

// sendTo is send for what is not below the account.
func (c *client) sendTo(ctx context.Context, api *sdk.API, method, path string, body, into any) (sdk.RawResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var sent any // []byte, so that it can be sent again, or nothing at all
	headers := http.Header{}
	switch body := body.(type) {
	case nil:
	case *form:
		sent = body.content
		headers.Set("Content-Type", body.contentType)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return sdk.RawResponse{}, fmt.Errorf("encode request: %w", err)
		}
		sent = text
	}
	answer, err := api.Raw(ctx, method, path, sent, headers)
	var no *apiError
	var failed *url.Error
	switch {
	case errors.As(err, &no):
		return answer, no
	case errors.As(err, &failed), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return answer, err
	case err == nil && answer.Success && (into == nil || json.Unmarshal(answer.Result, into) == nil):
		return answer, nil
	}
	return answer, preview.Transient(errors.New("cloudflare's answer is not the JSON that it should be")) // what was asked may be done
}

// listed reads all pages of a list, which has at most size things a page.
func listed[T any](ctx context.Context, c *client, path string, query url.Values, size int) ([]T, error) {
	const most = 10_000 // things: a list that has more does not end
	query.Set("per_page", strconv.Itoa(size))
	var all []T
	for page := 1; page <= most/size; page++ {
		query.Set("page", strconv.Itoa(page))
		var some []T
		answer, err := c.send(ctx, c.api, http.MethodGet, path+"?"+query.Encode(), nil, &some)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
		if info := answer.ResultInfo; len(some) == 0 || info == nil && len(some) < size || info != nil && len(all) >= info.Total {
			return all, nil
		}
	}
	return nil, fmt.Errorf("cloudflare's list at %s does not end", path)
}
