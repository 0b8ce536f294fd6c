package github

import (
	"bufio"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Request is one REST request that was served.
type Request struct {
	At     time.Time
	Method string
	Route  string // "POST /repos/{owner}/{repo}/check-runs", or "* unknown"
	Path   string // as asked, with its query
	Status int    // 0: the connection was dropped
	Body   string // of a request that was meant to change something
}

// Write reports whether the request was meant to change something; taking a token is none.
func (r Request) Write() bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead &&
		r.Route != "POST /app/installations/{installation_id}/access_tokens" && r.Route != "POST /login/oauth/access_token"
}

type requestLog struct {
	mu       sync.Mutex
	requests []Request
	total    int
}

func (l *requestLog) add(now time.Time, r *http.Request, rt *route, body []byte, status int) {
	request := Request{At: now, Method: r.Method, Route: rt.name(), Path: r.URL.RequestURI(), Status: status}
	if request.Write() {
		request.Body = string(body)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	l.requests = append(l.requests, request)
}

// loggedWriter tells log of an answer before the caller has any of it: its status, or 0 when the connection is dropped.
type loggedWriter struct {
	http.ResponseWriter
	log  func(status int)
	once sync.Once
}

func (w *loggedWriter) WriteHeader(status int) {
	w.once.Do(func() { w.log(status) })
	w.ResponseWriter.WriteHeader(status)
}

func (w *loggedWriter) Write(text []byte) (int, error) {
	w.once.Do(func() { w.log(http.StatusOK) })
	return w.ResponseWriter.Write(text)
}

// Hijack implements http.Hijacker, by which a connection is dropped.
func (w *loggedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.end()
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// end is where a request ends; without an answer, its caller has gone.
func (w *loggedWriter) end() { w.once.Do(func() { w.log(0) }) }

// Requests lists what was asked since the start or the last ResetRequests, in the order of the answers.
func (s *Server) Requests() []Request {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	return append([]Request(nil), s.requests.requests...)
}

// Writes lists the requests that were meant to change something.
func (s *Server) Writes() []Request {
	var writes []Request
	for _, r := range s.Requests() {
		if r.Write() {
			writes = append(writes, r)
		}
	}
	return writes
}

// Counts counts the requests by operation.
func (s *Server) Counts() map[string]int {
	counts := map[string]int{}
	for _, r := range s.Requests() {
		counts[r.Route]++
	}
	return counts
}

// ResetRequests forgets the requests so far.
func (s *Server) ResetRequests() {
	s.requests.mu.Lock()
	defer s.requests.mu.Unlock()
	s.requests.requests = nil
}

// rateLimit adds the headers that every answer carries. The limit is never enforced: use a fault for that.
func (s *Server) rateLimit(header http.Header) {
	const limit = 5000
	s.requests.mu.Lock()
	used := s.requests.total % limit
	s.requests.mu.Unlock()
	for key, value := range map[string]string{
		"X-RateLimit-Limit": strconv.Itoa(limit), "X-RateLimit-Remaining": strconv.Itoa(limit - used), "X-RateLimit-Used": strconv.Itoa(used),
		"X-RateLimit-Reset": strconv.FormatInt(s.now().Truncate(time.Hour).Add(time.Hour).Unix(), 10), "X-RateLimit-Resource": "core",
		"X-GitHub-Media-Type": "github.v3; format=json", "X-GitHub-Request-Id": nodeID("REQ", int64(used)), "X-GitHub-Enterprise-Version": "3.19.0",
	} {
		if header.Get(key) == "" {
			header.Set(key, value)
		}
	}
}
