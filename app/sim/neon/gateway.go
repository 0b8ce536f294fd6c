package neon

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	sslRequest  = 80877103 // PostgreSQL's protocol, "SSLRequest"
	helloWithin = 10 * time.Second
	wakeWithin  = 15 * time.Second
)

// gateway is the one port of all branches. It reads the host name from the TLS greeting and hands the
// connection, still sealed, to the branch's cluster, so that channel binding works as with Neon. A client that greets
// no endpoint's host names the endpoint in its first message instead.
type gateway struct {
	server   *Server
	listener net.Listener

	mu    sync.Mutex
	conns map[net.Conn]string // by the branch that they reach; "": none yet
}

func newGateway(s *Server) (*gateway, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(s.ctx, "tcp", net.JoinHostPort(s.gateAddress().String(), "0"))
	if err != nil {
		return nil, fmt.Errorf("sim/neon: gateway: %w", err)
	}
	return &gateway{server: s, listener: listener, conns: map[net.Conn]string{}}, nil
}

func (g *gateway) port() int { return g.listener.Addr().(*net.TCPAddr).Port }

// Dial connects to a branch by its host name, which no resolver but a browser's knows; it fits pgconn's DialFunc.
func (s *Server) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, s.gate.listener.Addr().String())
}

func (g *gateway) serve() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.track(conn, "")
		g.server.work.Go(func() {
			defer g.drop(conn)
			if err := g.handle(conn); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				g.server.log.Debug("gateway", "err", err)
			}
		})
	}
}

func (g *gateway) close() error {
	err := g.listener.Close()
	g.cut(func(string) bool { return true })
	return err
}

// cut ends the connections of the branches that match.
func (g *gateway) cut(match func(branch string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn, branch := range g.conns {
		if match(branch) {
			_ = conn.Close()
		}
	}
}

func (g *gateway) track(conn net.Conn, branch string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conns[conn] = branch
}

func (g *gateway) drop(conn net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, conn)
	_ = conn.Close()
}

func (g *gateway) handle(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(helloWithin))
	start := make([]byte, 8)
	if _, err := io.ReadFull(conn, start); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(start[4:]) != sslRequest {
		return refuse(conn, "connection is insecure (try using `sslmode=require`)")
	}
	if _, err := conn.Write([]byte{'S'}); err != nil {
		return err
	}
	hello, host, err := readHello(conn)
	if err != nil {
		return err
	}
	sealed := tls.Server(&replayed{Conn: conn, first: bytes.NewReader(hello)},
		&tls.Config{Certificates: []tls.Certificate{g.server.tls.pair}, MinVersion: tls.VersionTLS12})
	if !strings.HasSuffix(host, "."+domain) {
		return g.relay(conn, sealed)
	}
	first, _, _ := strings.Cut(host, ".")
	branch, port, err := g.wake(first)
	if err != nil {
		if _, readErr := io.ReadFull(sealed, start); readErr != nil {
			return readErr
		}
		return refuse(sealed, err.Error())
	}
	g.track(conn, branch)
	return g.splice(conn, hello, port)
}

// wake waits for the compute of an endpoint to answer: a first connection may be a cold one.
func (g *gateway) wake(endpoint string) (branch string, port int, err error) {
	id := strings.TrimSuffix(endpoint, "-pooler")
	ctx, cancel := context.WithTimeout(g.server.ctx, wakeWithin)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		branch, port, state := g.server.compute(id)
		switch state {
		case "":
			return "", 0, fmt.Errorf("the requested endpoint could not be found, or you don't have access to it")
		case "active":
			return branch, port, nil
		case "idle":
			g.server.wakeUp(id)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", 0, errors.New("the endpoint did not start in time")
		}
	}
}

// compute is where an endpoint is, and its state; an empty state: there is none.
func (s *Server) compute(endpoint string) (branch string, port int, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.project.branches {
		if b.endpoint != nil && b.endpoint.id == endpoint && !b.deleting {
			if b.endpoint.state == "active" {
				return b.id, b.cluster.Port(), "active"
			}
			return b.id, 0, b.endpoint.state
		}
	}
	return "", 0, ""
}

// splice hands the connection to the cluster with what was read of it.
func (g *gateway) splice(conn net.Conn, hello []byte, port int) error {
	ctx, cancel := context.WithTimeout(g.server.ctx, helloWithin)
	defer cancel()
	cluster, err := g.knock(ctx, port)
	if err != nil {
		return err
	}
	defer func() { _ = cluster.Close() }()
	if _, err := cluster.Write(hello); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	return both(conn, cluster)
}

// refuse says why in PostgreSQL's words.
func refuse(w io.Writer, message string) error {
	text, err := (&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "08006", Message: message}).Encode(nil)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

var errSeen = errors.New("the greeting was read")

// readHello reads a TLS greeting without answering it, and tells the host that it asks for.
func readHello(conn net.Conn) (hello []byte, host string, err error) {
	var read bytes.Buffer
	seen := false
	peek := tls.Server(&replayed{Conn: readOnly{conn}, first: io.TeeReader(conn, &read)}, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			host, seen = info.ServerName, true
			return nil, errSeen
		},
	})
	if err := peek.Handshake(); !seen {
		return nil, "", fmt.Errorf("greeting: %w", err)
	}
	return read.Bytes(), host, nil
}

// replayed reads first before it reads the connection.
type replayed struct {
	net.Conn
	first io.Reader
}

// Read implements net.Conn.
func (r *replayed) Read(p []byte) (int, error) {
	n, err := r.first.Read(p)
	if n == 0 && errors.Is(err, io.EOF) {
		return r.Conn.Read(p)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// readOnly swallows what is written: an alert for a greeting that we only look at.
type readOnly struct{ net.Conn }

// Write implements net.Conn.
func (readOnly) Write(p []byte) (int, error) { return len(p), nil }
