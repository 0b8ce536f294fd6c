package target

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// answer writes a response as an example of the request. It gives the address as it is written, which the request's next answer repeats.
func (p *postman) answer(r *request, a *ir.Response, to address, written string) string {
	code := statusCode(a.Status)
	p.item().open("{")
	p.member("id").quote(p.id(r.Method, r.Path, a.Status))
	p.member("name").quote(cmp.Or(strings.TrimSpace(firstLine(a.Description)), a.Status))
	p.member("originalRequest").open("{")
	p.member("method").quote(r.Method)
	p.member("header").text("[]")
	if written == "" {
		from := len(p.out)
		p.url(r, to)
		written = string(p.out[from:])
	} else {
		p.text(written)
	}
	p.shut("}")
	p.member("status").quote(cmp.Or(http.StatusText(code), "Unknown"))
	p.member("code").text(strconv.Itoa(code))
	language := "text"
	p.member("header").text("[")
	if len(a.Media) > 0 {
		p.text(`{ "key": "Content-Type", "value": `)
		p.quote(a.Media[0].Type)
		p.text(" }")
		if a.Media[0].JSON() {
			language = "json"
		}
	}
	p.text("]")
	p.member("cookie").text("[]")
	p.member("body").text(p.answered(a))
	p.member("_postman_previewlanguage").quote(language)
	p.shut("}")
	return written
}

// content is what a sample is made of.
type content struct {
	example   *spec.Node
	component *ir.Component
	schema    *ir.Schema
	json      bool
}

// maxBodies bounds the bytes of samples that are kept, as operations may share them.
const maxBodies = 16 << 20

// answered is an answer's body, quoted.
func (p *postman) answered(a *ir.Response) string {
	if len(a.Media) == 0 {
		return `""`
	}
	media := &a.Media[0]
	of := content{example: media.Example, json: media.JSON()}
	switch s := media.Schema; {
	case of.example != nil || s == nil:
	case s.Ref != nil && !s.Nullable && s.Meta == (ir.Meta{}): // each answer refers to it by a schema of its own
		of.component = s.Ref
	default:
		of.schema = s
	}
	body, known := p.bodies[of]
	if known {
		return body
	}
	w := &writer{}
	switch sample := p.mediaSample(media, true); {
	case of.json:
		w.quote(pretty(sample))
	case of.example != nil:
		w.quote(plain(sample))
	default:
		return `""`
	}
	body = string(w.out)
	if p.kept += len(body); p.bodies == nil || p.kept > maxBodies {
		p.bodies, p.kept = map[content]string{}, len(body)
	}
	p.bodies[of] = body
	return body
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// statusCode is a number for a status, of a range the first.
func statusCode(status string) int {
	if code, err := strconv.Atoi(status); err == nil {
		return code
	}
	if status != "" && status[0] >= '1' && status[0] <= '5' {
		return int(status[0]-'0') * 100
	}
	return http.StatusInternalServerError
}
