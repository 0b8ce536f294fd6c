package workerd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// DatabaseAddress is the host and port in the connection string that a Worker sees. Nothing
// listens there: it is the one name that the way out of the process knows.
const DatabaseAddress = "127.88.0.1:5432"

const (
	maxEgressConns = 256
	maxEgressHead  = 16 << 10
	egressTimeout  = 10 * time.Second // for the head of a request
)

// egress is the only way out of one Worker's process: an HTTP proxy on a Unix socket. It knows
// one destination, the database, and drops everything else.
//
// It reads requests by itself, one a connection: workerd leaves out the Host header towards a
// proxy, which net/http's server answers with 400 where a fetch must fail.
type egress struct {
	listener net.Listener
	database *database // nil: this preview has no database
	logs     *logs
	serving  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{}
}

// listenEgress starts to serve on path. The socket belongs to uid when that is not zero.
func listenEgress(path string, uid int, database *database, logs *logs) (*egress, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the way to the database: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if uid != 0 {
		if err := os.Chown(path, uid, uid); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
	}
	e := &egress{listener: listener, database: database, logs: logs, conns: map[net.Conn]struct{}{}}
	e.serving.Go(e.accept)
	return e, nil
}

func (e *egress) accept() {
	for {
		conn, err := e.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors: the next one may be lucky
			time.Sleep(egressTimeout / 100)
		case e.begin(conn):
			e.serving.Go(func() {
				defer e.end(conn)
				e.answer(conn)
			})
		default:
			_ = conn.Close()
		}
	}
}

// answer serves one connection of the process. CONNECT to the database is a session, all else is
// refused: a CONNECT with 403, a fetch with no answer at all, so that it throws.
func (e *egress) answer(conn net.Conn) {
	if err := conn.SetDeadline(time.Now().Add(egressTimeout)); err != nil {
		return
	}
	limited := &io.LimitedReader{R: conn, N: maxEgressHead}
	reader := bufio.NewReader(limited)
	req, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	limited.N = math.MaxInt64
	switch {
	case req.Method != http.MethodConnect:
		e.logs.add(Supervisor, fmt.Sprintf("refused a fetch to %q: a preview reaches its database only", clip(req.Host)))
		return
	case e.database == nil || req.Host != DatabaseAddress:
		e.logs.add(Supervisor, fmt.Sprintf("refused a connection to %q: a preview reaches its database only", clip(req.Host)))
		_, _ = io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	// A session ends with its connections, which close does; it has no context of its own.
	if err := e.database.serve(context.Background(), conn, reader); err != nil {
		e.logs.add(Supervisor, "database connection: "+err.Error())
	}
}

// begin lets a connection in, unless there are too many or close was called.
func (e *egress) begin(conn net.Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.conns) >= maxEgressConns {
		return false
	}
	e.conns[conn] = struct{}{}
	return true
}

func (e *egress) end(conn net.Conn) {
	_ = conn.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, conn)
}

// close ends every connection and waits for them.
func (e *egress) close() {
	_ = e.listener.Close()
	e.mu.Lock()
	e.closed = true
	for conn := range e.conns {
		_ = conn.Close()
	}
	e.mu.Unlock()
	if e.database != nil {
		e.database.close()
	}
	e.serving.Wait()
}
