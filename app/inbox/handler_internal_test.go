package inbox

import (
	"context"
	"io"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/palantir/go-githubapp/githubapp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// nowhere is a scheduler that nothing should reach.
type nowhere struct{ t *testing.T }

func (n nowhere) Schedule(context.Context, githubapp.Dispatch) error {
	n.t.Error("an unsigned delivery was scheduled")
	return nil
}

// slowly opens an unsigned delivery that announces more than it sends.
func slowly(t *testing.T, address string, sent int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address) //nolint:noctx // of this machine
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	head := "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: slow\r\n" +
		"X-Hub-Signature-256: sha256=" + strings.Repeat("0", 64) + "\r\nContent-Length: " + strconv.Itoa(sent+1) + "\r\n\r\n"
	if _, err := io.WriteString(conn, head+strings.Repeat(" ", sent)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func newSlowTestHandler(t *testing.T) *Handler {
	t.Helper()
	h, err := NewHandler(nowhere{t}, Options{Secrets: []preview.Secret{"secret"}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A body that does not end must not be waited for, and what was read of it must not be kept.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	h := newSlowTestHandler(t)
	h.bodyTimeout = 50 * time.Millisecond
	server := httptest.NewServer(h)
	defer server.Close()
	answer, err := io.ReadAll(slowly(t, server.Listener.Addr().String(), 1000))
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("answer %.80q, %v", answer, err)
	}
	if n := h.buffered.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// All bodies together take a bounded amount of memory; beyond it GitHub is asked to come again.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	h := newSlowTestHandler(t)
	h.maxBuffered = 10_000
	server := httptest.NewServer(h)
	defer server.Close()
	held := slowly(t, server.Listener.Addr().String(), 8_000)
	for h.buffered.Load() < 8_000 {
		if t.Context().Err() != nil {
			t.Fatal("the first body is not read")
		}
	}
	second := slowly(t, server.Listener.Addr().String(), 4_000)
	answer := make([]byte, len("HTTP/1.1 503 "))
	if _, err := io.ReadFull(second, answer); err != nil || string(answer) != "HTTP/1.1 503 " {
		t.Errorf("answer %q, %v", answer, err)
	}
	_ = held.Close()
	for h.buffered.Load() > 0 {
		if t.Context().Err() != nil {
			t.Fatal("what is not read any more is still counted")
		}
	}
}
