package target

import (
	"cmp"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

const (
	postmanSchema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
	localURL      = "http://localhost:8787" // where wrangler dev answers
)

// Postman writes the operations of a model as a collection of Postman's format 2.1: everything of the JSON
// object behind its first member, which is the caller's. Ids follow from name and the operations' methods and
// paths, so that a request keeps its own while others come and go.
func Postman(m *ir.Model, name string) []byte {
	p := &postman{model: m, space: uuid.NewSHA1(uuid.NameSpaceURL, []byte("flaresmith/postman/"+name)), name: name}
	p.out = make([]byte, 0, 8192*len(m.Operations))
	p.indent, p.first = 1, []bool{true}
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
	return p.out
}

type postman struct {
	jsonSchema
	model     *ir.Model
	name      string
	space     uuid.UUID
	main      *ir.Security // of the document: what most operations use
	folders   []*folder
	variables []variable
}

type folder struct {
	name     string
	last     bool // it is none of the document's
	requests []*request
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
		o := &p.model.Operations[i]
		r := &request{Operation: o, paths: map[string]string{}, fixed: map[string]string{}, sets: map[string]string{}, bears: map[string]string{}}
		requests[i] = r
		p.pathVariables(r)
		name := folderName(o)
		if index[name] == nil {
			index[name] = &folder{name: name}
			p.folders = append(p.folders, index[name])
		}
		index[name].requests = append(index[name].requests, r)
	}
	for _, r := range requests {
		if r.Method == http.MethodPost {
			r.creates(requests)
		}
	}
	for _, r := range requests {
		r.refers(requests)
	}
	for _, f := range p.folders {
		slices.SortStableFunc(f.requests, byTurn)
	}
	p.folders = byNeed(p.folders)
	p.cleanUp()
}

// byNeed puts a folder behind those that set variables which it uses. Where they need each other, the
// document's order stays.
func byNeed(folders []*folder) []*folder {
	var sorted []*folder
	for rest := slices.Clone(folders); len(rest) > 0; {
		next := max(0, slices.IndexFunc(rest, func(f *folder) bool {
			return !slices.ContainsFunc(rest, func(other *folder) bool { return other != f && f.needs(other) })
		}))
		sorted = append(sorted, rest[next])
		rest = slices.Delete(rest, next, next+1)
	}
	return sorted
}

// needs tells whether a folder uses a variable that another sets and it does not.
func (f *folder) needs(other *folder) bool {
	set := func(folder *folder, key string) bool {
		return slices.ContainsFunc(folder.requests, func(r *request) bool { return r.sets[key] != "" })
	}
	for _, r := range f.requests {
		for _, key := range r.uses() {
			if set(other, key) && !set(f, key) {
				return true
			}
		}
	}
	return false
}

// uses lists the variables that a request is made with.
func (r *request) uses() []string {
	return append(slices.Sorted(maps.Values(r.paths)), slices.Sorted(maps.Values(r.bears))...)
}

// refers finds the members that a JSON body must have and that are named like a variable which another request
// sets: customerId of an order. A row that refers to nothing would not be taken.
func (r *request) refers(all []*request) {
	if r.Body == nil {
		return
	}
	target := r.Body.Deref()
	for i := range target.Properties {
		p := &target.Properties[i]
		key := camel(p.Name)
		if p.Required && typesOf(p.Schema)&^(ir.String|ir.Integer|ir.Number) == 0 && slices.ContainsFunc(all, func(other *request) bool { return other != r && other.sets[key] != "" }) {
			r.bears[p.Name] = key
		}
	}
}

