package postman

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/sim/fault"
)

// What a body may weigh.
const (
	maxCollection  = 100 << 20
	maxEnvironment = 30 << 20
)

// object is a JSON object of the API.
type object = map[string]any

// refusal is an answer of Postman that says no.
type refusal struct {
	status  int
	name    string
	message string
}

func (r refusal) Error() string { return r.message }

func fail(status int, name, format string, args ...any) error {
	return refusal{status, name, fmt.Sprintf(format, args...)}
}

// operationHandler serves one operation of the API: it gives the status and the body.
type operationHandler func(r *http.Request) (status int, body object, err error)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range map[string]operationHandler{
		"GET /me":                                s.getMe,
		"GET /workspaces":                        s.listWorkspaces,
		"GET /workspaces/{id}":                   s.getWorkspace,
		"GET /collections":                       s.listCollections,
		"POST /collections":                      s.createCollection,
		"GET /collections/{id}":                  s.getCollection,
		"PUT /collections/{id}":                  s.putCollection,
		"DELETE /collections/{id}":               s.deleteCollection,
		"GET /collection-updates-tasks/{taskId}": s.getTask,
		"GET /environments":                      s.listEnvironments,
		"POST /environments":                     s.createEnvironment,
		"GET /environments/{id}":                 s.getEnvironment,
		"PUT /environments/{id}":                 s.putEnvironment,
		"PATCH /environments/{id}":               s.patchEnvironment,
		"DELETE /environments/{id}":              s.deleteEnvironment,
	} {
		mux.Handle(pattern, s.faults.Route(pattern, generalError, s.serve(pattern, handler)))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusNotFound, problem("notFound", "Requested resource not found"))
	})
	return mux
}

// Requests are the operations that were asked for so far, e.g. "PUT /collections/{id}"; those that a fault kept
// from being served are not among them.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// SetFaults replaces the rules that make requests fail; without any, nothing goes wrong.
func (s *Server) SetFaults(rules ...fault.Rule) { s.faults.Replace(rules...) }

func problem(name, message string) object {
	return object{"error": object{"name": name, "message": message}}
}

// generalError is the body of a failure that says nothing in particular.
func generalError(status int) string {
	text, err := json.Marshal(problem("serverError", http.StatusText(status)))
	if err != nil {
		panic(err) // made of strings
	}
	return string(text)
}

// serve lets one operation be called: who calls, how often, and with what.
func (s *Server) serve(pattern string, handler operationHandler) http.Handler {
	limit := int64(maxEnvironment)
	if strings.Contains(pattern, "/collections") {
		limit = maxCollection
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Latency > 0 {
			select {
			case <-time.After(s.cfg.Latency):
			case <-r.Context().Done():
				return
			}
		}
		s.mu.Lock()
		s.requests = append(s.requests, pattern)
		s.mu.Unlock()
		status, body, err := s.call(w, r, limit, handler)
		if err != nil {
			var refused refusal
			if !errors.As(err, &refused) {
				refused = refusal{http.StatusInternalServerError, "serverError", "An error has occurred on the server."}
				s.log.Error("stand-in", "route", pattern, "err", err)
			}
			status, body = refused.status, problem(refused.name, refused.message)
		}
		write(w, status, body)
	})
}

func (s *Server) call(w http.ResponseWriter, r *http.Request, limit int64, handler operationHandler) (int, object, error) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-API-Key")), []byte(s.cfg.APIKey.Reveal())) != 1 {
		return 0, nil, fail(http.StatusUnauthorized, "AuthenticationError", "Invalid API Key. Every request requires a valid API Key to be sent.")
	}
	switch s.limits.spend(w.Header(), time.Now()) {
	case minuteUsedUp:
		return 0, nil, fail(http.StatusTooManyRequests, "rateLimited", "Rate limit exceeded. Please retry after %s seconds.", w.Header().Get("RetryAfter"))
	case monthUsedUp:
		return 0, nil, fail(http.StatusTooManyRequests, "serviceLimitExhausted", "You have used up the requests of your plan for this month.")
	case letThrough:
	}
	if r.Method != http.MethodGet && r.Method != http.MethodDelete && r.ContentLength < 0 {
		return 0, nil, fail(http.StatusLengthRequired, "lengthRequired", "Content-Length is required.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return 0, nil, fail(http.StatusRequestEntityTooLarge, "requestEntityTooLarge", "The request body is too large.")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return handler(r)
}

func write(w http.ResponseWriter, status int, body object) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who does not listen can't be told
}

// decode reads the member of a name of the request's JSON body.
func decode(r *http.Request, member string) (object, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var all map[string]object
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&all); err != nil || all[member] == nil {
		return nil, fail(http.StatusBadRequest, "malformedRequestError", "Found 1 errors with the supplied %s: it must have required property '%s'.", member, member)
	}
	return all[member], nil
}
