package neon

import (
	"bytes"
	"context"
	_ "embed" // for the description
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/klauspost/compress/zstd"
)

// packed is Neon's own description of its API; openapi/README.md tells where it is from.
//
//go:embed openapi/v2.yaml.zst
var packed []byte

// description is the unpacked and loaded file; loading takes a noticeable time.
//
//nolint:gochecknoglobals // computed once, then only read
var description = sync.OnceValues(func() (*openapi3.T, error) {
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	raw, err := decoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("description of Neon's API: %w", err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, fmt.Errorf("description of Neon's API: %w", err)
	}
	return doc, nil
})

// Violations lists the exchanges that did not fit Neon's description; always empty without Config.Validate.
func (s *Server) Violations() []string {
	if s.check == nil {
		return nil
	}
	s.check.mu.Lock()
	defer s.check.mu.Unlock()
	return append([]string(nil), s.check.violations...)
}

// validator compares exchanges with the description and collects what does not fit.
type validator struct {
	doc *openapi3.T

	mu         sync.Mutex
	violations []string
}

func newValidator() (*validator, error) {
	doc, err := description()
	return &validator{doc: doc}, err
}

func (v *validator) note(operation, part string, err error) {
	reason := strings.Join(strings.Fields(err.Error()), " ")
	const most = 1500
	if len(reason) > most {
		reason = reason[:most] + "…"
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.violations = append(v.violations, operation+": "+part+": "+reason)
}

// exchange checks a request and its answer.
func (v *validator) exchange(pattern string, r *http.Request, body []byte, status int, answer []byte) {
	method, path, _ := strings.Cut(pattern, " ")
	item := v.doc.Paths.Value(path)
	if item == nil || item.GetOperation(method) == nil {
		v.note(pattern, "route", fmt.Errorf("not in the description"))
		return
	}
	params := map[string]string{}
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			params[name] = r.PathValue(name)
		}
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, IncludeResponseStatus: true}
	request := r.Clone(context.WithoutCancel(r.Context()))
	request.Body = io.NopCloser(bytes.NewReader(body))
	input := &openapi3filter.RequestValidationInput{Request: request, PathParams: params, Options: options,
		Route: &routers.Route{Spec: v.doc, Path: path, PathItem: item, Method: method, Operation: item.GetOperation(method)}}
	if err := openapi3filter.ValidateRequest(request.Context(), input); err != nil {
		v.note(pattern, "request", err)
	}
	response := (&openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: status,
		Header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, Options: options}).SetBodyBytes(answer)
	if len(answer) == 0 {
		response.Options = &openapi3filter.Options{ExcludeResponseBody: true, IncludeResponseStatus: true}
	}
	if err := openapi3filter.ValidateResponse(request.Context(), response); err != nil {
		v.note(pattern, fmt.Sprintf("answer %d", status), err)
	}
}
