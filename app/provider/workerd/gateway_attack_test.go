package workerd

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCookiesStayWithThePreview(t *testing.T) {
	t.Parallel()
	header := http.Header{"Set-Cookie": {
		"a=1; Domain=previews.example.com; Path=/; HttpOnly", "b=domain=x; dOmAiN = .example.com;Secure", "c=3", "domain=mine; Path=/", "d=4; Domain",
	}}
	keepCookies(header)
	want := []string{"a=1; Path=/; HttpOnly", "b=domain=x;Secure", "c=3", "domain=mine; Path=/", "d=4"}
	if diff := cmp.Diff(want, header["Set-Cookie"]); diff != "" {
		t.Error(diff)
	}
}

// Requests that a proxy and a Worker could read in two ways must not reach another preview.
func TestGatewaySmuggling(t *testing.T) {
	t.Parallel()
	rt := newRuntime(t, nil)
	mine, other := resource(), resource()
	apply(t, rt, mine, worker(answering(`return new Response("mine " + (await req.text()).length, { headers: { "set-cookie": "a=1; domain=localhost" } })`)))
	apply(t, rt, other, worker(answering(`return new Response("secret")`)))
	address := serve(t, rt)
	host := mine.Name + ".localhost"
	smuggled := "GET / HTTP/1.1\r\nHost: " + other.Name + ".localhost\r\n\r\n"
	tests := []struct{ name, request string }{
		{"absolute form", "GET http://" + host + "/ HTTP/1.1\r\nHost: " + other.Name + ".localhost\r\nConnection: close\r\n\r\n"},
		{"two lengths", fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nContent-Length: %d\r\n\r\n%s", host, len(smuggled), smuggled)},
		{"length and chunks", fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", host, len(smuggled))},
		{"odd encoding", "POST / HTTP/1.1\r\nHost: " + host + "\r\nTransfer-Encoding: xchunked\r\nConnection: close\r\n\r\n0\r\n\r\n"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: " + host + "\r\nHost: " + other.Name + ".localhost\r\nConnection: close\r\n\r\n"},
		{"host with a path", "GET / HTTP/1.1\r\nHost: " + host + "/../" + other.Name + ".localhost\r\nConnection: close\r\n\r\n"},
		{"a body that holds a request", fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", host, len(smuggled), smuggled)},
	}
	for _, tt := range tests {
		conn, err := net.Dial("tcp", address) //nolint:noctx // has a deadline below
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, tt.request); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			_ = conn.Close()
			continue // hung up on: as good as refused
		}
		body, _ := io.ReadAll(response.Body)
		_ = conn.Close()
		if strings.Contains(string(body), "secret") && tt.name != "absolute form" {
			t.Errorf("%s: reached the other preview", tt.name)
		}
		if strings.Contains(strings.ToLower(response.Header.Get("Set-Cookie")), "domain") {
			t.Errorf("%s: a cookie for every preview", tt.name)
		}
		t.Logf("%s: %d %.60s", tt.name, response.StatusCode, body)
	}
}
