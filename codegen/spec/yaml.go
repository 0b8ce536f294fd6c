package spec

import (
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlReader turns the YAML library's nodes into ours.
type yamlReader struct {
	file     string
	problems Problems
	nodes    int
	aliased  int // nodes that came from aliases
	within   map[*yaml.Node]bool
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func parseYAML(file, text string) (*Node, Problems) {
	if line := tooDeepYAML(text); line > 0 {
		return nil, Problems{{File: file, Line: line, Column: 1, Message: errTooDeep.Error()}}
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

// tooDeepYAML returns the first line whose flow collections are nested too deep: the library's
// time grows with the square of that depth.
func tooDeepYAML(text string) int {
	line, depth := 1, 0
	for i := range len(text) {
		switch text[i] {
		case '\n':
			line++
		case '[', '{':
			if depth++; depth > 10*maxDepth {
				return line
			}
		case ']', '}':
			depth = max(0, depth-1)
		}
	}
	return 0
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

// value converts from into n. It gives up silently once there is a problem with the size: that one
// has been told.
func (r *yamlReader) value(from *yaml.Node, n *Node, depth int, aliased bool) {
	n.Line, n.Column = int32(from.Line), int32(from.Column) //nolint:gosec // a document is smaller than maxSize
	r.nodes++
	if aliased {
		r.aliased++
	}
	switch {
	case r.nodes > maxNodes || r.aliased > maxAliased:
		if r.nodes < 2*maxNodes {
			r.nodes = 2 * maxNodes
			r.add(from, "aliases and values are too many")
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
		r.within[from] = true
		r.mapping(from, n, depth, aliased)
		delete(r.within, from)
	case yaml.SequenceNode:
		n.Kind = Array
		n.Children = make([]Node, len(from.Content))
		r.within[from] = true
		for i, child := range from.Content {
			r.value(child, &n.Children[i], depth+1, aliased)
		}
		delete(r.within, from)
	case yaml.ScalarNode:
		r.scalar(from, n)
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
		child := Node{Key: key.Value}
		r.value(value, &child, depth+1, aliased)
		n.Children = append(n.Children, child)
	}
	if key, ok := doubledKey(n.Children); ok {
		r.add(from, "the object has the key "+strconv.Quote(shorten(key))+" twice")
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
