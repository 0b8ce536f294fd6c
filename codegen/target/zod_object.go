package target

import (
	"cmp"
	"strconv"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

func (z *zod) array(s *ir.Schema) {
	if len(s.Prefix) > 0 {
		z.tuple(s)
	} else {
		z.text("z.array(")
		z.items(s)
		z.text(")")
		z.limit("min", s.MinItems)
		z.limit("max", s.MaxItems)
	}
	if s.Unique {
		z.needs[uniqueHelper], z.needs[equalHelper] = true, true
		z.text(".refine(unique)")
	}
	if s.Contains != nil {
		z.contains(s)
	}
}

func (z *zod) contains(s *ir.Schema) {
	if s.MinContains == "" && s.MaxContains == "" {
		z.text(".refine((value) => value.some((item) => ")
		z.eager(s.Contains)
		z.text(".safeParse(item).success))")
		return
	}
	z.needs[containingHelper] = true
	z.text(".refine(containing(")
	z.eager(s.Contains)
	z.text(", ", cmp.Or(s.MinContains, "1"))
	if s.MaxContains != "" {
		z.text(", ", s.MaxContains)
	}
	z.text("))")
}

func (z *zod) items(s *ir.Schema) {
	if s.Items == nil {
		z.text("z.unknown()")
		return
	}
	z.expression(s.Items)
	z.meta("", &s.Items.Meta)
}

// tuple writes prefixItems, of which JSON Schema requires as many as minItems says.
func (z *zod) tuple(s *ir.Schema) {
	least, err := strconv.Atoi(s.MinItems)
	if err != nil {
		least = 0 // nothing is said
	}
	z.text("z.tuple([")
	for i, item := range s.Prefix {
		z.comma(i)
		z.expression(item)
		if i >= least {
			z.text(".optional()")
		}
	}
	z.text("]")
	if s.Items == nil || !s.Items.Never {
		z.text(", ")
		z.items(s)
	}
	z.text(")")
	if least > len(s.Prefix) {
		z.text(".refine((value) => value.length >= ", s.MinItems, ")")
	}
	if s.MaxItems != "" {
		z.text(".refine((value) => value.length <= ", s.MaxItems, ")")
	}
}

func (z *zod) object(s *ir.Schema) {
	typed := s.Additional != nil && len(s.Patterns) == 0 && !s.Additional.Never
	switch {
	case typed && len(s.Properties) == 0:
		z.text("z.record(z.string(), ")
		z.expression(s.Additional)
		z.meta("", &s.Additional.Meta)
		z.text(")")
	case typed:
		z.text("z.object(")
		z.shape(s)
		z.text(").catchall(")
		z.expression(s.Additional)
		z.text(")")
	case s.Closed():
		z.text("z.strictObject(")
		z.shape(s)
		z.text(")")
	default:
		z.text("z.looseObject(")
		z.shape(s)
		z.text(")")
	}
	z.members(s)
}

// members writes what no method of Zod checks.
func (z *zod) members(s *ir.Schema) {
	if s.MinProperties != "" {
		z.text(".refine((value) => Object.keys(value).length >= ", s.MinProperties, ")")
	}
	if s.MaxProperties != "" {
		z.text(".refine((value) => Object.keys(value).length <= ", s.MaxProperties, ")")
	}
	if s.Names != nil {
		z.text(".refine((value) => Object.keys(value).every((key) => ")
		z.eager(s.Names)
		z.text(".safeParse(key).success))")
	}
	if len(s.Patterns) == 0 {
		return
	}
	z.needs[matchingHelper] = true
	z.text(".refine((value) => matching(value, [")
	for i, p := range s.Patterns {
		z.comma(i)
		source := p.Pattern
		if source.Source == "" {
			source.Source = "(?:)"
		}
		z.text("[", source.Literal(), ", ")
		z.eager(p.Schema)
		z.text("]")
	}
	z.text("], [")
	z.names(s)
	z.text("]")
	if s.Additional != nil {
		z.text(", ")
		z.eager(s.Additional)
	}
	z.text("))")
}

// names lists the properties of an object.
func (z *zod) names(s *ir.Schema) {
	for i := range s.Properties {
		z.comma(i)
		z.quote(s.Properties[i].Name)
	}
}

func (z *zod) shape(s *ir.Schema) {
	if len(s.Properties) == 0 {
		z.text("{}")
		return
	}
	z.text("{")
	z.indent++
	for i := range s.Properties {
		z.line()
		z.property(&s.Properties[i])
	}
	z.indent--
	z.line()
	z.text("}")
}

func (z *zod) property(p *ir.Property) {
	waits := z.cycle != 0 && !z.getter && z.reaches(p.Schema)
	if waits {
		z.text("get ")
	}
	if p.Name == "__proto__" {
		z.text(`["__proto__"]`)
	} else {
		z.key(p.Name)
	}
	getter := z.getter
	if waits {
		z.getter = true
		z.text("() { return ")
	} else {
		z.text(": ")
	}
	z.expression(p.Schema)
	if !p.Required {
		z.text(".optional()")
	}
	z.meta("", &p.Schema.Meta)
	if waits {
		z.getter = getter
		z.text("; }")
	}
	z.text(",")
}

// reaches tells whether a schema refers to the cycle that is being written.
func (z *zod) reaches(s *ir.Schema) bool {
	if s.Ref != nil {
		return s.Ref.Cycle == z.cycle
	}
	for child := range s.Children {
		if z.reaches(child) {
			return true
		}
	}
	return false
}
