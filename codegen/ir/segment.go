package ir

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Segment is a part of a path between slashes.
type Segment struct {
	Text  string // as in the document
	Param string // the name, where all of it is one parameter
	Mixed bool   // it has parameters and other text, or what means one to Hono
}

// Segments splits the path.
func (o *Operation) Segments() []Segment {
	var all []Segment
	for text := range strings.SplitSeq(strings.TrimPrefix(o.Path, "/"), "/") {
		s := Segment{Text: text}
		name, opens := strings.CutPrefix(text, "{")
		name, ends := strings.CutSuffix(name, "}")
		if opens && ends && name != "" && !strings.ContainsAny(name, "{}") {
			s.Param = name
		} else {
			s.Mixed = strings.HasPrefix(text, ":") || strings.ContainsAny(text, "*{}")
		}
		all = append(all, s)
	}
	return all
}

var bracedName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{([^{}]+)\}`) })

// Params are the names of the parameters in the segment.
func (s Segment) Params() []string {
	if s.Param != "" {
		return []string{s.Param}
	}
	var names []string
	for _, m := range bracedName().FindAllStringSubmatch(s.Text, -1) {
		names = append(names, m[1])
	}
	return names
}

// Pattern is a regular expression for the whole segment, with each parameter as what some text around it leaves, or
// as the group that value is.
func (s Segment) Pattern(value string) string {
	var b strings.Builder
	rest := s.Text
	for _, at := range bracedName().FindAllStringIndex(s.Text, -1) {
		from := len(s.Text) - len(rest)
		b.WriteString(literal(s.Text[from:at[0]]) + value)
		rest = s.Text[at[1]:]
	}
	return b.String() + literal(rest)
}

// literal makes a text stand for itself in a pattern.
func literal(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strings.ContainsRune(`\^$.*+?()[]|/`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Filled is the segment with values in place of its parameters.
func (s Segment) Filled(value func(name string) string) string {
	return bracedName().ReplaceAllStringFunc(s.Text, func(found string) string { return value(found[1 : len(found)-1]) })
}

// Fixed is how much of the segment is no parameter.
func (s Segment) Fixed() int { return len(bracedName().ReplaceAllString(s.Text, "")) }

// unclear tells whether nobody can tell where one parameter of the segment ends and the next one begins.
func (s Segment) unclear() bool {
	if !s.Mixed {
		return false
	}
	names := s.Params()
	slices.Sort(names)
	return strings.Contains(s.Text, "}{") || strings.ContainsAny(bracedName().ReplaceAllString(s.Text, ""), "{}") || len(slices.Compact(names)) < len(s.Params())
}

// Mixed tells whether a segment of the path is neither fixed nor just a parameter, as in /{id}.json.
func (o *Operation) Mixed() bool {
	return slices.ContainsFunc(o.Segments(), func(s Segment) bool { return s.Mixed })
}

// Unclear tells whether no route can be made of the path, because of a segment such as {a}{b}.
func (o *Operation) Unclear() bool { return slices.ContainsFunc(o.Segments(), Segment.unclear) }
