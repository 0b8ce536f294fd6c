package target

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

// answer writes a response as an example of the request.
func (p *postman) answer(r *request, a *ir.Response, to address) {
	code := statusCode(a.Status)
	p.item().open("{")
	p.member("id").quote(p.id(r.Method, r.Path, a.Status))
	p.member("name").quote(cmp.Or(strings.TrimSpace(firstLine(a.Description)), a.Status))
	p.member("originalRequest").open("{")
	p.member("method").quote(r.Method)
	p.member("header").text("[]")
	p.url(r, to)
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
	body := ""
	if len(a.Media) > 0 {
		if sample := p.mediaSample(&a.Media[0], true); a.Media[0].JSON() {
			body = pretty(sample)
		} else if a.Media[0].Example != nil {
			body = plain(sample)
		}
	}
	p.member("body").quote(body)
	p.member("_postman_previewlanguage").quote(language)
	p.shut("}")
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
