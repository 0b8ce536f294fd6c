package neon

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// endpointOption names the endpoint in a client's first message, for clients that don't greet its host.
const endpointOption = "endpoint="

// relay serves a client that greeted no endpoint's host: it reads the endpoint from the first message's options, as
// Neon's proxy does, and seals the connection to the cluster anew. The certificate is the same on both sides, so that
// channel binding still works.
func (g *gateway) relay(conn net.Conn, sealed *tls.Conn) error {
	backend := pgproto3.NewBackend(sealed, sealed)
	message, err := backend.ReceiveStartupMessage()
	if err != nil {
		return err
	}
	if cancel, ok := message.(*pgproto3.CancelRequest); ok {
		return g.cancel(cancel)
	}
	startup, ok := message.(*pgproto3.StartupMessage)
	if !ok {
		return fmt.Errorf("first message is %T", message)
	}
	endpoint := takeEndpoint(startup)
	if endpoint == "" {
		return refuse(sealed, "Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for SNI support "+
			"or pass the endpoint ID (first part of the domain name) as a parameter: '?options=endpoint%3D<endpoint-id>'.")
	}
	branch, port, err := g.wake(endpoint)
	if err != nil {
		return refuse(sealed, err.Error())
	}
	g.track(conn, branch)
	cluster, err := g.dial(port)
	if err != nil {
		return err
	}
	defer func() { _ = cluster.Close() }()
	text, err := startup.Encode(nil)
	if err != nil {
		return err
	}
	if _, err := cluster.Write(text); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	return both(sealed, cluster)
}

// cancel tells every cluster, as the message names no endpoint: only one has a session with that secret.
func (g *gateway) cancel(message *pgproto3.CancelRequest) error {
	text, err := message.Encode(nil)
	if err != nil {
		return err
	}
	var errs []error
	for _, port := range g.server.activePorts() {
		cluster, err := g.dial(port)
		if err == nil {
			_, err = cluster.Write(text)
			errs = append(errs, cluster.Close())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// activePorts are those of the clusters whose computes are up.
func (s *Server) activePorts() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ports []int
	for _, b := range s.project.branches {
		if b.endpoint != nil && b.endpoint.state == "active" && !b.deleting {
			ports = append(ports, b.cluster.Port())
		}
	}
	return ports
}

// takeEndpoint is the endpoint that the options name, and takes it out of them: Postgres knows no such option.
func takeEndpoint(startup *pgproto3.StartupMessage) (endpoint string) {
	var kept []string
	for _, option := range strings.Fields(startup.Parameters["options"]) {
		if id, ok := strings.CutPrefix(option, endpointOption); ok {
			endpoint = id
			continue
		}
		kept = append(kept, option)
	}
	delete(startup.Parameters, "options")
	if len(kept) > 0 {
		startup.Parameters["options"] = strings.Join(kept, " ")
	}
	return endpoint
}

// dial is a sealed connection to the cluster at a port.
func (g *gateway) dial(port int) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(g.server.ctx, helloWithin)
	defer cancel()
	plain, err := g.knock(ctx, port)
	if err != nil {
		return nil, err
	}
	sealed := tls.Client(plain, &tls.Config{RootCAs: g.server.tls.pool, ServerName: "cluster." + domain, MinVersion: tls.VersionTLS12})
	if err := sealed.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return nil, fmt.Errorf("the cluster's TLS: %w", err)
	}
	return sealed, nil
}

// knock connects to the cluster at a port and asks for TLS, which it grants.
func (g *gateway) knock(ctx context.Context, port int) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	answer := make([]byte, 1)
	if _, err = conn.Write(binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, sslRequest)); err == nil {
		_, err = io.ReadFull(conn, answer)
	}
	if err == nil && answer[0] != 'S' {
		err = errors.New("the cluster offers no TLS")
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// both copies in both directions until one end is closed, and closes both.
func both(client, cluster net.Conn) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(cluster, client)
		_ = cluster.Close()
	}()
	_, err := io.Copy(client, cluster)
	_ = client.Close()
	<-ended
	return err
}
