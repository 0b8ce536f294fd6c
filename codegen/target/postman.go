package target

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

const (
	postmanSchema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
	localURL      = "http://localhost:8787" // where wrangler dev answers
)

// Postman writes the operations of a model as a collection of Postman's format 2.1: everything of the JSON
// object behind its first member, which is the caller's. Ids follow from name and the operations' methods and
// paths, so that a request keeps its own while others come and go.
func Postman(ctx context.Context, m *ir.Model, name string) (content []byte, err error) {
	defer complete(&err)
	p := &postman{model: m, space: uuid.NewSHA1(uuid.NameSpaceURL, []byte("flaresmith/postman/"+name)), name: name}
	p.out = make([]byte, 0, 14<<10*len(m.Operations))
	p.indent, p.first, p.ended = 1, []bool{true}, ctx.Err
	p.samples.goOn = p.goOn
	p.plan()
	p.text(`  "info": `)
	p.first[0] = false
	p.info()
	p.member("auth")
	p.auth(p.main)
	p.member("variable").open("[")
	for _, v := range p.variables {
		p.item().text(`{ "key": `)
		p.quote(v.key)
		p.text(`, "value": `)
		p.quote(v.value)
		p.text(`, "type": "string" }`)
	}
	p.shut("]")
	p.member("item").open("[")
	for _, folder := range p.folders {
		p.folder(folder)
	}
	p.shut("]")
	p.text("\n}\n")
	return p.out, nil
}

type postman struct {
	jsonSchema
	model     *ir.Model
	name      string
	space     uuid.UUID
	main      *ir.Security // of the document: what most operations use
	folders   []*folder
	variables []variable
	known     map[string]bool // the keys of variables
	samples   samples
	bodies    map[content]string // samples of answers, as they are written
	kept      int                // bytes of bodies
	scratch   []byte             // memory for a schema that becomes a line
}

type folder struct {
	name     string
	last     bool // it is none of the document's
	requests []*request
	sets     map[string]bool // variables
	lacks    []string        // variables that its requests use and do not set
}

type request struct {
	*ir.Operation
	paths map[string]string // variables of the collection, by path parameters
	fixed map[string]string // values of the other path parameters
	sets  map[string]string // variables that the answer sets, with the member that they are set from
	bears map[string]string // members of the body that name what another request makes, with its variable
}

type variable struct{ key, value string }

// plan decides what folders and variables there are, and in which order requests run: what makes a thing
// before what uses it, what removes it last.
func (p *postman) plan() {
	p.main = mostUsed(p.model.Operations)
	p.variable("baseUrl", localURL) // environments have others
	for _, v := range authVariables(p.model) {
		p.variable(v, "")
	}
	index := map[string]*folder{}
	requests := make([]*request, len(p.model.Operations))
	for i := range p.model.Operations {
		p.goOn()
		o := &p.model.Operations[i]
		r := &request{Operation: o, paths: map[string]string{}, fixed: map[string]string{}, sets: map[string]string{}}
		requests[i] = r
		p.pathVariables(r)
		name := folderName(o)
		if index[name] == nil {
			index[name] = &folder{name: name}
			p.folders = append(p.folders, index[name])
		}
		index[name].requests = append(index[name].requests, r)
	}
	below := p.belowCollections(requests)
	for _, r := range requests {
		if r.Method == http.MethodPost {
			p.creates(r, below[collection(r)])
		}
	}
	p.refers(requests)
	for _, f := range p.folders {
		slices.SortStableFunc(f.requests, byTurn)
	}
	p.folders = p.byNeed(p.folders)
	p.cleanUp()
}

func folderName(o *ir.Operation) string {
	if o.Tag != "" {
		return o.Tag
	}
	for _, s := range o.Segments() {
		if s.Param == "" && !s.Mixed && s.Text != "" {
			return s.Text
		}
	}
	return "root"
}

func (p *postman) id(parts ...string) string {
	return uuid.NewSHA1(p.space, []byte(strings.Join(parts, "\x00"))).String()
}

