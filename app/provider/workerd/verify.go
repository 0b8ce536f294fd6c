package workerd

import (
	"context"
	"io"
	"net"
	"net/http"

	"github.com/flaresmith/flaresmith/app/preview"
)

// maxVerified bounds the body of an answer to preview.Ask.
const maxVerified = 64 << 10

// verify lets a generation that serves nobody yet prove who it is, where that is asked for.
func (i *instance) verify(ctx context.Context, in preview.Inputs) error {
	if in.Verify == nil {
		return nil
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "unix", i.socket)
	}}
	client := &http.Client{Transport: transport, Timeout: answerTimeout, // what a Worker redirects to is none of ours
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return in.Verify(ctx, func(ctx context.Context, path string, headers map[string]string) (int, []byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.name+path, nil)
		if err != nil {
			return 0, nil, err
		}
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		answer, err := client.Do(request)
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxVerified))
		return answer.StatusCode, body, err
	})
}