func (p *postman) variable(key, value string) {
	if !slices.ContainsFunc(p.variables, func(v variable) bool { return v.key == key }) {
		p.variables = append(p.variables, variable{key, value})
	}
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

// pathVariables names the variables that fill a path: projectId for the id of /projects/{id}.
func (p *postman) pathVariables(r *request) {
	before := ""
	for _, s := range r.Segments() {
		for _, name := range paramsOf(s) {
			key := camel(name)
			if before != "" && (key == "id" || key == "uuid" || key == "slug" || key == "name" || key == "key") {
				key = camel(singular(before) + " " + name)
			}
			value := "1"
			if q := r.parameter(name); q != nil {
				value = parameterText(q)
				if q.Schema.Deref().Enum != nil { // a choice, not the name of a thing
					r.fixed[name] = value
					continue
				}
			}
			r.paths[name] = key
			p.variable(key, value)
		}
		if s.Param == "" && !s.Mixed {
			before = s.Text
		}
	}
}

// parameter finds a parameter of the path.
func (r *request) parameter(name string) *ir.Parameter {
	for i := range r.Parameters {
		if q := &r.Parameters[i]; q.In == "path" && q.Name == name {
			return q
		}
	}
	return nil
}

// pathValue is what stands for a path parameter: a variable, or a fixed value.
func (r *request) pathValue(name string) string {
	if key, ok := r.paths[name]; ok {
		return "{{" + key + "}}"
	}
	return r.fixed[name]
}

var braced = regexp.MustCompile(`\{([^{}]+)\}`)

func paramsOf(s ir.Segment) []string {
	var names []string
	for _, m := range braced.FindAllStringSubmatch(s.Text, -1) {
		names = append(names, m[1])
	}
	return names
}

func camel(name string) string {
	name = ir.Pascal(name)
	return strings.ToLower(name[:1]) + name[1:]
}

// singular makes project of projects, and category of categories.
func singular(word string) string {
	switch {
	case strings.HasSuffix(word, "ies") && len(word) > 4:
		return word[:len(word)-3] + "y"
	case strings.HasSuffix(word, "sses") || strings.HasSuffix(word, "xes"):
		return word[:len(word)-2]
	case strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss") && !strings.HasSuffix(word, "us") && !strings.HasSuffix(word, "is"):
		return word[:len(word)-1]
	}
	return word
}

// creates finds what a POST to a collection makes: the variable of the paths one segment below, out of the
// answer's member of that name, or its id.
func (r *request) creates(all []*request) {
	if r.Result == nil {
		return
	}
	for _, other := range all {
		rest, below := strings.CutPrefix(other.Path, strings.TrimSuffix(r.Path, "/")+"/{")
		if !below {
			continue
		}
		name, _, _ := strings.Cut(rest, "}")
		key := other.paths[name]
		for _, member := range []string{name, "id"} {
			if _, known := r.sets[key]; !known && key != "" && hasScalar(r.Result, member) {
				r.sets[key] = member
			}
		}
	}
}

// hasScalar tells whether an object always has a member that a path can hold.
func hasScalar(s *ir.Schema, name string) bool {
	target := s.Deref()
	for i := range target.Properties {
		if p := &target.Properties[i]; p.Name == name {
			return typesOf(p.Schema)&^(ir.String|ir.Integer|ir.Number) == 0
		}
	}
	return slices.ContainsFunc(target.All, func(branch *ir.Schema) bool { return hasScalar(branch, name) })
}

// byTurn orders the requests of a folder.
func byTurn(a, b *request) int {
	turn := func(r *request) int {
		switch {
		case len(r.sets) > 0:
			return 0
		case r.Method == http.MethodDelete:
			return 2
		}
		return 1
	}
	x, y := turn(a), turn(b)
	if x != y {
		return cmp.Compare(x, y)
	}
	long, longer := strings.Count(a.Path, "/"), strings.Count(b.Path, "/")
	switch x {
	case 0:
		return cmp.Compare(long, longer)
	case 2:
		return cmp.Compare(longer, long)
	}
	return 0
}

// cleanUp moves what removes a thing that other folders use to a last folder.
func (p *postman) cleanUp() {
	last := &folder{name: "Clean up", last: true}
	for _, f := range p.folders {
		f.requests = slices.DeleteFunc(f.requests, func(r *request) bool {
			move := r.Method == http.MethodDelete && p.usedElsewhere(f, r)
			if move {
				last.requests = append(last.requests, r)
			}
			return move
		})
	}
	p.folders = slices.DeleteFunc(p.folders, func(f *folder) bool { return len(f.requests) == 0 })
	if len(last.requests) > 0 {
		slices.Reverse(last.requests) // what needs others goes before them
		slices.SortStableFunc(last.requests, byTurn)
		p.folders = append(p.folders, last)
	}
}

func (p *postman) usedElsewhere(own *folder, r *request) bool {
	segments := r.Segments()
	name := segments[len(segments)-1].Param
	if name == "" {
		return false
	}
	for _, f := range p.folders {
		if f == own {
			continue
		}
		for _, other := range f.requests {
			if slices.Contains(other.uses(), r.paths[name]) {
				return true
			}
		}
	}
	return false
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
	p.member("request").open("{")
	p.outline(r)
	p.shut("}")
	p.member("response").open("[")
	for i := range r.Responses {
		p.answer(r, &r.Responses[i])
	}
	p.shut("]")
	p.shut("}")
}

// outline writes the members of a request.
func (p *postman) outline(r *request) {
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
	p.url(r)
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

// requestMedia is the content that is sent: JSON before forms before what else there is.
func requestMedia(r *request) *ir.Media {
	for _, wanted := range []func(ir.Media) bool{ir.Media.JSON, ir.Media.Form, func(ir.Media) bool { return true }} {
		if at := slices.IndexFunc(r.Bodies, wanted); at >= 0 {
			return &r.Bodies[at]
		}
	}
	return nil
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
			p.pair(q.Name, parameterText(q), q.Schema.Meta.Description, !q.Required)
		case q.In == "cookie" && q.Required:
			cookies = append(cookies, q.Name+"="+parameterText(q))
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

func (p *postman) body(r *request, media *ir.Media) {
	p.member("body").open("{")
	switch {
	case media.JSON():
		p.member("mode").text(`"raw"`)
		p.member("raw").quote(pretty(r.referring(mediaSample(media, false))))
		p.member("options").text(`{ "raw": { "language": "json" } }`)
	case media.Form():
		mode := "formdata"
		if strings.HasPrefix(media.Type, "application/") {
			mode = "urlencoded"
		}
		p.member("mode").quote(mode)
		p.member(mode).open("[")
		p.fields(media, mode)
		p.shut("]")
	default:
		p.member("mode").text(`"raw"`)
		p.member("raw").quote(plain(media.Example))
	}
	p.shut("}")
}

// referring puts variables into a body's sample.
func (r *request) referring(sample *spec.Node) *spec.Node {
	if len(r.bears) == 0 || !sample.Is(spec.Object) {
		return sample
	}
	copied := *sample
	copied.Children = slices.Clone(sample.Children)
	for i := range copied.Children {
		if child := &copied.Children[i]; r.bears[child.Key] != "" && (child.Kind == spec.String || child.Kind == spec.Number) {
			child.Text = "{{" + r.bears[child.Key] + "}}"
		}
	}
	return &copied
}

func (p *postman) fields(media *ir.Media, mode string) {
	if media.Schema == nil {
		return
	}
	sample := mediaSample(media, false)
	target := media.Schema.Deref()
	for i := range target.Properties {
		field := &target.Properties[i]
		value := sample.Get(field.Name)
		if value.Is(spec.Array) { // a field for each item
			for j := range value.Children {
				p.field(field, mode, &value.Children[j])
			}
			continue
		}
		p.field(field, mode, value)
	}
}

func (p *postman) field(field *ir.Property, mode string, value *spec.Node) {
	p.item().text(`{ "key": `)
	p.quote(field.Name)
	if mode == "formdata" && field.Schema.Deref().Format == "binary" {
		p.text(`, "type": "file", "src": []`)
	} else {
		p.text(`, "value": `)
		p.quote(plain(value))
		p.text(`, "type": "text"`)
	}
	p.remark(field.Schema.Meta.Description)
	if !field.Required {
		p.text(`, "disabled": true`)
	}
	p.text(" }")
}

func mediaSample(media *ir.Media, response bool) *spec.Node {
	if media.Example != nil {
		return media.Example
	}
	if media.Schema == nil {
		return &spec.Node{Kind: spec.Object}
	}
	return sampleOf(media.Schema, response)
}

func sampled(q *ir.Parameter) *spec.Node {
	if q.Example != nil {
		return q.Example
	}
	return sampleOf(q.Schema, false)
}

// parameterText is a parameter's value as a URL or a header carries it, but for percent signs.
func parameterText(q *ir.Parameter) string {
	value := sampled(q)
	if q.JSON {
		return compact(value)
	}
	if value.Kind == spec.Array {
		separator := map[string]string{"spaceDelimited": " ", "pipeDelimited": "|"}[q.Style]
		parts := make([]string, len(value.Children))
		for i := range value.Children {
			parts[i] = plain(&value.Children[i])
		}
		return strings.Join(parts, cmp.Or(separator, ","))
	}
	return plain(value)
}

// plain is a value as text: JSON only where it is composed.
func plain(n *spec.Node) string {
	switch {
	case n == nil:
		return ""
	case n.Kind == spec.Array || n.Kind == spec.Object:
		return compact(n)
	}
	return n.Text
}

func compact(n *spec.Node) string {
	s := &jsonSchema{compact: true}
	s.value(n)
	return string(s.out)
}

func pretty(n *spec.Node) string {
	s := &jsonSchema{}
	s.value(n)
	return string(s.out)
}

func (p *postman) url(r *request) {
	p.member("url").open("{")
	segments := make([]string, 0, 8)
	for _, s := range r.Segments() {
		switch {
		case s.Param != "":
			segments = append(segments, ":"+s.Param)
		default:
			segments = append(segments, braced.ReplaceAllStringFunc(s.Text, func(found string) string { return r.pathValue(found[1 : len(found)-1]) }))
		}
	}
	raw, query := "{{baseUrl}}/"+strings.Join(segments, "/"), r.query()
	separator := "?"
	for _, q := range query {
		if !q.disabled {
			raw += separator + q.key + "=" + q.value
			separator = "&"
		}
	}
	p.member("raw").quote(raw)
	p.member("host").text(`["{{baseUrl}}"]`)
	p.member("path").text("[")
	for i, segment := range segments {
		p.comma(i)
		p.quote(segment)
	}
	p.text("]")
	if len(query) > 0 {
		p.member("query").open("[")
		for _, q := range query {
			p.pair(q.key, q.value, q.description, q.disabled)
		}
		p.shut("]")
	}
	p.pathParameters(r)
	p.shut("}")
}

type queryPair struct {
	key, value, description string
	disabled                bool
}

// query lists the parameters behind the question mark; what is optional is there, but not sent.
func (r *request) query() []queryPair {
	var list []queryPair
	for i := range r.Parameters {
		q := &r.Parameters[i]
		if q.In != "query" {
			continue
		}
		for _, pair := range spread(q) {
			list = append(list, queryPair{pair.key, pair.value, q.Schema.Meta.Description, !q.Required})
		}
	}
	return list
}

// spread makes a parameter of each item of a list, and of each member of a deep object, where OpenAPI does.
func spread(q *ir.Parameter) []variable {
	value := sampled(q)
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
		return []variable{{q.Name, parameterText(q)}}
	}
	return pairs
}

func (p *postman) pathParameters(r *request) {
	var names []string
	for _, s := range r.Segments() {
		if s.Param != "" {
			names = append(names, s.Param)
		}
	}
	if len(names) == 0 {
		return
	}
	p.member("variable").open("[")
	for _, name := range names {
		description := ""
		if q := r.parameter(name); q != nil {
			description = q.Schema.Meta.Description
		}
		p.pair(name, r.pathValue(name), description, false)
	}
	p.shut("]")
}

// answer writes a response as an example of the request.
func (p *postman) answer(r *request, a *ir.Response) {
	code := statusCode(a.Status)
	p.item().open("{")
	p.member("id").quote(p.id(r.Method, r.Path, a.Status))
	p.member("name").quote(cmp.Or(strings.TrimSpace(firstLine(a.Description)), a.Status))
	p.member("originalRequest").open("{")
	p.member("method").quote(r.Method)
	p.member("header").text("[]")
	p.url(r)
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
		if sample := mediaSample(&a.Media[0], true); a.Media[0].JSON() {
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
