package target

import "github.com/flaresmith/flaresmith/codegen/ir"

// rules writes what is asked of a value whose type does not show it.
func (z *zod) rules(s *ir.Schema) {
	for _, c := range s.Conditions {
		if c.Then == nil && c.Else == nil {
			continue
		}
		z.needs[whenHelper] = true
		z.text(".refine(when(")
		z.eager(c.If)
		z.text(", ")
		if c.Then != nil {
			z.eager(c.Then)
		} else {
			z.text("z.unknown()")
		}
		if c.Else != nil {
			z.text(", ")
			z.eager(c.Else)
		}
		z.text("))")
	}
	if u := s.Unevaluated; u != nil && !u.Known.All {
		z.needs[evaluatedHelper] = true
		z.text(".refine(evaluated(")
		z.known(&u.Known)
		z.text(", ")
		z.eager(u.Rest)
		z.text("))")
	}
}

// known writes the members that some schema describes.
func (z *zod) known(m *ir.Members) {
	if m.All {
		z.text("{ patterns: [/(?:)/] }")
		return
	}
	first := true
	list := func(key string, n int, write func(i int)) {
		if n == 0 {
			return
		}
		if !first {
			z.text(",")
		}
		first = false
		z.text(" ", key, ": [")
		for i := range n {
			z.comma(i)
			write(i)
		}
		z.text("]")
	}
	z.text("{")
	list("names", len(m.Names), func(i int) { z.quote(m.Names[i]) })
	list("patterns", len(m.Patterns), func(i int) { z.text(m.Patterns[i].Literal()) })
	list("when", len(m.When), func(i int) {
		z.text("[")
		z.eager(m.When[i].Fits)
		z.text(", ")
		z.known(&m.When[i].Members)
		z.text("]")
	})
	z.text(" }")
}
