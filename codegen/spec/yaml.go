package spec

import (
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlReader turns the YAML library's nodes into ours.
type yamlReader struct {
	file     string
	problems Problems
	aliased  int // nodes that came from aliases
	within   map[*yaml.Node]bool
}

var yamlError = lazily(`^yaml: (?:line (\d+): )?(.*)$`)

func parseYAML(file, text string) (*Node, Problems) {
	line, separators := measureYAML(text)
	if line > 0 {
		return nil, Problems{{File: file, Line: line, Column: 1, Message: errTooDeep.Error()}}
	}
	if problems := tooMany(file, separators); problems != nil {
		return nil, problems
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	var doc, next yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		return nil, Problems{yamlProblem(file, err)}
	}
	r := &yamlReader{file: file, within: map[*yaml.Node]bool{}}
	switch err := decoder.Decode(&next); {
	case err == nil:
		r.add(&next, "the file has more than one document")
	case !errors.Is(err, io.EOF):
		return nil, Problems{yamlProblem(file, err)}
	}
	var root Node
	if len(doc.Content) == 1 {
		r.value(doc.Content[0], &root, 0, false)
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return &root, nil
}

// measureYAML returns the first line whose flow collections are nested too deep, or 0: the library's time grows with the
// square of that depth. It also counts what keys and values begin or end with, in texts, too.
func measureYAML(text string) (tooDeep, separators int) {
	line, depth := 1, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '\n':
			line++
			separators++
		case c == '[', c == '{':
			separators++
			if depth++; depth > 10*maxDepth {
				return line, separators
			}
		case c == ']', c == '}':
			depth = max(0, depth-1)
		case c == ',', c == ':':
			separators++
		case (c <= ' ' || c >= 0x80) && i > 0 && (text[i-1] == '-' || text[i-1] == '?'): // blanks and ends of lines, of which Unicode has more
			separators++
		}
	}
	return 0, separators
}

func yamlProblem(file string, err error) Problem {
	if errors.Is(err, io.EOF) {
		return Problem{File: file, Line: 1, Column: 1, Message: "the file is empty"}
	}
	p := Problem{File: file, Line: 1, Column: 1, Message: err.Error()}
	first, _, _ := strings.Cut(p.Message, "\n")
	if m := yamlError.FindStringSubmatch(first); m != nil {
		p.Message = "no valid YAML: " + shorten(m[2])
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			p.Line = n
		}
	}
	return p
}

func (r *yamlReader) add(n *yaml.Node, message string) {
	if len(r.problems) < maxShown {
		r.problems = append(r.problems, Problem{File: r.file, Line: n.Line, Column: n.Column, Message: message})
	}
}

// value converts from into n. It gives up silently once aliases lead to too much: that has been told.
func (r *yamlReader) value(from *yaml.Node, n *Node, depth int, aliased bool) {
	n.Line, n.Column = int32(from.Line), int32(from.Column) //nolint:gosec // a document is smaller than maxSize
	if aliased {
		r.aliased++
	}
	switch {
	case r.aliased > maxAliased:
		if r.aliased == maxAliased+1 {
			r.aliased++
			r.add(from, "aliases lead to too many values")
		}
		return
	case depth > maxDepth:
		r.add(from, errTooDeep.Error())
		return
	}
	switch from.Kind {
	case yaml.AliasNode:
		if r.within[from.Alias] {
			r.add(from, "the alias contains itself")
			return
		}
		r.value(from.Alias, n, depth+1, true)
	case yaml.MappingNode:
		n.Kind = Object
		r.enter(from)
		r.mapping(from, n, depth, aliased)
		delete(r.within, from)
	case yaml.SequenceNode:
		n.Kind = Array
		n.Children = make([]Node, len(from.Content))
		r.enter(from)
		for i, child := range from.Content {
			r.value(child, &n.Children[i], depth+1, aliased)
		}
		delete(r.within, from)
	case yaml.ScalarNode:
		r.scalar(from, n)
	}
}

// enter notes that a value is being read, if an alias may lead to it.
func (r *yamlReader) enter(n *yaml.Node) {
	if n.Anchor != "" {
		r.within[n] = true
	}
}

func (r *yamlReader) mapping(from *yaml.Node, n *Node, depth int, aliased bool) {
	n.Children = make([]Node, 0, len(from.Content)/2)
	var merged []Node
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			r.add(key, "a key must be a text")
			continue
		}
		if key.ShortTag() == "!!merge" {
			var other Node
			r.value(value, &other, depth+1, aliased)
			merged = append(merged, mergeSources(&other)...)
			continue
		}
		n.Children = append(n.Children, Node{Key: key.Value}) // there is room for all
		r.value(value, &n.Children[len(n.Children)-1], depth+1, aliased)
	}
	if child := doubledKey(n.Children); child != nil {
		r.add(&yaml.Node{Line: int(child.Line), Column: int(child.Column)}, "the object has the key "+strconv.Quote(shorten(child.Key))+" twice")
	}
	for _, child := range merged { // what stands in the object itself, and earlier sources, win
		if n.Get(child.Key) == nil {
			n.Children = append(n.Children, child)
		}
	}
}

func mergeSources(n *Node) []Node {
	if n.Kind == Object {
		return n.Children
	}
	var all []Node
	for i := range n.Children {
		if n.Children[i].Kind == Object {
			all = append(all, n.Children[i].Children...)
		}
	}
	return all
}

// scalar gives a plain scalar the type that YAML 1.2's JSON-like schema gives it. A timestamp is text.
func (r *yamlReader) scalar(from *yaml.Node, n *Node) {
	switch from.ShortTag() {
	case "!!null":
		n.Kind, n.Text = Null, "null"
	case "!!bool":
		var value bool
		if err := from.Decode(&value); err != nil || !isBool(from.Value) {
			n.Kind, n.Text = String, from.Value // yes, no, on and off are text in YAML 1.2
			return
		}
		n.Kind, n.Text = Bool, strconv.FormatBool(value)
	case "!!int", "!!float":
		n.Kind = Number
		n.Text = from.Value
		if !validNumber(n.Text) {
			r.odd(from, n)
		}
	default:
		n.Kind, n.Text = String, from.Value
	}
}

func isBool(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }

// odd writes numbers that only YAML knows (0x1F, +1, 1_000, .5) as JSON does.
func (r *yamlReader) odd(from *yaml.Node, n *Node) {
	var whole int64
	if from.ShortTag() == "!!int" && from.Decode(&whole) == nil {
		n.Text = strconv.FormatInt(whole, 10)
		return
	}
	var value float64
	if err := from.Decode(&value); err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
		r.add(from, "no number: "+shorten(from.Value))
		return
	}
	n.Text = strconv.FormatFloat(value, 'g', -1, 64)
}
