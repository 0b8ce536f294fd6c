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

// prove is verify for as long as the process that first started lives: one that dies over the question need not be asked
// for a minute, and the supervisor's next one would only die again.
func (rt *Runtime) prove(ctx context.Context, i *instance, first *process, in preview.Inputs) error {
	within, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-first.exited:
		case <-rt.closing:
		case <-within.Done():
		}
		cancel()
	}()
	err := i.verify(within, in)
	cancel()
	<-watched
	if err == nil || ctx.Err() != nil {
		return err
	}
	select {
	case <-rt.closing:
		return errClosed
	default:
	}
	select {
	case <-first.exited:
		return first.problem(i)
	default:
		return err
	}
}

// problem is what its user must know of a process that ended before it proved who it is.
func (p *process) problem(i *instance) error {
	p.mu.Lock()
	killed := p.killed
	p.mu.Unlock()
	if killed == "" {
		return startProblem(i.launch.head.get(), p.ending(), i.redactor)
	}
	return preview.Invalid("the Worker does not start", preview.Problem{Message: killed + " before it answered.",
		Hint: "It was asked which environment it is, as every new version is. Push a fix, or comment /flaresmith rebuild."})
}

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
