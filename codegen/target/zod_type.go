package target

import (
	"slices"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// typeOf writes the TypeScript type of what a schema gives. Only members of cycles need it: their
// types can't be inferred.
func (z *zod) typeOf(s *ir.Schema) {
	z.parted(s)
	if s.Nullable {
		z.text(" | null")
	}
}

// inner writes a type that an operator is applied to: in parentheses if it has operators itself.
func (z *zod) inner(write func()) {
	from := len(z.out)
	write()
	depth := 0
	for i := from; i < len(z.out); i++ {
		switch z.out[i] {
		case '{', '[', '(':
			depth++
		case '}', ']', ')':
			depth--
		case '"':
			for i++; z.out[i] != '"'; i++ {
				if z.out[i] == '\\' {
					i++
				}
			}
		case '|', '&':
			if depth == 0 {
				z.out = append(slices.Insert(z.out, from, '('), ')')
				return
			}
		}
	}
}

func (z *zod) parted(s *ir.Schema) {
	var parts []func()
	if own(s) {
		parts = append(parts, func() { z.ownType(s) })
	}
	for _, branch := range s.All {
		parts = append(parts, func() { z.typeOf(branch) })
	}
	for _, list := range [][]*ir.Schema{s.Any, s.One} {
		if len(list) > 0 {
			parts = append(parts, func() { z.alternatives(list) })
		}
	}
	switch len(parts) {
	case 0:
		z.text("unknown")
	case 1:
		parts[0]()
	default:
		for i, part := range parts {
			if i > 0 {
				z.text(" & ")
			}
			z.inner(part)
		}
	}
}

func (z *zod) alternatives(list []*ir.Schema) {
	for i, branch := range list {
		if i > 0 {
			z.text(" | ")
		}
		z.typeOf(branch)
	}
}

func (z *zod) ownType(s *ir.Schema) {
	switch {
	case s.Ref != nil:
		z.text(s.Ref.Ident)
	case s.Never:
		z.text("never")
	case s.Enum != nil:
		z.enumType(s.Enum)
	case s.Types == 0:
		z.text("unknown")
	default:
		first := true
		for t := ir.Null; t <= ir.Integer; t <<= 1 {
			if !s.Types.Has(t) {
				continue
			}
			if !first {
				z.text(" | ")
			}
			first = false
			z.typeOfType(s, t)
		}
	}
}

func (z *zod) enumType(values []*spec.Node) {
	for _, value := range values {
		if value.Kind == spec.Array || value.Kind == spec.Object {
			z.text("unknown")
			return
		}
	}
	for i, value := range values {
		if i > 0 {
			z.text(" | ")
		}
		z.json(value)
	}
}

func (z *zod) typeOfType(s *ir.Schema, t ir.Types) {
	switch t {
	case ir.Null:
		z.text("null")
	case ir.Boolean:
		z.text("boolean")
	case ir.String:
		z.text("string")
	case ir.Number, ir.Integer:
		z.text("number")
	case ir.Array:
		z.arrayType(s)
	case ir.Object:
		z.objectType(s)
	}
}

func (z *zod) arrayType(s *ir.Schema) {
	if len(s.Prefix) > 0 || s.Items == nil {
		z.text("unknown[]")
		return
	}
	z.inner(func() { z.typeOf(s.Items) })
	z.text("[]")
}

func (z *zod) objectType(s *ir.Schema) {
	typed := s.Additional != nil && len(s.Patterns) == 0 && !s.Additional.Never
	if typed && len(s.Properties) == 0 {
		z.text("{ [key: string]: ")
		z.typeOf(s.Additional)
		z.text(" }")
		return
	}
	z.text("{")
	z.indent++
	for _, p := range s.Properties {
		z.line()
		z.key(p.Name)
		if p.Required {
			z.text(": ")
			z.typeOf(p.Schema)
		} else {
			z.text("?: ")
			z.typeOf(p.Schema)
			z.text(" | undefined")
		}
		z.text(";")
	}
	if !typed && !s.Closed() {
		z.line()
		z.text("[key: string]: unknown;")
	}
	z.indent--
	z.line()
	z.text("}")
	if typed {
		z.text(" & { [key: string]: ")
		z.typeOf(s.Additional)
		z.text(" }")
	}
}
