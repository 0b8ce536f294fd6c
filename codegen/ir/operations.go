package ir

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"} //nolint:gochecknoglobals // a constant table

// statusPattern is what a response may be for.
var statusPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(?:[1-5][0-9]{2}|[1-5][Xx]{2}|default)$`) })

// maxOperations bounds what a document can ask for: each operation may repeat a large schema.
const maxOperations = 20_000

// maxParts bounds the parameters, answers and types of content of all operations together, and those that stand in their paths: many paths may share an
// item that has many.
const maxParts = 500_000

// maxPath bounds a path, of whose parameters each is looked for among all others. No address is that long.
const maxPath = 8000

// Operation is what one method of one path does.
type Operation struct {
	ID                   string // operationId, or made of method and path
	Ident                string // the same in code: camel case, and no other operation's
	Tag                  string // the first
	Method, Path         string // GET, /projects/{id}
	Summary, Description string
	Deprecated           bool
	Parameters           []Parameter
	Body                 *Schema // of JSON; nil when there is none
	BodyRequired         bool
	Bodies               []Media // of the request: Body, and other types
	Responses            []Response
	Security             *Security // nil when nothing authorizes a request
	Result               *Schema   // JSON of the first response with a status of 2xx; nil when there is none
	Requirements         []string  // ids that name the operation, or that it names
	place                spec.Problem
	unwritten            map[*Schema]bool
}

// Parameter is a value that a request carries outside of its body.
type Parameter struct {
	Name, In string // In is path, query, header or cookie
	Required bool   // always of a path's
	Schema   *Schema
	Example  *spec.Node
	Style    string // how a list or an object is written: form, simple, spaceDelimited, pipeDelimited, deepObject
	Explode  bool   // each of a list's items is a parameter of its own
	JSON     bool   // the value is JSON
}

// operations reads all operations. The schemas that stand inline in request bodies and responses
// become components that are named after their operation.
func (b *builder) operations() {
	if hooks := b.doc.Root.Get("webhooks"); hooks.Is(spec.Object) && len(hooks.Children) > 0 {
		b.note(hooks, "webhooks are not generated, as they are calls to somebody else: only the schemas under components are")
	}
	paths := b.doc.Root.Get("paths")
	b.model.Document = b.document()
	if !paths.Is(spec.Object) {
		return
	}
	b.parameters, b.forms, b.idents = map[*spec.Node]*Parameter{}, map[*spec.Node]*Schema{}, names{}
	for i := range paths.Children {
		path := &paths.Children[i]
		if strings.HasPrefix(path.Key, "x-") {
			continue
		}
		if len(path.Key) > maxPath {
			b.doc.Problem(path, "the path is longer than %d characters", maxPath)
			continue
		}
		item := b.follow(path)
		for _, method := range methods {
			operation := item.Get(method)
			if !operation.Is(spec.Object) {
				continue
			}
			if len(b.model.Operations) == maxOperations {
				b.doc.Problem(operation, "there are more than %d operations", maxOperations)
				return
			}
			if b.pause() {
				return
			}
			if b.operation(path.Key, method, item, operation); b.parts > maxParts {
				b.doc.Problem(operation, "all operations together have more than %d parameters and answers", maxParts)
				return
			}
		}
	}
}

func (b *builder) operation(path, method string, item, n *spec.Node) {
	o := Operation{
		ID: n.Get("operationId").String(), Method: strings.ToUpper(method), Path: path,
		Summary: n.Get("summary").String(), Description: n.Get("description").String(), Deprecated: n.Get("deprecated").True(),
		place: b.doc.At(n, ""),
	}
	if o.ID == "" {
		o.ID = Pascal(method + "_" + strings.NewReplacer("{", "by_", "}", "").Replace(path))
		o.ID = lowerFirst(o.ID)
	}
	if o.Ident, o.Security = b.ident(o.ID), b.security(n); o.Ident != lowerFirst(Pascal(o.ID)) {
		b.note(cmp.Or(n.Get("operationId"), n), "another operation is called %s: this one is called %s in code", o.ID, o.Ident)
	}
	if tags := n.Get("tags"); tags.Is(spec.Array) && len(tags.Children) > 0 {
		o.Tag = tags.Children[0].String()
	}
	name := Pascal(o.ID)
	b.parametersOf(item, &o)
	b.parametersOf(n, &o)
	b.pathParameters(n, &o)
	if body := n.Get("requestBody"); body != nil {
		o.Body = b.content(body, name+"Body", "Body")
		o.BodyRequired = b.follow(body).Get("required").True()
		o.Bodies = b.media(body, o.Body)
	}
	if responses := n.Get("responses"); responses.Is(spec.Object) {
		for i := range responses.Children {
			status := &responses.Children[i]
			if strings.HasPrefix(status.Key, "x-") {
				continue
			}
			if b.parts++; b.parts > maxParts {
				return
			}
			if !statusPattern().MatchString(status.Key) { // it is put into code
				b.doc.Problem(status, "%q is no status of a response: want one such as 200 or 4XX, or default", status.Key)
				continue
			}
			result := b.content(status, name+"Response"+strings.TrimPrefix(Pascal(status.Key), "_"), "Response")
			if o.Result == nil && strings.HasPrefix(status.Key, "2") {
				o.Result = result
			}
			o.Responses = append(o.Responses, Response{status.Key, b.follow(status).Get("description").String(), b.media(status, result)})
		}
	}
	if calls := n.Get("callbacks"); calls.Is(spec.Object) && len(calls.Children) > 0 {
		b.note(calls, "the callbacks of %s %s are not generated, as they are calls to somebody else", o.Method, path)
	}
	if o.Unclear() {
		b.note(n, "in the path %q, nobody can tell where one parameter ends and the next one begins: there is no route for it", path)
	}
	b.model.Operations = append(b.model.Operations, o)
}

// parametersOf adds the parameters of a path or an operation; the operation's replace the path's.
func (b *builder) parametersOf(n *spec.Node, o *Operation) {
	list := n.Get("parameters")
	if !list.Is(spec.Array) {
		return
	}
	index := make(map[[2]string]int, len(o.Parameters)+len(list.Children))
	for i := range o.Parameters {
		index[[2]string{o.Parameters[i].In, o.Parameters[i].Name}] = i
	}
	for i := range list.Children {
		if b.parts++; b.parts > maxParts {
			return
		}
		p := b.parameter(&list.Children[i])
		if p == nil {
			continue
		}
		key := [2]string{p.In, p.Name}
		at, known := index[key]
		if known {
			o.Parameters[at] = *p
			continue
		}
		index[key] = len(o.Parameters)
		o.Parameters = append(o.Parameters, *p)
	}
}

// pathParameters brings the parameters of a path in line with its text: one that is only there is a text.
func (b *builder) pathParameters(n *spec.Node, o *Operation) {
	described := map[string]bool{} // by name, whether a parameter describes it
	var names []string
	for _, s := range o.Segments() {
		names = append(names, s.Params()...)
	}
	if b.parts += len(names); b.parts > maxParts {
		return
	}
	for _, name := range names {
		described[name] = false
	}
	o.Parameters = slices.DeleteFunc(o.Parameters, func(p Parameter) bool {
		_, there := described[p.Name]
		gone := p.In == "path" && !there
		if gone {
			b.note(n, "the path %q has no {%s}: this parameter is left out", brief(o.Path), brief(p.Name))
		}
		if p.In == "path" && there {
			described[p.Name] = true
		}
		return gone
	})
	for _, name := range names {
		if !described[name] {
			described[name] = true
			b.note(n, "no parameter describes {%s} of the path %q: it is read as a text", brief(name), brief(o.Path))
			o.Parameters = append(o.Parameters, Parameter{Name: name, In: "path", Required: true, Style: "simple", Schema: &Schema{Types: String, Node: &spec.Node{Kind: spec.Object}}})
		}
	}
}

// brief cuts a path or a name for a note, of which there may be very many.
func brief(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// parameter reads a parameter, once where many operations share it.
func (b *builder) parameter(n *spec.Node) *Parameter {
	n = b.follow(n)
	if p, ok := b.parameters[n]; ok {
		return p
	}
	p := &Parameter{Name: n.Get("name").String(), In: n.Get("in").String(), Required: n.Get("required").True()}
	p.Required = p.Required || p.In == "path"
	p.Example = b.example(n)
	p.style(n)
	schema := n.Get("schema")
	if content := b.follow(n.Get("content")); schema == nil && content.Is(spec.Object) && len(content.Children) > 0 {
		schema = b.follow(&content.Children[0]).Get("schema")
		p.JSON = isJSON(content.Children[0].Key)
	}
	switch {
	case p.Name == "" || p.In == "":
		p = nil // which is told
	case !slices.Contains([]string{"path", "query", "header", "cookie"}, p.In):
		b.doc.Problem(n.Get("in"), "in is %q: a parameter is in path, query, header or cookie", p.In)
		p = nil
	case schema == nil:
		b.note(n, "the parameter %q has no schema: it is read as any text", p.Name)
		p.Schema = &Schema{Node: n}
	case p.Style == "deepObject":
		b.note(n, "the object %q is spread over parameters: routes pass it on unread", p.Name)
		p.Schema = b.schema(schema, 0)
	default:
		p.Schema = b.schema(schema, 0)
	}
	if p != nil {
		if description := n.Get("description").String(); description != "" {
			p.Schema.Meta.Description = description
		}
		b.loose = append(b.loose, p.Schema)
	}
	b.parameters[n] = p
	return p
}

// style reads how a value is written, with the defaults of OpenAPI.
func (p *Parameter) style(n *spec.Node) {
	p.Style = n.Get("style").String()
	if p.Style == "" {
		p.Style = "simple"
		if p.In == "query" || p.In == "cookie" {
			p.Style = "form"
		}
	}
	p.Explode = p.Style == "form"
	if explode := n.Get("explode"); explode.Is(spec.Bool) {
		p.Explode = explode.True()
	}
}

// content returns the JSON schema of a body, as a reference to a component. A body that is shared by
// reference gives the component the name that it has in the document.
func (b *builder) content(n *spec.Node, name, suffix string) *Schema {
	target := b.follow(n)
	pointer := "inline " + name
	if ref := n.Get("$ref"); ref.Is(spec.String) {
		pointer = "shared " + ref.Text
		if tokens := spec.Tokens(ref.Text); len(tokens) > 0 {
			name = Pascal(tokens[len(tokens)-1]) + suffix
		}
	}
	content := b.follow(target.Get("content"))
	if !content.Is(spec.Object) {
		return nil
	}
	for i := range content.Children {
		schema := b.follow(&content.Children[i]).Get("schema")
		if !isJSON(content.Children[i].Key) || schema == nil {
			continue
		}
		if ref := schema.Get("$ref"); ref.Is(spec.String) && len(schema.Children) == 1 {
			return &Schema{Ref: b.refer(ref), Node: schema}
		}
		c, known := b.byPointer[pointer]
		if !known {
			c = b.component(pointer, name, schema)
			c.Operation = true
		}
		return &Schema{Ref: c, Node: schema}
	}
	return nil
}

func isJSON(media string) bool {
	media, _, _ = strings.Cut(strings.ToLower(media), ";")
	media = strings.TrimSpace(media)
	return media == "application/json" || strings.HasSuffix(media, "+json") || media == "*/*"
}

// follow returns what a node refers to, or the node. What leads nowhere is reported by references.
func (b *builder) follow(n *spec.Node) *spec.Node {
	for range maxRefs {
		ref := n.Get("$ref")
		if !ref.Is(spec.String) {
			return n
		}
		target, why := b.doc.Resolve(ref.Text)
		if why != "" {
			return n
		}
		n = target
	}
	return n
}

// isData tells whether what a keyword holds is no part of the description, but an example of what it describes.
func isData(keyword string) bool {
	switch keyword {
	case "example", "examples", "default", "enum", "const":
		return true
	}
	return strings.HasPrefix(keyword, "x-")
}

// references reports every reference of the document that leaves it or leads nowhere, also those
// that no generated file needs.
func (b *builder) references(n *spec.Node) {
	if ref := n.Get("$ref"); ref.Is(spec.String) {
		if _, why := b.doc.Resolve(ref.Text); why != "" {
			b.doc.Problem(ref, "%s", why)
		}
	}
	for i := range n.Children {
		child := &n.Children[i]
		if len(child.Children) == 0 {
			continue
		}
		if child.Key == "properties" && child.Kind == spec.Object { // a property may be named like a keyword
			for j := range child.Children {
				b.references(&child.Children[j])
			}
			continue
		}
		if n.Kind != spec.Object || !isData(child.Key) {
			b.references(child)
		}
	}
}
