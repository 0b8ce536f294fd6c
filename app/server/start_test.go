package server

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/embedded/embeddedtest"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// TestSlowSubscription: a server whose database takes its time for a subscription to jobs works all the same.
func TestSlowSubscription(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	address, err := url.Parse(embeddedtest.Database(t))
	if err != nil {
		t.Fatal("the test database's URL does not parse")
	}
	database := address.Host
	var subscriptions atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", database) //nolint:noctx // of this machine
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(client, server)
				_ = client.Close()
			}()
			go func() {
				defer func() { _ = server.Close() }()
				text := make([]byte, 1<<16)
				for {
					n, err := client.Read(text)
					if bytes.Contains(text[:n], []byte("LISTEN ")) && subscriptions.Add(1) <= 3 {
						time.Sleep(6 * time.Second) // River waits five for another one beside the first
					}
					if _, failed := server.Write(text[:n]); failed != nil || err != nil {
						return
					}
				}
			}()
		}
	}()
	address.Host = listener.Addr().String()
	w := newWorld(t, sampleFiles(), map[string]string{"DATABASE_URL": address.String()})
	_, sha := w.open("feature/a")
	w.wantCheck(sha, "success")
	w.settle()
	w.valid()
	if !strings.Contains(w.log.String(), "jobs can't be started yet") {
		t.Errorf("of %d subscriptions none was late", subscriptions.Load())
	}
}
