package cloudflare

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/sim/fault"
)

const maxBody = 100 << 20

// object is a JSON object of the API.
type object = map[string]any

// Codes of Cloudflare's errors.
const (
	codeAuthentication = 10000
	codeUpload         = 10021 // the script does not run
	codeBadName        = 10016
	codeNoScript       = 10007
	codeTooMany        = 10037
	codeInUse          = 10064
	codeNoService      = 10090
	codeNoBinding      = 10143 // of a service binding's target
	codeRateLimit      = 10429
)

// refusal is an answer of Cloudflare that says no.
type refusal struct {
	status  int
	code    int
	message string
}

func (r refusal) Error() string { return r.message }

func fail(status, code int, format string, args ...any) error {
	return refusal{status, code, fmt.Sprintf(format, args...)}
}

func noScript() error {
	return fail(http.StatusNotFound, codeNoScript, "This Worker does not exist on your account.")
}

// answer is what an operation gives.
type answer struct {
	status int // 0: 200
	result any
	info   object // of a list's pages
	// What is no JSON.
	raw         []byte
	contentType string
}

// operation serves one operation of the API.
type operation func(r *http.Request) (answer, error)

const (
	account      = "/accounts/{account_id}"
	scripts      = account + "/workers/scripts"
	oneScript    = scripts + "/{script_name}"
	services     = account + "/workers/services/{script_name}"
	workers      = account + "/workers/workers"
	previews     = workers + "/{script_name}/previews"
	onePreview   = previews + "/{preview}"
	assetsUpload = account + "/workers/assets/upload"
)

// routes is the API below /client/v4.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	all := map[string]operation{
		"GET /user":                                 s.getUser,
		"GET /user/tokens/verify":                   s.verifyToken,
		"GET /accounts":                             s.listAccounts,
		"GET /memberships":                          s.listMemberships,
		"GET " + account:                            s.getAccount,
		"GET " + account + "/tokens/verify":         s.verifyToken,
		"GET " + account + "/workers/subdomain":     s.getAccountSubdomain,
		"GET " + account + "/storage/kv/namespaces": s.listNamespaces,
		"GET " + account + "/workers/tails/by-consumer/{script_name}": s.listNothing,
		"GET " + scripts:                                  s.listScripts,
		"GET " + oneScript:                                s.getScript,
		"PUT " + oneScript:                                s.putScript,
		"DELETE " + oneScript:                             s.deleteScript,
		"GET " + oneScript + "/settings":                  s.getSettings,
		"GET " + oneScript + "/script-settings":           s.getScriptSettings,
		"PATCH " + oneScript + "/script-settings":         s.patchScriptSettings,
		"GET " + oneScript + "/subdomain":                 s.getSubdomain,
		"POST " + oneScript + "/subdomain":                s.postSubdomain,
		"DELETE " + oneScript + "/subdomain":              s.deleteSubdomain,
		"GET " + oneScript + "/secrets":                   s.listSecrets,
		"GET " + oneScript + "/schedules":                 s.getSchedules,
		"GET " + oneScript + "/references":                s.getReferences,
		"GET " + oneScript + "/versions":                  s.listVersions,
		"GET " + oneScript + "/versions/{version}":        s.getVersion,
		"POST " + oneScript + "/versions":                 s.postVersion,
		"GET " + oneScript + "/deployments":               s.listDeployments,
		"POST " + oneScript + "/deployments":              s.postDeployment,
		"POST " + oneScript + "/assets-upload-session":    s.postAssetSession,
		"POST " + assetsUpload:                            s.postAssets,
		"GET " + services:                                 s.getService,
		"DELETE " + services:                              s.deleteScript,
		"GET " + workers:                                  s.listWorkers,
		"POST " + workers:                                 s.postWorker,
		"GET " + workers + "/{script_name}":               s.getWorker,
		"PATCH " + workers + "/{script_name}":             s.patchWorker,
		"GET " + previews:                                 s.listPreviews,
		"POST " + previews:                                s.postPreview,
		"GET " + onePreview:                               s.getPreview,
		"PATCH " + onePreview:                             s.patchPreview,
		"DELETE " + onePreview:                            s.deletePreview,
		"POST " + onePreview + "/deployments":             s.postPreviewDeployment,
		"GET " + onePreview + "/deployments/{deployment}": s.getPreviewDeployment,
		"PATCH " + onePreview + "/deployments/latest":     s.patchPreviewDeployment,
	}
	maps.Copy(all, s.pagesRoutes())
	for pattern, serve := range all {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" /client/v4"+path, s.faults.Route(pattern, word, s.serve(pattern, serve)))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, refusal{http.StatusNotFound, 7000, "No route for that URI"})
	})
	return mux
}

