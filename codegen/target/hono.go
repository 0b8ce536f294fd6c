package target

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// HonoImports are the modules, without extension, that a routes module imports.
type HonoImports struct {
	Schemas, HTTP, Env string
}

// Hono writes the operations of a model as routes of @hono/zod-openapi: an object an operation, the type
// of what answers them, and a function that adds them to an app. An operation whose path nothing can
// match, because two parameters follow each other, is left out; ir notes it.
func Hono(ctx context.Context, m *ir.Model, imports HonoImports) (content []byte, err error) {
	defer complete(&err)
	h := &hono{routes: map[string]string{}, params: map[string]string{}, imports: map[string]bool{},
		plainRequests: map[*ir.Schema]bool{}, plainResponses: map[*ir.Schema]bool{}, branches: map[*ir.Schema]ir.Types{}}
	h.prefix, h.ended = "schemas.", ctx.Err
	operations := routed(m)
	taken := map[string]bool{"createRoute": true}
	for _, o := range operations {
		name := o.Ident + "Route"
		for n := 2; taken[name]; n++ {
			name = o.Ident + "Route" + strconv.Itoa(n)
		}
		taken[name] = true
		h.routes[o.Ident] = name
		h.route(o)
	}
	h.handlers(operations)
	h.register(m, operations)
	return h.module(imports), nil
}

// routed lists the operations whose paths can be matched.
func routed(m *ir.Model) []*ir.Operation {
	var list []*ir.Operation
	for i := range m.Operations {
		if !m.Operations[i].Unclear() {
			list = append(list, &m.Operations[i])
		}
	}
	return list
}

type hono struct {
	zod
	routes  map[string]string // constants, by the operation's name in code
	params  map[string]string // constants with the parameters of mixed paths
	imports map[string]bool   // what is used of the http module

	plainRequests, plainResponses map[*ir.Schema]bool     // objects that are the same in both directions
	branches                      map[*ir.Schema]ir.Types // what written found
}

// module puts the imports, and what the schemas need, before the routes.
func (h *hono) module(imports HonoImports) []byte {
	body := h.out
	h.out = make([]byte, 0, len(body)+1<<12)
	h.text("import { type OpenAPIHono, type RouteHandler, createRoute } from \"@hono/zod-openapi\";\n")
	if has(body, "z.") {
		h.text("import * as z from \"zod\";\n")
	}
	h.text("import type { AppEnv } from ")
	h.quote(imports.Env)
	h.imports["notImplemented"] = true
	names := make([]string, 0, len(h.imports))
	for name := range h.imports {
		names = append(names, name)
	}
	slices.Sort(names)
	h.text(";\nimport { ", strings.Join(names, ", "), " } from ")
	h.quote(imports.HTTP)
	h.text(";\n")
	if has(body, "schemas.") {
		h.text("import * as schemas from ")
		h.quote(imports.Schemas)
		h.text(";\n")
	}
	h.helpers()
	h.out = append(h.out, body...)
	return h.out
}

// has tells whether code uses a namespace; a text that looks like it does no harm.
func has(code []byte, namespace string) bool { return bytes.Contains(code, []byte(namespace)) }

func (h *hono) route(o *ir.Operation) {
	h.text("\n")
	h.mixedParameters(o)
	h.comment(about(o))
	h.text("export const ", h.routes[o.Ident], " = createRoute({")
	h.indent++
	h.field("method").quote(strings.ToLower(o.Method))
	h.text(",")
	h.field("path").quote(routing(o))
	h.text(",")
	if o.Mixed() {
		h.field("hide").text("true,") // the registry is told the path as the contract has it
	}
	h.field("operationId").quote(o.ID)
	h.text(",")
	if o.Summary != "" {
		h.field("summary").quote(o.Summary)
		h.text(",")
	}
	if o.Description != "" {
		h.field("description").quote(o.Description)
		h.text(",")
	}
	if o.Tag != "" {
		h.field("tags").text("[")
		h.quote(o.Tag)
		h.text("],")
	}
	if o.Deprecated {
		h.field("deprecated").text("true,")
	}
	if o.Security != nil {
		h.field("security").text("[{ ")
		h.key(o.Security.Name)
		h.text(": [] }],")
	}
	if o.BodyRequired && either(o) {
		h.field("middleware").text(h.use("bodyRequired"), ",")
	}
	h.request(o)
	h.responses(o)
	h.indent--
	h.line()
	h.text("});\n")
}

