package target

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

// routing is the path that Hono matches. It knows segments that are fixed and those that are a parameter; one that
// is mixed, such as {name}.{ext}, becomes a parameter with a pattern, which a reader divides afterwards.
func routing(o *ir.Operation) string {
	var b strings.Builder
	for i, s := range o.Segments() {
		b.WriteByte('/')
		if s.Mixed {
			b.WriteString(":" + mixedName(i) + "{" + s.Pattern("[^/]+") + "}")
		} else {
			b.WriteString(s.Text)
		}
	}
	return b.String()
}

func mixedName(at int) string { return "_" + strconv.Itoa(at+1) }

// mixedParameters writes the parameters of a mixed path as a constant of their own, which its route and its
// description share.
func (h *hono) mixedParameters(o *ir.Operation) {
	var list []*ir.Parameter
	for i := range o.Parameters {
		if o.Parameters[i].In == "path" {
			list = append(list, &o.Parameters[i])
		}
	}
	if !o.Mixed() || len(list) == 0 {
		return
	}
	h.params[o.Ident] = h.routes[o.Ident] + "Params"
	h.text("const ", h.params[o.Ident], " = ")
	h.parameterObject(list)
	h.text(";\n\n")
}

// divided is the schema that gives the parameters in mixed segments values of their own.
func (h *hono) divided(o *ir.Operation) string {
	var parts []string
	for i, s := range o.Segments() {
		if !s.Mixed || len(s.Params()) == 0 {
			continue
		}
		part := mixedName(i) + ": [" + ir.Pattern{Source: "^" + s.Pattern("([^/]+)") + "$"}.Literal()
		for _, name := range s.Params() {
			part += ", " + quotedText(name)
		}
		parts = append(parts, part+"]")
	}
	if len(parts) == 0 {
		return h.params[o.Ident]
	}
	return h.use("divided") + "({ " + strings.Join(parts, ", ") + " }, " + h.params[o.Ident] + ")"
}

// describe tells the app's document the path of a route whose own one only Hono understands.
func (h *hono) describe(o *ir.Operation) {
	if !o.Mixed() {
		return
	}
	route := h.routes[o.Ident]
	h.line()
	h.text("app.openAPIRegistry.registerPath({ ...", route, ", path: ")
	h.quote(o.Path)
	if params := h.params[o.Ident]; params != "" {
		h.text(", request: { ...", route, ".request, params: ", params, " }")
	}
	h.text(" });")
}

// specific orders paths so that a fixed segment comes before a mixed one, and that before a parameter in its place.
func specific(a, b *ir.Operation) int {
	x, y := a.Segments(), b.Segments()
	for i := range min(len(x), len(y)) {
		if order := cmp.Or(cmp.Compare(openness(x[i]), openness(y[i])), cmp.Compare(y[i].Fixed()*openness(y[i]), x[i].Fixed()*openness(x[i]))); order != 0 {
			return order
		}
		if x[i].Param == "" && x[i].Text != y[i].Text {
			return cmp.Compare(x[i].Text, y[i].Text)
		}
	}
	return cmp.Compare(len(x), len(y))
}

// openness tells how much a segment may be.
func openness(s ir.Segment) int {
	switch {
	case s.Param != "":
		return 2
	case s.Mixed:
		return 1
	}
	return 0
}
