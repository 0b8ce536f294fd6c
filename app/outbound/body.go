package outbound

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// body is an answer's body under the policy's BodyTimeout. It gives its slot back when it ends,
// fails, is closed, or takes too long, whichever is first: a caller that forgets it leaks nothing.
type body struct {
	inner  io.ReadCloser
	call   *call
	within context.Context //nolint:containedctx // of this one answer
	end    func()
	failed bool // and told to the breaker
}

func newBody(within context.Context, inner io.ReadCloser, c *call, cancel context.CancelCauseFunc, leave func()) *body {
	p := &c.t.policy
	timer := time.AfterFunc(p.BodyTimeout, func() {
		cancel(&TimeoutError{Provider: p.Provider, Limit: p.BodyTimeout, Body: true})
	})
	b := &body{inner: inner, call: c, within: within}
	b.end = sync.OnceFunc(func() {
		timer.Stop()
		leave()
		cancel(nil)
	})
	context.AfterFunc(within, b.end)
	return b
}

// Read implements io.Reader. A body that breaks off counts against the provider.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.inner.Read(p)
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF):
		b.end()
		return n, err
	}
	ctx := b.call.request.Context()
	err = ownTimeout(b.within, ctx, err)
	if b.failed {
		return n, err
	}
	b.failed = true
	if b.within.Err() == nil || errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		_, _ = b.call.account.breaker.Execute(func() (struct{}, error) { return struct{}{}, err })
		b.call.account.report(ctx, err)
	}
	b.end()
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	err := b.inner.Close()
	b.end()
	return err
}
