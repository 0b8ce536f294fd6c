package github

import (
	"bytes"
	_ "embed" // for the slice
	"errors"
	"net/http"
	"strings"

	"github.com/flaresmith/flaresmith/app/sim/openapi"
)

// slice is a part of GitHub's OpenAPI description; openapi/README.md tells where it is from.
//
//go:embed openapi/slice.json.zst
var slice []byte

// description is the loaded slice.
//
//nolint:gochecknoglobals // computed once, then only read
var description = openapi.Load("description of GitHub's API", slice)

// Violations lists the requests, answers and webhooks that did not fit GitHub's description; always empty without
// Config.Validate.
func (s *Server) Violations() []openapi.Violation { return s.check.Violations() }

// checkExchange compares a request and its answer with the description, which is of the REST API.
func (s *Server) checkExchange(r *http.Request, rt *route, body []byte, a answer) {
	switch {
	case s.check == nil, rt.as == asAnybody:
		return
	case rt.handle == nil:
		s.check.Note(r.Method+" "+r.URL.Path, "route", errors.New("not served by the stand-in"))
		return
	}
	request := r.Clone(r.Context())
	if string(bytes.TrimSpace(body)) == "null" { // ghinstallation's way to send nothing, which GitHub takes
		body, request.ContentLength = nil, 0
		request.Header.Del("Content-Type")
	}
	if strings.HasSuffix(rt.template, "/contents/{path}") && r.PathValue("path") == "" {
		request.SetPathValue("path", ".") // the root, whose path is empty, which the description forbids
	}
	s.check.Check(openapi.Exchange{Operation: rt.name(), Request: request, Body: body, Status: a.status, Header: a.header, Answer: a.raw})
}

// checkWebhook compares the payload of a delivery with the description.
func (s *Server) checkWebhook(event, action string, payload []byte) {
	name := event
	if action != "" {
		name += "-" + action
	}
	name = strings.ReplaceAll(name, "_", "-")
	s.check.CheckPayload("webhook "+name, "webhook."+name, payload)
}
