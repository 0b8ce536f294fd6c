package workerd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// DatabaseAddress is the host and port in the connection string that a Worker sees. Nothing
// listens there: it is the one name that the way out of the process knows.
const DatabaseAddress = "127.88.0.1:5432"

// egress is the only way out of one Worker's process: an HTTP proxy on a Unix socket. It knows
// one destination, the database, and drops everything else.
type egress struct {
	path     string
	server   *http.Server
	database *database // nil: this preview has no database
	logs     *logs
	serving  sync.WaitGroup

	mu     sync.Mutex
	closed bool // no session may begin any more
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
	e := &egress{path: path, database: database, logs: logs}
	e.server = &http.Server{
		Handler:           e,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       10 * time.Second,
		MaxHeaderBytes:    16 << 10,
		// What goes wrong here is the Worker's own doing; net/http's notes help nobody.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	e.serving.Go(func() { _ = e.server.Serve(listener) })
	return e, nil
}

// ServeHTTP answers the process: CONNECT to the database is a connection, all else is refused.
func (e *egress) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodConnect {
		e.logs.add(Supervisor, fmt.Sprintf("refused a fetch to %q: a preview reaches its database only", clip(req.Host)))
		// Without an answer the fetch throws, as for any unreachable host.
		panic(http.ErrAbortHandler)
	}
	if e.database == nil || req.Host != DatabaseAddress {
		e.logs.add(Supervisor, fmt.Sprintf("refused a connection to %q: a preview reaches its database only", clip(req.Host)))
		w.WriteHeader(http.StatusForbidden)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	if !e.begin() {
		return
	}
	defer e.serving.Done()
	if _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); err != nil {
		return
	}
	if err := e.database.serve(context.WithoutCancel(req.Context()), conn, buffered.Reader); err != nil {
		e.logs.add(Supervisor, "database connection: "+err.Error())
	}
}

// begin counts one more session, unless close was called.
func (e *egress) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.serving.Add(1)
	}
	return !e.closed
}

// close ends every connection and waits for them.
func (e *egress) close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	_ = e.server.Close()
	if e.database != nil {
		e.database.close()
	}
	e.serving.Wait()
}
