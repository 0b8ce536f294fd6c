package target

import (
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// sampler makes a value that a schema accepts, always the same one: examples and defaults of the document
// where there are any, else what the keywords ask for.
type sampler struct {
	*samples
	response bool // what is write-only is left out, else what is read-only
	stack    []*ir.Component
	left     int // values until only what is required is made
}

// samples makes the samples of a file.
type samples struct {
	goOn    func() // panics where there is no use in it
	matches map[textLimits]match
	kept    int // bytes of matches, about
}

const (
	maxSample      = 200
	maxSampleWork  = 2000 // values until there is no sample
	maxSampleDepth = 40
)

func (a *samples) of(s *ir.Schema, response bool) *spec.Node {
	g := &sampler{samples: a, response: response, left: maxSample}
	value := g.value(s, 0)
	if value == nil {
		return &spec.Node{Kind: spec.Null, Text: "null"}
	}
	return value
}

func text(s string) *spec.Node    { return &spec.Node{Kind: spec.String, Text: s} }
func literal(s string) *spec.Node { return &spec.Node{Kind: spec.Number, Text: s} }

// value makes a value, or nil where there is none, as for what never ends.
func (g *sampler) value(s *ir.Schema, depth int) *spec.Node {
	g.left--
	g.goOn()
	if depth > maxSampleDepth || g.left < maxSample-maxSampleWork {
		return nil
	}
	if given := given(s); given != nil {
		return given
	}
	var value *spec.Node
	if s.Ref != nil {
		value = g.component(s.Ref, depth)
	} else {
		value = g.ruled(s, g.inline(s, depth), depth)
	}
	if value == nil && (s.Nullable || s.Types.Has(ir.Null)) {
		return &spec.Node{Kind: spec.Null, Text: "null"}
	}
	return value
}

// given is the document's own example of a schema.
func given(s *ir.Schema) *spec.Node {
	for _, value := range []*spec.Node{s.Meta.Example, s.Meta.Default} {
		if value != nil && (s.Ref != nil || s.Accepts().Has(kindType(value)) && (s.Enum == nil || slices.ContainsFunc(s.Enum, func(one *spec.Node) bool { return ir.Equal(one, value) }))) {
			return value
		}
	}
	return nil
}

func kindType(n *spec.Node) ir.Types {
	return map[spec.Kind]ir.Types{spec.Null: ir.Null, spec.Bool: ir.Boolean, spec.Number: ir.Number | ir.Integer, spec.String: ir.String, spec.Array: ir.Array, spec.Object: ir.Object}[n.Kind]
}

func (g *sampler) component(c *ir.Component, depth int) *spec.Node {
	if slices.Contains(g.stack, c) {
		return nil
	}
	g.stack = append(g.stack, c)
	value := g.value(c.Schema, depth+1)
	g.stack = g.stack[:len(g.stack)-1]
	return value
}

func (g *sampler) inline(s *ir.Schema, depth int) *spec.Node {
	switch {
	case s.Never:
		return nil
	case len(s.Enum) > 0:
		return s.Enum[0]
	case len(s.All)+len(s.Any)+len(s.One) > 0:
		return g.combined(s, depth)
	case s.Types == 0 || s.Types.Has(ir.Object):
		return g.object(s, depth)
	case s.Types.Has(ir.Array):
		return g.array(s, depth)
	case s.Types.Has(ir.String):
		return text(g.text(s))
	case s.Types.Has(ir.Integer) || s.Types.Has(ir.Number):
		return literal(sampleNumber(s))
	case s.Types.Has(ir.Boolean):
		return &spec.Node{Kind: spec.Bool, Text: "true"}
	}
	return &spec.Node{Kind: spec.Null, Text: "null"}
}

// combined joins what each part of allOf gives, and one branch of anyOf and oneOf, with the schema's own.
func (g *sampler) combined(s *ir.Schema, depth int) *spec.Node {
	parts := make([]*spec.Node, 0, len(s.All)+3)
	if len(s.Properties) > 0 {
		parts = append(parts, g.object(s, depth))
	}
	for _, branch := range s.All {
		parts = append(parts, g.value(branch, depth+1))
	}
	for _, branches := range [][]*ir.Schema{s.Any, s.One} {
		if len(branches) > 0 {
			parts = append(parts, g.first(branches, depth))
		}
	}
	var joined *spec.Node
	for _, part := range parts {
		switch {
		case part == nil:
			return nil
		case joined == nil || joined.Kind != spec.Object || part.Kind != spec.Object:
			joined = part
		default:
			joined = join(joined, part)
		}
	}
	return joined
}

func (g *sampler) first(branches []*ir.Schema, depth int) *spec.Node {
	for _, branch := range branches {
		if value := g.value(branch, depth+1); value != nil {
			return value
		}
	}
	return nil
}

func join(a, b *spec.Node) *spec.Node {
	both := &spec.Node{Kind: spec.Object, Children: slices.Clone(a.Children)}
	for _, child := range b.Children {
		if both.Get(child.Key) == nil {
			both.Children = append(both.Children, child)
		}
	}
	return both
}

func (g *sampler) object(s *ir.Schema, depth int) *spec.Node {
	object := &spec.Node{Kind: spec.Object}
	for i := range s.Properties {
		p := &s.Properties[i]
		meta, target := &p.Schema.Meta, &p.Schema.Deref().Meta
		if g.response && (meta.WriteOnly || target.WriteOnly) || !g.response && (meta.ReadOnly || target.ReadOnly) {
			continue
		}
		if !p.Required && (g.left < 0 || depth > 3) {
			continue
		}
		value := g.value(p.Schema, depth+1)
		if value == nil {
			if p.Required {
				return nil
			}
			continue
		}
		member := *value
		member.Key = p.Name
		object.Children = append(object.Children, member)
	}
	least, err := strconv.Atoi(s.MinProperties)
	for n := len(object.Children); err == nil && n < min(least, 10) && !s.Closed(); n++ {
		value := text("string")
		if s.Additional != nil {
			value = g.value(s.Additional, depth+1)
		}
		if value == nil {
			return nil
		}
		member := *value
		member.Key = "key" + strconv.Itoa(n+1)
		object.Children = append(object.Children, member)
	}
	return object
}

func (g *sampler) array(s *ir.Schema, depth int) *spec.Node {
	array := &spec.Node{Kind: spec.Array}
	for _, prefix := range s.Prefix {
		value := g.value(prefix, depth+1)
		if value == nil {
			return array
		}
		array.Children = append(array.Children, *value)
	}
	least, err := strconv.Atoi(s.MinItems)
	if err != nil {
		least = 0
	}
	contained, err := strconv.Atoi(s.MinContains)
	if err != nil {
		contained = 1
	}
	if s.Contains != nil {
		least = max(least, contained)
	}
	wanted := min(max(least, 1), 10)
	if s.MaxItems == "0" || s.Items == nil && least == 0 || g.left < 0 && least == 0 {
		wanted = 0
	}
	for len(array.Children) < wanted {
		value := text("string")
		switch {
		case s.Contains != nil && len(array.Children) < contained:
			value = g.value(s.Contains, depth+1)
		case s.Items != nil:
			value = g.value(s.Items, depth+1)
		}
		if value == nil {
			if least > len(array.Children) {
				return nil
			}
			break
		}
		if s.Unique {
			value = another(value, s.Items, len(array.Children))
		}
		array.Children = append(array.Children, *value)
	}
	return array
}

// another makes the n-th value unlike those before it, where that is plain.
func another(value *spec.Node, s *ir.Schema, n int) *spec.Node {
	if n == 0 || s == nil {
		return value
	}
	target := s.Deref()
	switch {
	case n < len(target.Enum):
		return target.Enum[n]
	case value.Kind == spec.String && target.Pattern.Source == "" && target.Format == "":
		other := *value
		if digits, runes := strconv.Itoa(n+1), []rune(value.Text); len(runes) > len(digits) {
			other.Text = string(runes[:len(runes)-len(digits)]) + digits
		}
		return &other
	case value.Kind == spec.Number:
		if number, err := strconv.Atoi(value.Text); err == nil {
			return literal(strconv.Itoa(number + n))
		}
	}
	return value
}

var sampleFormats = map[string]string{ //nolint:gochecknoglobals // a constant table
	"date-time": "2026-01-15T09:30:00Z", "date": "2026-01-15", "time": "09:30:00Z", "duration": "P1D", "uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
	"email": "user@example.com", "uri": "https://example.com", "url": "https://example.com", "uri-reference": "https://example.com", "hostname": "example.com",
	"ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "byte": "aGVsbG8=", "binary": "",
	"json-pointer": "/a", "relative-json-pointer": "1/a",
}

func (a *samples) text(s *ir.Schema) string {
	least, most := 0, math.MaxInt
	if n, err := strconv.Atoi(s.MinLength); err == nil {
		least = min(n, 10_000)
	}
	if n, err := strconv.Atoi(s.MaxLength); err == nil {
		most = n
	}
	if s.Pattern.Source != "" {
		if found := a.matching(textLimits{s.Pattern.Source, least, most}); found.ok {
			return found.text
		}
	}
	sample, known := sampleFormats[s.Format]
	if known {
		return sample
	}
	sample = "string"
	for len(sample) < least {
		sample += "string"
	}
	if len(sample) > most || least > 0 && len(sample) > least && least > len("string") {
		sample = sample[:max(least, min(most, len("string")))]
	}
	return sample
}

func sampleNumber(s *ir.Schema) string {
	number := func(literal string, otherwise float64) float64 {
		if n, err := strconv.ParseFloat(literal, 64); err == nil {
			return n
		}
		return otherwise
	}
	step := number(s.MultipleOf, 1)
	if step <= 0 {
		step = 1
	}
	least, most := math.Inf(-1), math.Inf(1)
	least = max(number(s.Minimum, least), number(s.ExclusiveMinimum, least))
	most = min(number(s.Maximum, most), number(s.ExclusiveMaximum, most))
	value := step
	if value < least {
		value = math.Ceil(least/step) * step
	}
	if value > most {
		value = math.Floor(most/step) * step
	}
	if s.ExclusiveMinimum != "" && value <= number(s.ExclusiveMinimum, value-1) {
		value += step
	}
	if s.ExclusiveMaximum != "" && value >= number(s.ExclusiveMaximum, value+1) {
		value -= step
	}
	over := value < least || s.ExclusiveMinimum != "" && value <= least
	under := value > most || s.ExclusiveMaximum != "" && value >= most
	if between := (least + most) / 2; (over || under) && s.Types.Has(ir.Number) && !math.IsInf(between, 0) && !math.IsNaN(between) {
		value = between
	}
	return strconv.FormatFloat(value, 'f', -1, 64)
}

// textLimits are what a text has to keep.
type textLimits struct {
	pattern     string
	least, most int
}

// match is a text that a pattern accepts, where one was found.
type match struct {
	text string
	ok   bool
}

// maxMatches bounds the bytes of matches that are kept: to find one may take long, and very many operations may share a pattern.
const (
	maxMatches = 16 << 20
	matchBytes = 100 // of one, without its text
)

func (a *samples) matching(limits textLimits) match {
	found, known := a.matches[limits]
	if known {
		return found
	}
	found.text, found.ok = matching(limits.pattern, limits.least, limits.most)
	if a.kept += len(found.text) + matchBytes; a.matches == nil || a.kept > maxMatches {
		a.matches, a.kept = map[textLimits]match{}, len(found.text)+matchBytes
	}
	a.matches[limits] = found
	return found
}

// matching makes a text that a pattern accepts and that has a length within the limits: with each
// repetition as short as it may be, then longer.
func matching(source string, least, most int) (string, bool) {
	parsed, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return "", false
	}
	check, err := regexp.Compile(source)
	if err != nil {
		return "", false
	}
	for _, repeat := range []int{0, 1, 2, 4, 8, 16, least, least + 1} {
		w := &matcher{repeat: repeat}
		w.write(parsed, 0)
		found := w.out.String()
		for pad := utf8.RuneCountInString(found); pad < least && !strings.HasSuffix(source, "$"); pad++ {
			found += "a"
		}
		if tooMuch(parsed, source, found) {
			return "", false
		}
		if n := utf8.RuneCountInString(found); n >= least && n <= most && check.MatchString(found) {
			return found, true
		}
	}
	return "", false
}

