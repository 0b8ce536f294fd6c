package workerd

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve puts the gateway on a real port, for what a recorder can't do.
func serve(t *testing.T, rt *Runtime) (address string) {
	t.Helper()
	server := httptest.NewServer(rt)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func request(t *testing.T, address, host, path string, body io.Reader) *http.Request {
	t.Helper()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	return req
}

func TestGatewayHosts(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	apply(t, rt, r, worker(answering(`return new Response("hi")`)))
	tests := []struct {
		host string
		want int
	}{
		{r.Name + ".localhost:8080", 200},
		{r.Name + ".localhost", 200},
		{strings.ToUpper(r.Name) + ".LOCALHOST.", 200},
		{r.Name, 404},
		{"localhost:8080", 404},
		{".localhost", 404},
		{"x." + r.Name + ".localhost", 404},
		{r.Name + ".localhost.example.com", 404},
		{r.Name + "xlocalhost", 404},
		{"preview-abcd1234-pr-999999.localhost", 404},
		{"../../" + r.Name + ".localhost", 404},
		{"", 404},
	}
	for _, test := range tests {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		req.Host = test.host
		rec := httptest.NewRecorder()
		rt.ServeHTTP(rec, req)
		if rec.Code != test.want {
			t.Errorf("host %q: %d %s, want %d", test.host, rec.Code, rec.Body, test.want)
		}
	}
}

func TestGatewayHeaders(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, func(c *Config) { c.PublicScheme, c.PublicPort = "https", 0 })
	r := resource()
	apply(t, rt, r, worker(answering(`const h = req.headers; return Response.json({url: req.url, host: h.get("host"),
		"for": h.get("x-forwarded-for"), fhost: h.get("x-forwarded-host"), proto: h.get("x-forwarded-proto"), hop: h.get("x-hop"), te: h.get("te"), keep: h.get("x-keep"), body: await req.text()})`)))
	address := serve(t, rt)
	host := r.Name + ".localhost"
	req := request(t, address, host, "/a%20b?c=%2F", strings.NewReader("payload"))
	req.Header = http.Header{"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Host": {"evil"}, "Connection": {"x-hop"}, "X-Hop": {"1"}, "Te": {"gzip"}, "X-Keep": {"1"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	want := map[string]string{
		"url": "https://" + host + "/a%20b?c=%2F", "host": host, "for": "127.0.0.1", "fhost": host,
		"proto": "https", "hop": "", "te": "", "keep": "1", "body": "payload",
	}
	if diff := cmp.Diff(want, decode(t, readAll(t, resp.Body))); diff != "" {
		t.Error(diff)
	}
}

// A stream arrives piece by piece: the Worker writes the second only after it was asked to.
func TestGatewayStreams(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	apply(t, rt, r, worker(`let go; const gate = new Promise(resolve => go = resolve);
`+answering(`if (url.pathname === "/go") { globalThis.going = true; return new Response("ok"); }
		const { readable, writable } = new TransformStream(); const w = writable.getWriter();
		ctx.waitUntil((async () => { await w.write(new TextEncoder().encode("first\n"));
			while (!globalThis.going) await scheduler.wait(10);
			await w.write(new TextEncoder().encode("second\n")); await w.close(); })());
		return new Response(readable);`)))
	address := serve(t, rt)
	resp, err := http.DefaultClient.Do(request(t, address, r.Name+".localhost", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	reader := bufio.NewReader(resp.Body)
	if line, err := reader.ReadString('\n'); err != nil || line != "first\n" {
		t.Fatalf("%q, %v", line, err)
	}
	wantGet(t, rt, r.Name, "/go", "ok")
	if rest := readAll(t, reader); rest != "second\n" {
		t.Errorf("rest %q", rest)
	}
}

func TestGatewayWebSocket(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	apply(t, rt, r, worker(answering(`const [client, server] = Object.values(new WebSocketPair()); server.accept();
		server.addEventListener("message", e => server.send("echo " + e.data)); return new Response(null, { status: 101, webSocket: client });`)))
	conn, err := (&net.Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", serve(t, rt))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", r.Name, base64.StdEncoding.EncodeToString(key))
	reader := bufio.NewReader(conn)
	resp, err := http.ReadResponse(reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", resp, err)
	}
	// A masked text frame with a mask of zeros: the text stays as it is.
	if _, err := conn.Write(append([]byte{0x81, 0x80 | 2, 0, 0, 0, 0}, "hi"...)); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 2+len("echo hi"))
	if _, err := io.ReadFull(reader, frame); err != nil || string(frame[2:]) != "echo hi" {
		t.Errorf("frame %q, %v", frame, err)
	}
	// Deleting the preview ends the connection.
	if err := rt.Delete(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, reader); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("after Delete: %v", err)
	}
}

// New versions come while many people use the preview, and nobody notices.
func TestSwapUnderLoad(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	r := resource()
	version := func(n int) string {
		return answering(fmt.Sprintf(`await scheduler.wait(Math.random() * 20); return new Response("v%d")`, n))
	}
	apply(t, rt, r, worker(version(0)))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var users sync.WaitGroup
	var answered atomic.Int64
	for range 8 {
		users.Go(func() {
			for ctx.Err() == nil {
				if status, body := get(t, rt, r.Name, "/"); status != http.StatusOK || !strings.HasPrefix(body, "v") {
					t.Errorf("%d %s", status, body)
					return
				}
				answered.Add(1)
			}
		})
	}
	for n := 1; n <= 5; n++ {
		r.Digest = fmt.Sprint(n)
		apply(t, rt, r, worker(version(n)))
		wantGet(t, rt, r.Name, "/", fmt.Sprintf("v%d", n))
		before := answered.Load()
		eventually(t, "users go on", func() bool { return answered.Load() > before+20 })
	}
	cancel()
	users.Wait()
	eventually(t, "one process is left", func() bool { return len(rt.pids()) == 1 })
	t.Logf("%d requests over 5 swaps", answered.Load())
}
