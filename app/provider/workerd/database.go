package workerd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	maxDatabaseConns = 32
	handshakeTimeout = 15 * time.Second // from the first byte until the session is ready
	dialTimeout      = 5 * time.Second
	idleTimeout      = 15 * time.Minute
	maxStartup       = 10_000
	maxGreeting      = 1 << 20 // one message of the server before the session is ready
)

// The codes that a startup packet may have instead of a protocol version.
const (
	codeCancel = 80877102
	codeSSL    = 80877103
	codeGSS    = 80877104
)

// startupParameter reports whether a client may set a parameter in its startup packet. "user"
// and "database" are pinned; "options" and "replication" would reach past them.
func startupParameter(name string) bool {
	switch name {
	case "application_name", "client_encoding", "DateStyle", "datestyle", "IntervalStyle", "intervalstyle",
		"TimeZone", "timezone", "extra_float_digits", "search_path", "statement_timeout", "lock_timeout",
		"idle_in_transaction_session_timeout":
		return true
	}
	return false
}

// database forwards Postgres sessions to one server, always as one user and to one database.
type database struct {
	config *pgconn.Config

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]struct{} // both ends of every session
	count  int                   // sessions that were let in
	keys   map[string]struct{}   // cancel keys that the server gave to these sessions
}

// newDatabase takes the connection string of the preview's own role, and returns the one that
// the Worker gets: same user, password and database, and the address of the pinned way.
func newDatabase(secret preview.Secret) (*database, preview.Secret, error) {
	config, err := pgconn.ParseConfig(secret.Reveal())
	if err != nil || config.Host == "" || config.User == "" || config.Database == "" {
		// The parser's error quotes the string.
		return nil, "", errors.New("the database's connection string can't be read, or lacks host, user or database")
	}
	seen := url.URL{Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: DatabaseAddress, Path: "/" + config.Database}
	d := &database{config: config, conns: map[net.Conn]struct{}{}, keys: map[string]struct{}{}}
	return d, preview.Secret(seen.String()), nil
}

// serve runs one connection to its end. An error says what was refused or out of reach, in words
// without a secret.
func (d *database) serve(ctx context.Context, client net.Conn, reader *bufio.Reader) error {
	if !d.track(client) {
		return nil
	}
	defer d.untrack(client)
	if err := client.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	packet, err := readStartup(client, reader)
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint32(packet) == codeCancel {
		return d.cancel(ctx, packet)
	}
	startup, err := d.pin(packet)
	if err != nil {
		return err
	}
	if !d.enter() {
		refuse(client, "53300", "too many connections from this preview")
		return fmt.Errorf("more than %d connections at once", maxDatabaseConns)
	}
	defer d.leave()
	server, err := d.dial(ctx)
	if err != nil {
		refuse(client, "08006", "the database is out of reach")
		return err
	}
	if !d.track(server) {
		return server.Close()
	}
	defer d.untrack(server)
	return d.relay(client, reader, server, startup)
}

// readStartup reads packets until one is more than a question about encryption, which is none here.
func readStartup(client net.Conn, reader *bufio.Reader) ([]byte, error) {
	for range 3 {
		var head [4]byte
		if _, err := io.ReadFull(reader, head[:]); err != nil {
			return nil, errors.New("closed before the startup packet")
		}
		size := binary.BigEndian.Uint32(head[:])
		if size < 8 || size > maxStartup {
			return nil, errors.New("not a Postgres startup packet")
		}
		packet := make([]byte, size-4)
		if _, err := io.ReadFull(reader, packet); err != nil {
			return nil, errors.New("closed within the startup packet")
		}
		switch binary.BigEndian.Uint32(packet) {
		case codeSSL, codeGSS:
			if _, err := client.Write([]byte("N")); err != nil {
				return nil, errors.New("closed before the startup packet")
			}
		default:
			return packet, nil
		}
	}
	return nil, errors.New("no startup packet after three attempts to encrypt")
}

// pin rewrites a startup packet.
func (d *database) pin(packet []byte) ([]byte, error) {
	var asked pgproto3.StartupMessage
	if err := asked.Decode(packet); err != nil {
		return nil, errors.New("not a Postgres startup packet")
	}
	pinned := pgproto3.StartupMessage{ProtocolVersion: asked.ProtocolVersion, Parameters: map[string]string{}}
	for name, value := range asked.Parameters {
		if startupParameter(name) {
			pinned.Parameters[name] = value
		}
	}
	pinned.Parameters["user"] = d.config.User
	pinned.Parameters["database"] = d.config.Database
	raw, err := pinned.Encode(nil)
	if err != nil {
		return nil, errors.New("the startup packet can't be written again")
	}
	return raw, nil
}