func (p *postman) info() {
	p.open("{")
	p.member("_postman_id").quote(p.space.String())
	p.member("name").quote(cmp.Or(p.model.Document.Title, p.name, "API"))
	if p.model.Document.Description != "" {
		p.member("description").quote(p.model.Document.Description)
	}
	if p.model.Document.Version != "" {
		p.member("version").quote(p.model.Document.Version)
	}
	p.member("schema").quote(postmanSchema)
	p.shut("}")
}

func (p *postman) folder(f *folder) {
	p.item().open("{")
	id := p.id("folder", f.name)
	if f.last {
		id = p.id("last")
	}
	p.member("id").quote(id)
	p.member("name").quote(f.name)
	p.member("item").open("[")
	for _, r := range f.requests {
		p.request(r)
	}
	p.shut("]")
	p.shut("}")
}

func (p *postman) request(r *request) {
	p.item().open("{")
	p.member("id").quote(p.id(r.Method, r.Path))
	p.member("name").quote(cmp.Or(r.Summary, r.Method+" "+r.Path))
	if slices.ContainsFunc(r.Responses, func(a ir.Response) bool { return strings.HasPrefix(a.Status, "3") }) {
		p.member("protocolProfileBehavior").text(`{ "followRedirects": false }`)
	}
	p.member("event").open("[")
	p.item().open("{")
	p.member("listen").text(`"test"`)
	p.member("script").open("{")
	p.member("type").text(`"text/javascript"`)
	p.member("exec").open("[")
	for _, line := range p.tests(r) {
		p.item().quote(line)
	}
	p.shut("]")
	p.shut("}")
	p.shut("}")
	p.shut("]")
	held := p.held
	to := p.address(r)
	p.member("request").open("{")
	p.outline(r, to)
	p.shut("}")
	p.member("response").open("[")
	written := ""
	for i := range r.Responses {
		written = p.answer(r, &r.Responses[i], to, written)
	}
	p.shut("]")
	p.shut("}")
	p.held = held // the next request has an address of its own
}

// outline writes the members of a request.
func (p *postman) outline(r *request, to address) {
	if !same(r.Security, p.main) {
		p.member("auth")
		p.auth(r.Security)
	}
	p.member("method").quote(r.Method)
	media := requestMedia(r)
	p.headers(r, media)
	if media != nil {
		p.body(r, media)
	}
	p.url(r, to)
	description := r.Description
	if len(r.Requirements) > 0 {
		description = strings.TrimSpace(description + "\n\n" + strings.Join(r.Requirements, ", "))
	}
	if r.Deprecated {
		description = strings.TrimSpace("Deprecated. " + description)
	}
	if description != "" {
		p.member("description").quote(description)
	}
}

func (p *postman) headers(r *request, media *ir.Media) {
	p.member("header").open("[")
	if accept := resultType(r); accept != "" {
		p.pair("Accept", accept, "", false)
	}
	if media != nil && !media.Form() {
		p.pair("Content-Type", media.Type, "", false)
	}
	var cookies []string
	for i := range r.Parameters {
		switch q := &r.Parameters[i]; {
		case q.In == "header" && !ignored(q):
			p.pair(q.Name, p.parameterText(q), q.Schema.Meta.Description, !q.Required)
		case q.In == "cookie" && q.Required:
			cookies = append(cookies, p.hold(q.Name+"="+p.parameterText(q)))
		}
	}
	if len(cookies) > 0 {
		p.pair("Cookie", strings.Join(cookies, "; "), "", false)
	}
	p.shut("]")
}

func resultType(r *request) string {
	for _, answer := range r.Responses {
		if answer.Success() && len(answer.Media) > 0 {
			return answer.Media[0].Type
		}
	}
	return ""
}

func (p *postman) pair(key, value, description string, disabled bool) {
	p.item().text(`{ "key": `)
	p.quote(key)
	p.text(`, "value": `)
	p.quote(value)
	p.remark(description)
	if disabled {
		p.text(`, "disabled": true`)
	}
	p.text(" }")
}

func (p *postman) remark(description string) {
	if description != "" {
		p.text(`, "description": `)
		p.quote(description)
	}
}
