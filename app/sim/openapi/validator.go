// Package openapi compares what a stand-in of an outside API is asked and answers with the API's own OpenAPI
// description, and collects what does not fit. It takes a description and exchanges; it knows no API.
package openapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// maxReason bounds a Violation's reason, in bytes: the library's quote the whole schema.
const maxReason = 1500

// errUndescribed is the reason of what the description does not have.
var errUndescribed = errors.New("not in the description")

// Load gives the description in zstd-compressed JSON or YAML when it is first asked for, which takes a noticeable time.
// what names it in errors.
func Load(what string, packed []byte) func() (*openapi3.T, error) {
	return sync.OnceValues(func() (*openapi3.T, error) {
		decoder, err := zstd.NewReader(nil)
		if err != nil {
			return nil, err
		}
		defer decoder.Close()
		raw, err := decoder.DecodeAll(packed, nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		doc, err := openapi3.NewLoader().LoadFromData(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return doc, nil
	})
}

// Violation is one request, answer or payload that does not fit the description.
type Violation struct {
	Operation string // "POST /repos/{owner}/{repo}/check-runs", "webhook push"
	Reason    string // begins with the part that does not fit: "request: …", "answer 200: …"
}

func (v Violation) String() string { return v.Operation + ": " + v.Reason }

// Validator collects violations. It is safe for concurrent use; a nil one checks nothing.
type Validator struct {
	doc *openapi3.T

	mu         sync.Mutex
	violations []Violation
}

// NewValidator compares with a description.
func NewValidator(doc *openapi3.T) *Validator { return &Validator{doc: doc} }

// Violations lists what did not fit so far.
func (v *Validator) Violations() []Violation {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]Violation(nil), v.violations...)
}

// Note adds a violation.
func (v *Validator) Note(operation, part string, err error) {
	if v == nil {
		return
	}
	reason := strings.Join(strings.Fields(err.Error()), " ")
	if len(reason) > maxReason {
		reason = reason[:maxReason] + "…"
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.violations = append(v.violations, Violation{operation, part + ": " + reason})
}

// Exchange is a request to an operation, and the answer to it.
type Exchange struct {
	Operation string        // the method and the description's template, e.g. "GET /projects/{project_id}"
	Request   *http.Request // its PathValue knows the template's parameters; its body is not looked at
	Body      []byte
	Status    int
	Header    http.Header // of the answer
	Answer    []byte
}

// Check looks at an exchange. An answer that refuses is looked at only where the description tells of its status, and
// the body of one only where it is JSON.
func (v *Validator) Check(x Exchange) {
	if v == nil {
		return
	}
	input := v.input(x)
	if input == nil {
		v.Note(x.Operation, "route", errUndescribed)
		return
	}
	if err := openapi3filter.ValidateRequest(input.Request.Context(), input); err != nil {
		v.Note(x.Operation, "request", err)
	}
	described := input.Route.Operation.Responses
	if x.Status >= http.StatusMultipleChoices && described.Status(x.Status) == nil && described.Default() == nil {
		return
	}
	if len(x.Answer) > 0 && !strings.HasPrefix(x.Header.Get("Content-Type"), "application/json") {
		return // a raw file
	}
	output := (&openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: x.Status, Header: x.Header,
		Options: input.Options}).SetBodyBytes(x.Answer)
	if len(x.Answer) == 0 {
		output.Options = &openapi3filter.Options{ExcludeResponseBody: true, IncludeResponseStatus: true}
	}
	if err := openapi3filter.ValidateResponse(input.Request.Context(), output); err != nil {
		v.Note(x.Operation, fmt.Sprintf("answer %d", x.Status), err)
	}
}

// input is the request of an exchange as the library takes it; nil: the description has no such operation.
func (v *Validator) input(x Exchange) *openapi3filter.RequestValidationInput {
	method, template, _ := strings.Cut(x.Operation, " ")
	item := v.doc.Paths.Value(template)
	if item == nil || item.GetOperation(method) == nil {
		return nil
	}
	params := map[string]string{}
	for part := range strings.SplitSeq(template, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			params[name] = x.Request.PathValue(name)
		}
	}
	request := x.Request.Clone(context.WithoutCancel(x.Request.Context()))
	request.Body = io.NopCloser(bytes.NewReader(x.Body))
	return &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
			SkipSettingDefaults: true, IncludeResponseStatus: true},
		Route: &routers.Route{Spec: v.doc, Path: template, PathItem: item, Method: method, Operation: item.GetOperation(method)},
	}
}

// CheckPayload looks at a JSON text that is sent on its own, as a webhook's, by the name of its schema.
func (v *Validator) CheckPayload(operation, schema string, payload []byte) {
	if v == nil {
		return
	}
	described := v.doc.Components.Schemas[schema]
	if described == nil {
		v.Note(operation, "payload", errUndescribed)
		return
	}
	var value any
	err := json.Unmarshal(payload, &value)
	if err == nil {
		err = described.Value.VisitJSON(value)
	}
	if err != nil {
		v.Note(operation, "payload", err)
	}
}
