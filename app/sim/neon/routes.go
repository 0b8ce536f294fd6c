package neon

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

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/sim/fault"
	"github.com/flaresmith/flaresmith/app/sim/openapi"
)

const maxBody = 1 << 20

// object is a JSON object of the API.
type object = map[string]any

// refusal is an answer of Neon that says no.
type refusal struct {
	status  int
	code    string
	message string
}

func (r refusal) Error() string { return r.message }

func fail(status int, code, format string, args ...any) error {
	return refusal{status, code, fmt.Sprintf(format, args...)}
}

// operationHandler serves one operation of the API: it gives the status and the body.
type operationHandler func(r *http.Request) (status int, body object, err error)

// routes is the API below /api/v2.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range map[string]operationHandler{
		"GET /auth":                             s.getAuth,
		"GET /users/me":                         s.getUser,
		"GET /users/me/organizations":           s.listOrganizations,
		"GET /projects":                         s.listProjects,
		"GET /projects/{project_id}":            s.getProject,
		"GET /projects/{project_id}/operations": s.listOperations,
		"GET /projects/{project_id}/operations/{operation_id}":                              s.getOperation,
		"GET /projects/{project_id}/connection_uri":                                         s.getConnectionURI,
		"GET /projects/{project_id}/endpoints":                                              s.listEndpoints,
		"GET /projects/{project_id}/endpoints/{endpoint_id}":                                s.getEndpoint,
		"PATCH /projects/{project_id}/endpoints/{endpoint_id}":                              s.updateEndpoint,
		"POST /projects/{project_id}/endpoints/{endpoint_id}/suspend":                       s.suspendEndpoint,
		"GET /projects/{project_id}/branches":                                               s.listBranches,
		"GET /projects/{project_id}/branches/count":                                         s.countBranches,
		"POST /projects/{project_id}/branches":                                              s.createBranch,
		"GET /projects/{project_id}/branches/{branch_id}":                                   s.getBranch,
		"PATCH /projects/{project_id}/branches/{branch_id}":                                 s.updateBranch,
		"DELETE /projects/{project_id}/branches/{branch_id}":                                s.deleteBranch,
		"POST /projects/{project_id}/branches/{branch_id}/restore":                          s.restoreBranch,
		"GET /projects/{project_id}/branches/{branch_id}/anonymized_status":                 s.getAnonymizedStatus,
		"GET /projects/{project_id}/branches/{branch_id}/compare_schema":                    s.compareSchema,
		"GET /projects/{project_id}/branches/{branch_id}/schema":                            s.getSchema,
		"GET /projects/{project_id}/branches/{branch_id}/endpoints":                         s.listBranchEndpoints,
		"GET /projects/{project_id}/branches/{branch_id}/databases":                         s.listDatabases,
		"GET /projects/{project_id}/branches/{branch_id}/roles":                             s.listRoles,
		"POST /projects/{project_id}/branches/{branch_id}/roles":                            s.createRole,
		"DELETE /projects/{project_id}/branches/{branch_id}/roles/{role_name}":              s.deleteRole,
		"GET /projects/{project_id}/branches/{branch_id}/roles/{role_name}/reveal_password": s.revealPassword,
		"POST /projects/{project_id}/branches/{branch_id}/roles/{role_name}/reset_password": s.resetPassword,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" /api/v2"+path, s.faults.Route(pattern, generalError, s.serve(pattern, handler)))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusNotFound, object{"code": "", "message": "route not found", "request_id": uuid.NewString()})
	})
	return mux
}

// Requests are the operations that were asked for so far, e.g. "GET /projects/{project_id}/branches"; those that a
// fault kept from being served are not among them.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// SetFaults replaces the rules that make requests fail; without any, nothing goes wrong.
func (s *Server) SetFaults(rules ...fault.Rule) { s.faults.Replace(rules...) }

// generalError is the body of a failure that says nothing in particular.
func generalError(status int) string {
	return `{"request_id":"` + uuid.NewString() + `","code":"","message":"` + strings.ToLower(http.StatusText(status)) + `"}`
}

// serve lets one operation be called: who calls, how often, and whether the exchange is as described.
func (s *Server) serve(pattern string, handler operationHandler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Latency.Call > 0 {
			select {
			case <-time.After(s.cfg.Latency.Call):
			case <-r.Context().Done():
				return
			}
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			write(w, http.StatusRequestEntityTooLarge, object{"code": "", "message": "the body is too large"})
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.mu.Lock()
		s.requests = append(s.requests, pattern)
		s.mu.Unlock()
		status, answer, err := s.call(pattern, r, handler)
		if err != nil {
			var refused refusal
			if !errors.As(err, &refused) {
				refused = refusal{http.StatusInternalServerError, "", "internal error"}
				s.log.Error("stand-in", "route", pattern, "err", err)
			}
			status, answer = refused.status, object{"request_id": uuid.NewString(), "code": refused.code, "message": refused.message}
		}
		text := write(w, status, answer)
		s.check.Check(openapi.Exchange{Operation: pattern, Request: r, Body: body, Status: status, Header: w.Header(), Answer: text})
	})
}

func (s *Server) call(pattern string, r *http.Request, handler operationHandler) (int, object, error) {
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(key), []byte(s.cfg.APIKey.Reveal())) != 1 {
		return 0, nil, fail(http.StatusUnauthorized, "", "authentication failed")
	}
	if !s.limits.allow(pattern) {
		return 0, nil, fail(http.StatusTooManyRequests, "", "you have exceeded the rate limit, please try again later")
	}
	if id := r.PathValue("project_id"); id != "" && id != s.project.id {
		return 0, nil, fail(http.StatusNotFound, "", "project not found")
	}
	return handler(r)
}

// write answers and gives the text of the body; a nil body is none.
func write(w http.ResponseWriter, status int, body object) []byte {
	if body == nil {
		w.WriteHeader(status)
		return nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // made of strings, numbers and times
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text) // who does not listen can't be told
	return text
}

// decode reads the JSON body of a request; an empty one leaves into as it is.
func decode(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fail(http.StatusBadRequest, "", "request body is not valid: %v", err)
	}
	return nil
}
