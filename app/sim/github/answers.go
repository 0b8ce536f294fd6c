package github

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// answer is what a route gives back; it is written, and checked, as a whole.
type answer struct {
	status      int // 0: 200
	body        any // encoded as JSON unless nil
	raw         []byte
	contentType string
	header      http.Header
}

// failure is an answer that GitHub gives for a request that it refuses.
type failure struct {
	status  int
	message string
	errors  []any
	header  http.Header
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s", f.status, f.message) }

func fail(status int, message string, details ...any) error {
	return &failure{status: status, message: message, errors: details}
}

// invalid is a 422 with one field's error, as GitHub shapes it.
func invalid(resource, field, code, message string) error {
	detail := object{"resource": resource, "field": field, "code": code}
	if message != "" {
		detail["message"] = message
	}
	return fail(http.StatusUnprocessableEntity, "Validation Failed", detail)
}

func failureAnswer(err error) answer {
	var f *failure
	if !errors.As(err, &f) {
		return answer{status: http.StatusInternalServerError, body: object{"message": "Server Error"}}
	}
	body := object{"message": f.message, "documentation_url": "https://docs.github.com/rest", "status": strconv.Itoa(f.status)}
	if len(f.errors) > 0 {
		body["errors"] = f.errors
	}
	return answer{status: f.status, body: body, header: f.header}
}

// encode settles the status, the bytes and the content type.
func (a *answer) encode() error {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.header == nil {
		a.header = http.Header{}
	}
	if a.body != nil {
		raw, err := json.Marshal(a.body)
		if err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
		a.raw, a.contentType = raw, "application/json; charset=utf-8"
	}
	if a.contentType != "" {
		a.header.Set("Content-Type", a.contentType)
	}
	return nil
}

// condition turns a GET's answer into 304 when the caller has it already.
func (a *answer) condition(r *http.Request) {
	if r.Method != http.MethodGet || a.status != http.StatusOK {
		return
	}
	sum := sha256.Sum256(a.raw)
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	a.header.Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		a.status, a.raw = http.StatusNotModified, nil
		a.header.Del("Content-Type")
	}
}

func (a *answer) write(w http.ResponseWriter) {
	for key, values := range a.header {
		w.Header()[key] = values
	}
	if len(a.raw) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.raw)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.raw) // the caller may have gone
}

// page answers with one page of a list, and Link headers to the others.
func (c *call) page(list []object) (answer, error) {
	part, header := c.slice(list)
	return answer{body: part, header: header}, nil
}

// pageIn is page for lists that GitHub wraps into an object with total_count.
func (c *call) pageIn(key string, list []object) (answer, error) {
	part, header := c.slice(list)
	return answer{body: object{"total_count": len(list), key: part}, header: header}, nil
}

func (c *call) slice(list []object) ([]object, http.Header) { return c.sliceBy(list, 30, 100) }

// sliceBy is slice with pages of other sizes than usual.
func (c *call) sliceBy(list []object, usual, most int) ([]object, http.Header) {
	q := c.r.URL.Query()
	size := number(q.Get("per_page"), usual, most)
	pages := max(1, (len(list)+size-1)/size)
	page := number(q.Get("page"), 1, 1<<30)
	header := http.Header{}
	var links []string
	link := func(n int, rel string) {
		u := *c.r.URL
		query := u.Query()
		query.Set("page", strconv.Itoa(n))
		u.RawQuery = query.Encode()
		links = append(links, fmt.Sprintf("<%s%s>; rel=%q", c.base, (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).RequestURI(), rel))
	}
	if page > 1 {
		link(page-1, "prev")
	}
	if page < pages {
		link(page+1, "next")
		link(pages, "last")
	}
	if page > 1 {
		link(1, "first")
	}
	if len(links) > 0 {
		header.Set("Link", strings.Join(links, ", "))
	}
	from := min(len(list), (page-1)*size)
	return append([]object{}, list[from:min(len(list), from+size)]...), header
}

func number(text string, fallback, most int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fallback
	}
	return min(n, most)
}
