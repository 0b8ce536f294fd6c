package target

import (
	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// typeOf writes the TypeScript type of what a schema gives. Only members of cycles need it: their
// types can't be inferred.
func (z *zod) typeOf(s *ir.Schema) {
	if s.Nullable {
		z.text("(")
		z.parted(s)
		z.text(" | null)")
		return
	}
	z.parted(s)
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
	if len(parts) == 0 {
		z.text("unknown")
		return
	}
	for i, part := range parts {
		if i > 0 {
			z.text(" & ")
		}
		part()
	}
}

func (z *zod) alternatives(list []*ir.Schema) {
	z.text("(")
	for i, branch := range list {
		if i > 0 {
			z.text(" | ")
		}
		z.typeOf(branch)
	}
	z.text(")")
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
		z.text("(")
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
		z.text(")")
	}
}

func (z *zod) enumType(values []*spec.Node) {
	z.text("(")
	for i, value := range values {
		if value.Kind == spec.Array || value.Kind == spec.Object {
			z.out = z.out[:len(z.out)-1]
			z.text("unknown")
			return
		}
		if i > 0 {
			z.text(" | ")
		}
		z.json(value)
	}
	z.text(")")
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
	if len(s.Prefix) > 0 {
		z.text("unknown[]")
		return
	}
	if s.Items == nil {
		z.text("unknown[]")
		return
	}
	z.text("(")
	z.typeOf(s.Items)
	z.text(")[]")
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
