package spec

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Document is a parsed file whose references can be followed.
type Document struct {
	File     string
	Root     *Node
	pointers map[string]*Node
	members  map[*Node]map[string]*Node // of objects with many
	anchors  *anchors
	problems Problems
}

// NewDocument wraps a parsed tree.
func NewDocument(file string, root *Node) *Document {
	return &Document{File: file, Root: root, pointers: map[string]*Node{}, members: map[*Node]map[string]*Node{}}
}

// Problem records what is wrong at a node.
func (d *Document) Problem(n *Node, format string, args ...any) {
	d.problems = append(d.problems, d.At(n, format, args...))
}

// At makes a problem, or a remark, of a node's place.
func (d *Document) At(n *Node, format string, args ...any) Problem {
	p := Problem{File: d.File, Line: 1, Column: 1, Message: fmt.Sprintf(format, args...)}
	if n != nil && n.Line > 0 {
		p.Line, p.Column = int(n.Line), int(n.Column)
	}
	return p
}

// Problems returns what was recorded.
func (d *Document) Problems() Problems { return d.problems.Sorted() }

// Resolve follows a reference within the document, one step. Where it leads nowhere, or to another
// document, it returns nil and why.
func (d *Document) Resolve(ref string) (*Node, string) {
	if found, ok := d.pointers[ref]; ok {
		return found, ""
	}
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, fmt.Sprintf("the reference %q leaves the document: only references within the file (#/…) are followed; a bundler makes one file of several", shorten(ref))
	}
	n := d.Root
	if fragment != "" && fragment[0] != '/' {
		pointer, why := d.Anchor(fragment)
		if why != "" {
			return nil, fmt.Sprintf("the reference %q %s", shorten(ref), why)
		}
		return d.Resolve(pointer)
	}
	for _, token := range Tokens(ref) {
		next := d.member(n, token)
		if next == nil && n.Is(Array) {
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.Children) {
				next = &n.Children[i]
			}
		}
		if next == nil {
			return nil, fmt.Sprintf("the reference %q leads nowhere: there is no %q", shorten(ref), shorten(token))
		}
		n = next
	}
	d.pointers[ref] = n
	return n, ""
}

// member is Get for objects that may have very many members.
func (d *Document) member(n *Node, key string) *Node {
	if !n.Is(Object) || len(n.Children) < 64 {
		return n.Get(key)
	}
	index, ok := d.members[n]
	if !ok {
		index = make(map[string]*Node, len(n.Children))
		for i := range n.Children {
			index[n.Children[i].Key] = &n.Children[i]
		}
		d.members[n] = index
	}
	return index[key]
}

// Tokens splits the JSON pointer of a reference and undoes its escapes.
func Tokens(ref string) []string {
	_, pointer, _ := strings.Cut(ref, "#/")
	if pointer == "" {
		return nil
	}
	tokens := strings.Split(pointer, "/")
	for i, token := range tokens {
		if strings.Contains(token, "%") {
			if plain, err := url.PathUnescape(token); err == nil {
				token = plain
			}
		}
		tokens[i] = unescapes.Replace(token)
	}
	return tokens
}

var unescapes = strings.NewReplacer("~1", "/", "~0", "~") //nolint:gochecknoglobals // a constant table
