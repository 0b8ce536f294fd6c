package spec

import (
	"slices"
	"strconv"
	"strings"
)

// anchors are the names that schemas have beside their JSON pointers.
type anchors struct {
	pointers map[string][]string // by $anchor or $dynamicAnchor
	around   map[*Node]string    // of each $recursiveRef, the innermost schema around it that has $recursiveAnchor or an $id
}

// Anchor is the JSON pointer, with its #, of the one schema that has this $anchor or $dynamicAnchor; else it tells why there is none.
func (d *Document) Anchor(name string) (pointer, why string) {
	switch found := d.named().pointers[name]; len(found) {
	case 0:
		return "", "leads nowhere: no schema has this $anchor, or only one whose JSON pointer is very long"
	case 1:
		return found[0], ""
	default:
		return "", "is not supported: several schemas have this anchor"
	}
}

// Recursive is the JSON pointer that a $recursiveRef leads to: the innermost schema around it that has $recursiveAnchor or an $id, or "#".
func (d *Document) Recursive(ref *Node) string {
	if pointer, there := d.named().around[ref]; there {
		return pointer
	}
	return "#"
}

func (d *Document) named() *anchors {
	if d.anchors == nil {
		d.anchors = &anchors{pointers: map[string][]string{}, around: map[*Node]string{}}
		d.anchors.find(d.Root, "#", "#", false)
	}
	return d.anchors
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1", "%", "%25") //nolint:gochecknoglobals // a constant table

// maxPointer is how long a pointer to an anchor may be: a few long names may stand around very many values.
const maxPointer = 2000

// find walks through schemas and what holds them. named: the members of n are named by people, and are no keywords.
func (a *anchors) find(n *Node, pointer, around string, named bool) {
	if len(pointer) > maxPointer {
		return
	}
	if id := n.Get("$id"); !named && (n.Get("$recursiveAnchor").True() || id.Is(String) && !strings.HasPrefix(id.Text, "#")) {
		around = pointer
	}
	for i := range n.Children {
		child := &n.Children[i]
		switch {
		case n.Kind == Array:
			a.find(child, pointer+"/"+strconv.Itoa(i), around, false)
			continue
		case named:
		case slices.Contains([]string{"example", "examples", "default", "enum", "const"}, child.Key):
			continue // values, which may hold anything
		case (child.Key == "$anchor" || child.Key == "$dynamicAnchor") && child.Is(String):
			a.pointers[child.Text] = append(a.pointers[child.Text], pointer)
		case child.Key == "$recursiveRef":
			a.around[child] = around
		}
		if len(child.Children) > 0 {
			a.find(child, pointer+"/"+escapes.Replace(child.Key), around, !named && slices.Contains([]string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "schemas", "responses"}, child.Key))
		}
	}
}