// relay forwards both ways until one side ends or nothing was said for idleTimeout.
func (d *database) relay(client net.Conn, reader *bufio.Reader, server net.Conn, startup []byte) error {
	if err := server.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return err
	}
	if _, err := server.Write(startup); err != nil {
		return errors.New("the database closed the connection")
	}
	hangUp := func() { _ = client.Close(); _ = server.Close() }
	idle := time.AfterFunc(idleTimeout, hangUp)
	defer idle.Stop()
	var upward sync.WaitGroup
	upward.Go(func() {
		defer hangUp()
		_, _ = io.Copy(server, watched{reader, idle})
	})
	fromServer := bufio.NewReader(server)
	key, err := greet(client, fromServer)
	if key != "" {
		d.remember(key)
		defer d.forget(key)
	}
	if err == nil {
		_ = client.SetDeadline(time.Time{})
		_ = server.SetDeadline(time.Time{})
		_, _ = io.Copy(client, watched{fromServer, idle})
	}
	hangUp()
	upward.Wait()
	return nil // how a session ends is between the Worker and its database
}

// greet forwards the server's messages up to the first ReadyForQuery, and returns the cancel key.
func greet(client io.Writer, server io.Reader) (key string, err error) {
	for {
		var head [5]byte
		if _, err := io.ReadFull(server, head[:]); err != nil {
			return key, err
		}
		size := binary.BigEndian.Uint32(head[1:])
		if size < 4 || size > maxGreeting {
			return key, errors.New("not a Postgres server")
		}
		message := make([]byte, 5+size-4)
		copy(message, head[:])
		if _, err := io.ReadFull(server, message[5:]); err != nil {
			return key, err
		}
		if head[0] == 'K' {
			key = string(message[5:])
		}
		if _, err := client.Write(message); err != nil || head[0] == 'Z' {
			return key, err
		}
	}
}

// cancel forwards a request that names a session of this preview.
func (d *database) cancel(ctx context.Context, packet []byte) error {
	d.mu.Lock()
	_, known := d.keys[string(packet[4:])]
	d.mu.Unlock()
	if !known {
		return errors.New("a cancel request that names no session of this preview")
	}
	server, err := d.dial(ctx)
	if err != nil {
		return err
	}
	if !d.track(server) {
		return server.Close()
	}
	defer d.untrack(server)
	_ = server.SetDeadline(time.Now().Add(dialTimeout))
	size := binary.BigEndian.AppendUint32(nil, uint32(len(packet)+4)) //nolint:gosec // at most maxStartup
	if _, err := server.Write(append(size, packet...)); err != nil {
		return errors.New("the database closed the connection")
	}
	_, _ = io.Copy(io.Discard, server) // the server closes when it has done it
	return nil
}

// dial connects to the real server, encrypted as the connection string says.
func (d *database) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var dialer net.Dialer
	network, address := pgconn.NetworkAddress(d.config.Host, d.config.Port)
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, errors.New("the database is out of reach")
	}
	if d.config.TLSConfig == nil {
		return conn, nil
	}
	encrypted, err := d.encrypt(ctx, conn)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return encrypted, nil
}

func (d *database) encrypt(ctx context.Context, conn net.Conn) (net.Conn, error) {
	_ = conn.SetDeadline(time.Now().Add(dialTimeout))
	defer func() { _ = conn.SetDeadline(time.Time{}) }()
	question := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 8), codeSSL)
	if _, err := conn.Write(question); err != nil {
		return nil, errors.New("the database closed the connection")
	}
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return nil, errors.New("the database closed the connection")
	}
	if answer[0] == 'S' {
		secure := tls.Client(conn, d.config.TLSConfig)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.New("the database's certificate is not accepted")
		}
		return secure, nil
	}
	for _, fallback := range d.config.Fallbacks {
		if fallback.TLSConfig == nil && answer[0] == 'N' {
			return conn, nil // sslmode=prefer, or allow
		}
	}
	return nil, errors.New("the database refuses encryption")
}

// refuse tells the client why, in Postgres' words.
func refuse(client net.Conn, code, message string) {
	raw, err := (&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: message}).Encode(nil)
	if err == nil {
		_, _ = io.Copy(client, bytes.NewReader(raw))
	}
}

// watched puts off the end of an idle session with every read.
type watched struct {
	io.Reader
	idle *time.Timer
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.idle.Reset(idleTimeout)
	}
	return n, err
}

func (d *database) track(conn net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.conns[conn] = struct{}{}
	return true
}

func (d *database) untrack(conn net.Conn) {
	_ = conn.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, conn)
}

func (d *database) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.count >= maxDatabaseConns {
		return false
	}
	d.count++
	return true
}

func (d *database) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count--
}

func (d *database) remember(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys[key] = struct{}{}
}

func (d *database) forget(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.keys, key)
}

// close ends every session; those who serve them return.
func (d *database) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for conn := range d.conns {
		_ = conn.Close()
	}
}
