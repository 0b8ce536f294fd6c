package target

import (
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// address is where a request goes, which is written with each of its answers again.
type address struct {
	raw      string
	segments []string
	params   []string // the segments that are one parameter
	query    []queryPair
}

func (p *postman) address(r *request) address {
	a := address{segments: make([]string, 0, 8), query: p.query(r)}
	for _, s := range r.Segments() {
		switch {
		case s.Param != "":
			a.params = append(a.params, s.Param)
			a.segments = append(a.segments, ":"+s.Param)
		default:
			a.segments = append(a.segments, s.Filled(r.pathValue))
		}
	}
	var raw strings.Builder
	raw.WriteString("{{baseUrl}}/" + strings.Join(a.segments, "/"))
	separator := "?"
	for _, q := range a.query {
		if !q.disabled {
			raw.WriteString(separator + q.key + "=" + q.value)
			separator = "&"
		}
	}
	a.raw = raw.String()
	return a
}

func (p *postman) url(r *request, a address) {
	p.member("url").open("{")
	p.member("raw").quote(a.raw)
	p.member("host").text(`["{{baseUrl}}"]`)
	p.member("path").text("[")
	for i, segment := range a.segments {
		p.comma(i)
		p.quote(segment)
	}
	p.text("]")
	if len(a.query) > 0 {
		p.member("query").open("[")
		for _, q := range a.query {
			p.pair(q.key, q.value, q.description, q.disabled)
		}
		p.shut("]")
	}
	p.pathParameters(r, a)
	p.shut("}")
}

type queryPair struct {
	key, value, description string
	disabled                bool
}

// pairBytes is about what a pair takes beside its value.
const pairBytes = 64

// query lists the parameters behind the question mark; what is optional is there, but not sent.
func (p *postman) query(r *request) []queryPair {
	var list []queryPair
	for i := range r.Parameters {
		q := &r.Parameters[i]
		if q.In != "query" {
			continue
		}
		for _, pair := range p.spread(q) {
			list = append(list, queryPair{pair.key, p.hold(pair.value), q.Schema.Meta.Description, !q.Required})
			p.held += pairBytes
		}
	}
	return list
}

// spread makes a parameter of each item of a list, and of each member of a deep object, where OpenAPI does.
func (p *postman) spread(q *ir.Parameter) []variable {
	value := p.sampled(q)
	var pairs []variable
	switch {
	case value.Kind == spec.Array && q.Explode && !q.JSON:
		for i := range value.Children {
			pairs = append(pairs, variable{q.Name, plain(&value.Children[i])})
		}
	case value.Kind == spec.Object && q.Style == "deepObject":
		for i := range value.Children {
			pairs = append(pairs, variable{q.Name + "[" + value.Children[i].Key + "]", plain(&value.Children[i])})
		}
	default:
		return []variable{{q.Name, p.parameterText(q)}}
	}
	return pairs
}

func (p *postman) pathParameters(r *request, a address) {
	if len(a.params) == 0 {
		return
	}
	p.member("variable").open("[")
	for _, name := range a.params {
		description := ""
		if q := r.parameter(name); q != nil {
			description = q.Schema.Meta.Description
		}
		p.pair(name, r.pathValue(name), description, false)
	}
	p.shut("]")
}
