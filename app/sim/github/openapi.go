package github

import (
	"bytes"
	"context"
	_ "embed" // for the slice
	"encoding/json"
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

// slice is a part of GitHub's OpenAPI description; openapi/README.md tells where it is from.
//
//go:embed openapi/slice.json.zst
var slice []byte

// description is the loaded slice; loading takes a noticeable time.
//
//nolint:gochecknoglobals // computed once, then only read
var description = sync.OnceValues(func() (*openapi3.T, error) {
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	raw, err := decoder.DecodeAll(slice, nil)
	if err != nil {
		return nil, fmt.Errorf("description of GitHub's API: %w", err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, fmt.Errorf("description of GitHub's API: %w", err)
	}
	return doc, nil
})

// Violation is one request, answer or webhook that does not fit GitHub's description.
type Violation struct {
	Operation string // "POST /repos/{owner}/{repo}/check-runs", "webhook push"
	Reason    string
}

func (v Violation) String() string { return v.Operation + ": " + v.Reason }

// Violations lists what did not fit so far; always empty without Config.Validate.
func (s *Server) Violations() []Violation {
	if s.check == nil {
		return nil
	}
	s.check.mu.Lock()
	defer s.check.mu.Unlock()
	return append([]Violation(nil), s.check.violations...)
}

// validator compares exchanges with the description and collects what does not fit.
type validator struct {
	doc *openapi3.T

	mu         sync.Mutex
	violations []Violation
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
	v.violations = append(v.violations, Violation{operation, part + ": " + reason})
}

// exchange checks a request and its answer. An answer that refuses is checked only where the description has its status.
func (v *validator) exchange(r *http.Request, rt *route, body []byte, a answer) {
	item := v.doc.Paths.Value(rt.template)
	if item == nil {
		v.note(rt.name(), "route", fmt.Errorf("not in the description"))
		return
	}
	operation := item.GetOperation(rt.method)
	options := &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, IncludeResponseStatus: true,
		RejectWhenRequestBodyNotSpecified: false,
	}
	request := r.Clone(context.WithoutCancel(r.Context()))
	if string(bytes.TrimSpace(body)) == "null" { // ghinstallation's way to send nothing, which GitHub takes
		body = nil
		request.ContentLength = 0
		request.Header.Del("Content-Type")
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	params := map[string]string{}
	for part := range strings.SplitSeq(rt.template, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			params[name] = r.PathValue(name)
		}
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params, Options: options,
		Route: &routers.Route{Spec: v.doc, Path: rt.template, PathItem: item, Method: rt.method, Operation: operation},
	}
	if err := openapi3filter.ValidateRequest(request.Context(), input); err != nil && !emptyRoot(rt, params) {
		v.note(rt.name(), "request", err)
	}
	if a.status >= http.StatusMultipleChoices && operation.Responses.Status(a.status) == nil {
		return
	}
	if len(a.raw) > 0 && !strings.HasPrefix(a.contentType, "application/json") {
		return // a raw file
	}
	response := (&openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: a.status, Header: a.header, Options: options}).SetBodyBytes(a.raw)
	if len(a.raw) == 0 {
		response.Options = &openapi3filter.Options{ExcludeResponseBody: true, IncludeResponseStatus: true}
	}
	if err := openapi3filter.ValidateResponse(request.Context(), response); err != nil {
		v.note(rt.name(), fmt.Sprintf("answer %d", a.status), err)
	}
}

// emptyRoot excuses the listing of a repository's root, whose path is empty.
func emptyRoot(rt *route, params map[string]string) bool {
	path, ok := params["path"]
	return ok && path == "" && strings.HasSuffix(rt.template, "/contents/{path}")
}

// webhook checks the payload of a delivery.
func (v *validator) webhook(event, action string, payload []byte) {
	name := event
	if action != "" {
		name += "-" + action
	}
	name = strings.ReplaceAll(name, "_", "-")
	schema := v.doc.Components.Schemas["webhook."+name]
	if schema == nil {
		v.note("webhook "+name, "payload", fmt.Errorf("not in the description"))
		return
	}
	var value any
	if err := json.Unmarshal(payload, &value); err != nil {
		v.note("webhook "+name, "payload", err)
		return
	}
	if err := schema.Value.VisitJSON(value); err != nil {
		v.note("webhook "+name, "payload", err)
	}
}
