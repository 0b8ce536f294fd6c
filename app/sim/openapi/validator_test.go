package openapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

const shop = `
openapi: 3.0.3
info: {title: shop, version: "1"}
components:
  schemas:
    item: {type: object, required: [name], properties: {name: {type: string}}}
paths:
  /items/{id}:
    put:
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/item"}}}}
      responses:
        "200": {description: done, content: {application/json: {schema: {$ref: "#/components/schemas/item"}}}}
        "204": {description: as it was}
        "409": {description: in use, content: {application/json: {schema: {$ref: "#/components/schemas/item"}}}}
  /files/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}]
      responses:
        "200": {description: done}
        default: {description: no, content: {application/json: {schema: {$ref: "#/components/schemas/item"}}}}
`

func load(t *testing.T) *openapi3.T {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := Load("shop", encoder.EncodeAll([]byte(shop), nil))()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestCheck(t *testing.T) {
	t.Parallel()
	doc := load(t)
	const put, get, fits = "PUT /items/{id}", "GET /files/{id}", `{"name":"cup"}`
	tests := []struct {
		name, operation, id, body string
		status                    int
		contentType, answer       string
		want                      []string // how the reasons begin
	}{
		{name: "fits", operation: put, id: "7", body: fits, status: 200, answer: fits},
		{name: "no body", operation: put, id: "7", body: fits, status: 204},
		{name: "parameter", operation: put, id: "cup", body: fits, status: 200, answer: fits, want: []string{"request: "}},
		{name: "request and answer", operation: put, id: "7", body: `{}`, status: 200, answer: `{"name":7}`, want: []string{"request: ", "answer 200: "}},
		{name: "undescribed success", operation: put, id: "7", body: fits, status: 201, answer: fits, want: []string{"answer 201: "}},
		{name: "described refusal", operation: put, id: "7", body: fits, status: 409, answer: `{}`, want: []string{"answer 409: "}},
		{name: "undescribed refusal", operation: put, id: "7", body: fits, status: 500, answer: `{}`},
		{name: "refusal of the default", operation: get, id: "a", status: 500, answer: `{}`, want: []string{"answer 500: "}},
		{name: "raw file", operation: get, id: "a", status: 200, contentType: "application/octet-stream", answer: "\x00"},
		{name: "unknown path", operation: "PUT /cups/{id}", id: "7", body: fits, status: 200, answer: fits, want: []string{"route: "}},
		{name: "unknown method", operation: "DELETE /items/{id}", id: "7", status: 204, want: []string{"route: "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			method, _, _ := strings.Cut(tt.operation, " ")
			r := httptest.NewRequest(method, "/", nil)
			r.SetPathValue("id", tt.id)
			if tt.body != "" {
				r.Header.Set("Content-Type", "application/json")
			}
			if tt.contentType == "" {
				tt.contentType = "application/json; charset=utf-8"
			}
			v := NewValidator(doc)
			v.Check(Exchange{Operation: tt.operation, Request: r, Body: []byte(tt.body), Status: tt.status,
				Header: http.Header{"Content-Type": {tt.contentType}}, Answer: []byte(tt.answer)})
			var got []string
			for _, violation := range v.Violations() {
				part, _, _ := strings.Cut(violation.Reason, " ")
				if part == "answer" {
					part = violation.Reason[:len("answer 200:")]
				}
				got = append(got, part+" ")
				if violation.Operation != tt.operation {
					t.Errorf("operation %q", violation.Operation)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s\n%v", diff, v.Violations())
			}
		})
	}
}

func TestCheckPayload(t *testing.T) {
	t.Parallel()
	v := NewValidator(load(t))
	for _, payload := range []string{`{"name":"cup"}`, `{}`, `{`} {
		v.CheckPayload("webhook item", "item", []byte(payload))
	}
	v.CheckPayload("webhook cup", "cup", []byte(`{}`))
	if got := v.Violations(); len(got) != 3 || !strings.HasPrefix(got[2].String(), "webhook cup: payload: ") {
		t.Errorf("%v", got)
	}
	var none *Validator
	none.CheckPayload("webhook cup", "cup", nil)
	none.Check(Exchange{})
	if got := none.Violations(); got != nil {
		t.Errorf("a nil one found %v", got)
	}
}
