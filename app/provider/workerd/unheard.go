package workerd

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

const (
	// heldBody is the size up to which a request's body is kept, so that the request can be sent again.
	heldBody = 64 << 10
	// unheardTries is how often a request is sent that the runtime hung up on before it had a byte of it.
	unheardTries = 3
)

// unheard sends a request once more, on another connection, when the runtime hung up before a byte of it was
// taken: then nobody has acted on it, whatever its method.
type unheard struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (u unheard) RoundTrip(r *http.Request) (*http.Response, error) {
	body, again, err := hold(r)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		var taken *takenConn
		out := r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			GotConn: func(info httptrace.GotConnInfo) { taken, _ = info.Conn.(*takenConn) },
		}))
		if body != nil {
			out.Body = io.NopCloser(bytes.NewReader(body))
		}
		answer, err := u.base.RoundTrip(out)
		if err == nil || !again || try >= unheardTries || taken == nil || taken.bytes.Load() > 0 || r.Context().Err() != nil {
			return answer, err
		}
	}
}

// hold reads a small body, and says whether the request can be sent again.
func hold(r *http.Request) (body []byte, again bool, err error) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return nil, true, nil
	case r.ContentLength <= 0 || r.ContentLength > heldBody:
		return nil, false, nil
	}
	body, err = io.ReadAll(r.Body)
	_ = r.Body.Close()
	return body, true, err
}

// takenConn counts what the other side's socket took.
type takenConn struct {
	net.Conn
	bytes atomic.Int64
}

// Write implements net.Conn.
func (c *takenConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// counted dials connections that count.
func counted(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &takenConn{Conn: conn}, nil
	}
}