// tooMuch tells whether it would take long to see that a pattern accepts a text. A repetition makes a character of the
// pattern a thousand instructions at most.
func tooMuch(parsed *syntax.Regexp, source, text string) bool {
	if len(text)*len(source)*1000 < maxMatchWork {
		return false
	}
	program, err := syntax.Compile(parsed.Simplify())
	return err != nil || len(text)*len(program.Inst) > maxMatchWork
}

type matcher struct {
	repeat int
	steps  int
	out    strings.Builder
}

const (
	maxMatch      = 10_000 // bytes
	maxMatchSteps = 50_000
	maxMatchWork  = 20_000_000 // of a text and the instructions of its pattern: what a match may take at most
)

// full tells whether a hostile pattern asks for too much.
func (m *matcher) full() bool { return m.steps > maxMatchSteps || m.out.Len() > maxMatch }

func (m *matcher) repeated(r *syntax.Regexp, n, depth int) {
	for i := 0; i < n && !m.full(); i++ {
		m.write(r.Sub[0], depth+1)
	}
}

func (m *matcher) write(r *syntax.Regexp, depth int) {
	if m.steps++; depth > 100 || m.full() {
		return
	}
	switch r.Op {
	case syntax.OpLiteral:
		m.out.WriteString(string(r.Rune))
	case syntax.OpCharClass:
		m.out.WriteRune(plainest(r.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		m.out.WriteByte('a')
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range r.Sub {
			m.write(sub, depth+1)
		}
	case syntax.OpAlternate:
		m.write(r.Sub[0], depth+1)
	case syntax.OpStar, syntax.OpPlus:
		n := m.repeat
		if r.Op == syntax.OpPlus {
			n = max(n, 1)
		}
		m.repeated(r, n, depth)
	case syntax.OpQuest:
		m.repeated(r, min(m.repeat, 1), depth)
	case syntax.OpRepeat:
		n := max(r.Min, m.repeat)
		if r.Max >= 0 {
			n = min(n, r.Max)
		}
		m.repeated(r, n, depth)
	}
}

// plainest picks a letter or digit of a class, else its first printable character.
func plainest(ranges []rune) rune {
	for _, wanted := range "aA1bB0" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if wanted >= ranges[i] && wanted <= ranges[i+1] {
				return wanted
			}
		}
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		if first := max(ranges[i], '!'); first <= ranges[i+1] {
			return first
		}
	}
	if len(ranges) > 0 {
		return ranges[0]
	}
	return 'a'
}