// about is what people read of an operation: its summary, and the requirements that it comes from.
func about(o *ir.Operation) string {
	text := o.Summary
	if text == "" {
		text = o.Method + " " + o.Path
	}
	if len(o.Requirements) > 0 {
		text += "\n" + strings.Join(o.Requirements, ", ")
	}
	return text
}

func (h *hono) field(name string) *hono {
	h.line()
	h.key(name)
	h.text(": ")
	return h
}

func (h *hono) request(o *ir.Operation) {
	from := len(h.out)
	h.field("request").text("{")
	h.indent++
	empty := len(h.out)
	for _, part := range [...]struct{ in, field string }{{"path", "params"}, {"query", "query"}, {"header", "headers"}, {"cookie", "cookies"}} {
		h.parameters(o, part.in, part.field)
	}
	h.body(o)
	h.indent--
	if len(h.out) == empty {
		h.out = h.out[:from]
		return
	}
	h.line()
	h.text("},")
}

// parameters writes one place's parameters as an object of schemas that read texts.
func (h *hono) parameters(o *ir.Operation, in, field string) {
	var list []*ir.Parameter
	for i := range o.Parameters {
		if p := &o.Parameters[i]; p.In == in && !ignored(p) {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		return
	}
	if in == "path" && o.Mixed() {
		h.field(field).text(h.divided(o), ",")
		return
	}
	h.field(field)
	h.parameterObject(list)
	h.text(",")
}

func (h *hono) parameterObject(list []*ir.Parameter) {
	h.text("z.object({")
	h.indent++
	for _, p := range list {
		h.line()
		h.member(p.Name)
		h.parameter(p)
		h.text(",")
	}
	h.indent--
	h.line()
	h.text("})")
}

// ignored tells whether OpenAPI says that a parameter means nothing.
func ignored(p *ir.Parameter) bool {
	return p.In == "header" && slices.Contains([]string{"accept", "content-type", "authorization"}, strings.ToLower(p.Name))
}

func (h *hono) member(name string) {
	if name == "__proto__" {
		h.text(`["__proto__"]`)
	} else {
		h.key(name)
	}
	h.text(": ")
}

func (h *hono) parameter(p *ir.Parameter) {
	switch reader := h.reader(p); reader {
	case "":
		h.expression(p.Schema)
	case opaque:
		h.text("z.unknown().optional()")
		h.meta("", &ir.Meta{Description: p.Schema.Meta.Description, Deprecated: p.Schema.Meta.Deprecated})
		return
	default:
		h.text("z.preprocess(", reader, ", ")
		h.expression(p.Schema)
		h.text(")")
	}
	if value := p.Schema.Meta.Default; !p.Required && value != nil && fits(p.Schema, value) {
		h.text(".default(")
		h.json(value)
		h.text(")")
	} else if !p.Required {
		h.text(".optional()")
	}
	h.meta("", &ir.Meta{Description: p.Schema.Meta.Description, Deprecated: p.Schema.Meta.Deprecated})
}

// opaque stands for values that are passed on unread: objects that are spread over several parameters.
const opaque = "opaque"

// reader names the function that turns a parameter's text into what its schema describes, or is empty
// where the text itself is meant.
func (h *hono) reader(p *ir.Parameter) string {
	if p.JSON {
		return h.use("json")
	}
	types := h.written(p.Schema)
	switch target := p.Schema.Deref(); {
	case types.Has(ir.String):
		return ""
	case types.Has(ir.Array) && (target.Items == nil || h.written(target.Items)&(ir.String|ir.Object) != ir.Object):
		return h.listReader(p, target)
	case types.Has(ir.Array) || types.Has(ir.Object):
		return opaque
	default:
		return h.scalarReader(types)
	}
}

// written is typesOf that looks into the branches of a schema, once where parameters share it.
func (h *hono) written(s *ir.Schema) ir.Types {
	target := s.Deref()
	if len(target.Any)+len(target.One) == 0 || target.Types != 0 {
		return s.Accepts()
	}
	types, known := h.branches[target]
	if !known {
		for _, branch := range slices.Concat(target.Any, target.One) {
			types |= branch.Accepts()
		}
		h.branches[target] = types
	}
	return types
}

func (h *hono) scalarReader(types ir.Types) string {
	number := types.Has(ir.Number) || types.Has(ir.Integer)
	switch {
	case types.Has(ir.String):
		return ""
	case number && types.Has(ir.Boolean):
		return "(value) => " + h.use("boolean") + "(" + h.use("number") + "(value))"
	case number:
		return h.use("number")
	case types.Has(ir.Boolean):
		return h.use("boolean")
	}
	return ""
}

func (h *hono) listReader(p *ir.Parameter, list *ir.Schema) string {
	item := ""
	if list.Items != nil {
		item = h.scalarReader(h.written(list.Items))
	}
	separator := ","
	switch {
	case p.Explode && p.In == "query":
		separator = ""
	case p.Style == "spaceDelimited":
		separator = " "
	case p.Style == "pipeDelimited":
		separator = "|"
	}
	call := h.use("list") + "(" + strconv.Quote(separator)
	if item != "" {
		call += ", " + item
	}
	return call + ")"
}

func (h *hono) use(name string) string {
	h.imports[name] = true
	return name
}

// fits tells whether a default is of the one type that a schema has, so that the compiler takes it.
func fits(s *ir.Schema, value *spec.Node) bool {
	target := s.Deref()
	if target.Enum != nil {
		return slices.ContainsFunc(target.Enum, func(one *spec.Node) bool { return ir.Equal(one, value) })
	}
	if len(target.All)+len(target.Any)+len(target.One) > 0 {
		return false
	}
	switch target.Types {
	case ir.String:
		return value.Kind == spec.String
	case ir.Boolean:
		return value.Kind == spec.Bool
	case ir.Number, ir.Integer:
		return value.Kind == spec.Number
	}
	return false
}

// either tells whether a body may be JSON or a form. The library would check a required one as both.
func either(o *ir.Operation) bool {
	return slices.ContainsFunc(o.Bodies, ir.Media.JSON) && slices.ContainsFunc(o.Bodies, ir.Media.Form)
}

// body writes the JSON and the form that a request may carry. What else it may be, the handler reads.
func (h *hono) body(o *ir.Operation) {
	if len(o.Bodies) == 0 {
		return
	}
	h.field("body").text("{")
	h.indent++
	if o.BodyRequired && !either(o) {
		h.field("required").text("true,")
	}
	h.field("content").text("{")
	h.indent++
	for _, media := range o.Bodies {
		h.line()
		h.key(media.Type)
		h.text(": { schema: ")
		switch {
		case media.Form():
			h.form(media.Schema)
		case media.JSON() && media.Schema != nil:
			h.expression(requestSchema(media.Schema, h.plainRequests))
		default:
			h.text("z.unknown()")
		}
		h.text(" },")
	}
	h.indent--
	h.line()
	h.text("},")
	h.indent--
	h.line()
	h.text("},")
}

// form writes the fields of a form, which arrive as texts and files.
func (h *hono) form(s *ir.Schema) {
	if s == nil || len(s.Deref().Properties) == 0 {
		h.text("z.looseObject({})")
		return
	}
	h.text("z.looseObject({")
	h.indent++
	for i := range s.Deref().Properties {
		p := &s.Deref().Properties[i]
		h.line()
		h.member(p.Name)
		const file = `z.file().openapi({ type: "string", format: "binary" })`
		switch {
		case isFile(p.Schema):
			h.text(file)
		case isFiles(p.Schema):
			h.text("z.preprocess(", h.use("list"), `(""), z.array(`, file, "))")
		default:
			h.parameter(&ir.Parameter{Name: p.Name, In: "query", Required: p.Required, Schema: p.Schema, Explode: true})
			h.text(",")
			continue
		}
		if !p.Required {
			h.text(".optional()")
		}
		h.text(",")
	}
	h.indent--
	h.line()
	h.text("})")
}

// isFile tells whether a field of a form is a file, or may be one.
func isFile(s *ir.Schema) bool {
	return oneOfBranches(s, func(one *ir.Schema) bool { return one.Format == "binary" || one.Node.Get("contentMediaType") != nil })
}

// isFiles tells whether it is, or may be, a list of files.
func isFiles(s *ir.Schema) bool {
	return oneOfBranches(s, func(one *ir.Schema) bool { return one.Items != nil && isFile(one.Items) })
}

// oneOfBranches asks a schema and its branches, but not theirs.
func oneOfBranches(s *ir.Schema, is func(*ir.Schema) bool) bool {
	target := s.Deref()
	return is(target) || slices.ContainsFunc(slices.Concat(target.Any, target.One), func(branch *ir.Schema) bool { return is(branch.Deref()) })
}

func (h *hono) responses(o *ir.Operation) {
	h.field("responses").text("{")
	h.indent++
	responses := o.Responses
	if len(responses) == 0 {
		responses = []ir.Response{{Status: "default", Description: "Any answer"}}
	}
	for _, r := range responses {
		h.line()
		h.status(r.Status)
		h.text(": { description: ")
		h.quote(r.Description)
		h.contents(r.Media)
		h.text(" },")
	}
	h.indent--
	h.line()
	h.text("},")
}

// status writes a key. The library's types know numbers and, in capitals, ranges.
func (h *hono) status(status string) {
	if _, err := strconv.Atoi(status); err == nil {
		h.text(status)
		return
	}
	if len(status) == 3 {
		status = strings.ToUpper(status)
	}
	h.key(status)
}

func (h *hono) contents(list []ir.Media) {
	if len(list) == 0 {
		return
	}
	h.text(", content: { ")
	for i, media := range list {
		h.comma(i)
		h.key(media.Type)
		h.text(": { schema: ")
		switch {
		case media.JSON() && media.Schema != nil:
			h.expression(responseSchema(media.Schema, h.plainResponses))
		case media.JSON():
			h.text("z.unknown()")
		default:
			h.text("z.string()")
		}
		h.text(" }")
	}
	h.text(" }")
}

func (h *hono) handlers(operations []*ir.Operation) {
	h.text("\n/** What answers each operation. */\nexport interface Handlers {")
	h.indent++
	for _, o := range operations {
		h.line()
		h.text("/** ", comment(o.Method+" "+o.Path), " */")
		h.field(o.Ident).text("RouteHandler<typeof ", h.routes[o.Ident], ", AppEnv>;")
	}
	h.indent--
	h.line()
	h.text("}\n")
}

// comment makes a text harmless within a comment.
func comment(text string) string {
	return strings.NewReplacer("*/", "*\u200b/", "\n", " ", "\r", " ", "\u2028", " ", "\u2029", " ").Replace(text)
}

// register writes the function that adds the routes: those with fixed segments before those that would
// match them, too.
func (h *hono) register(m *ir.Model, operations []*ir.Operation) {
	operations = slices.Clone(operations)
	slices.SortStableFunc(operations, func(a, b *ir.Operation) int {
		h.goOn()
		return specific(a, b)
	})
	h.text("\n/** Adds the routes to an app. An operation without a handler answers 501. */\nexport const register = (app: OpenAPIHono<AppEnv>, handlers: Partial<Handlers>): void => {")
	h.indent++
	for i := range m.Document.Schemes {
		h.scheme(&m.Document.Schemes[i])
	}
	for _, o := range operations {
		h.line()
		h.text("app.openapi(", h.routes[o.Ident], ", handlers.", o.Ident, " ?? notImplemented);")
		h.describe(o)
	}
	h.indent--
	h.line()
	h.text("};\n")
}

// scheme declares a security scheme for the document that the app can give of itself.
func (h *hono) scheme(s *ir.Security) {
	if !slices.Contains([]string{"http", "apiKey", "openIdConnect"}, s.Type) {
		return
	}
	h.line()
	h.text(`app.openAPIRegistry.registerComponent("securitySchemes", `)
	h.quote(s.Name)
	h.text(", { type: ")
	h.quote(s.Type)
	for _, member := range [...]struct{ name, value string }{
		{"scheme", s.Scheme}, {"name", s.Key}, {"in", s.In},
		{"bearerFormat", s.Node.Get("bearerFormat").String()}, {"openIdConnectUrl", s.Node.Get("openIdConnectUrl").String()},
		{"description", s.Node.Get("description").String()},
	} {
		if member.value != "" {
			h.text(", ", member.name, ": ")
			h.quote(member.value)
		}
	}
	h.text(" });")
}