// Requests are the operations that were asked for so far, e.g. "GET /accounts/{account_id}/workers/scripts"; those that a
// fault kept from being served are not among them.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// SetFaults replaces the rules that make requests fail; without any, nothing goes wrong.
func (s *Server) SetFaults(rules ...fault.Rule) { s.faults.Replace(rules...) }

// word is the body of a failure that says nothing in particular.
func word(status int) string {
	text, err := json.Marshal(envelope(nil, refusal{status, 10013, "An unknown error has occurred."}))
	if err != nil {
		panic(err) // made of strings and numbers
	}
	return string(text)
}

func envelope(result any, no ...refusal) object {
	errs := []object{}
	for _, r := range no {
		errs = append(errs, object{"code": r.code, "message": r.message})
	}
	return object{"success": len(no) == 0, "errors": errs, "messages": []object{}, "result": result}
}

// serve lets one operation be called: who calls, and how often.
func (s *Server) serve(pattern string, do operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Latency.Call > 0 {
			select {
			case <-time.After(s.cfg.Latency.Call):
			case <-r.Context().Done():
				return
			}
		}
		s.mu.Lock()
		s.requests = append(s.requests, pattern)
		s.mu.Unlock()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if wait, ok := s.limits.allow(time.Now()); !ok {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			refuse(w, refusal{http.StatusTooManyRequests, codeRateLimit, "Please wait and consider throttling your request speed"})
			return
		}
		got, err := s.call(pattern, r, do)
		if err != nil {
			var no refusal
			if !errors.As(err, &no) {
				no = refusal{http.StatusInternalServerError, 10013, "An unknown error has occurred."}
				s.log.Error("stand-in", "route", pattern, "err", err)
			}
			refuse(w, no)
			return
		}
		if got.raw != nil {
			w.Header().Set("Content-Type", got.contentType)
			_, _ = w.Write(got.raw) // who does not listen can't be told
			return
		}
		body := envelope(got.result)
		if got.info != nil {
			body["result_info"] = got.info
		}
		write(w, max(got.status, http.StatusOK), body)
	})
}

func (s *Server) call(pattern string, r *http.Request, do operation) (answer, error) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	// Static files are uploaded with the token of their session, which the operation itself looks at.
	if !strings.HasSuffix(pattern, assetsUpload) && !strings.Contains(pattern, pagesAssets) && subtle.ConstantTimeCompare([]byte(token), []byte(s.cfg.Token.Reveal())) != 1 {
		return answer{}, fail(http.StatusUnauthorized, codeAuthentication, "Authentication error")
	}
	if id := r.PathValue("account_id"); id != "" && id != s.cfg.AccountID {
		return answer{}, fail(http.StatusForbidden, codeAuthentication, "Authentication error")
	}
	return do(r)
}

func refuse(w http.ResponseWriter, no refusal) { write(w, no.status, envelope(nil, no)) }

func write(w http.ResponseWriter, status int, body object) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // made of strings, numbers and times
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(text) // who does not listen can't be told
}

// decode reads the JSON body of a request.
func decode(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return fail(http.StatusBadRequest, 10001, "Unable to parse the request body: %v", err)
	}
	return nil
}

// page is a part of a list as ?page= and ?per_page= ask for it.
func page(list []object, r *http.Request) answer {
	number := func(key string, otherwise int) int {
		if n, err := strconv.Atoi(r.URL.Query().Get(key)); err == nil && n > 0 {
			return n
		}
		return otherwise
	}
	const most = 100
	size, at := min(number("per_page", 25), most), number("page", 1)
	from := min((at-1)*size, len(list))
	items := append([]object{}, list[from:min(from+size, len(list))]...)
	return answer{result: items, info: object{"page": at, "per_page": size, "count": len(items), "total_count": len(list),
		"total_pages": (len(list) + size - 1) / size}}
}
