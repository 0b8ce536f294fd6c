package ir

import (
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// structure is what OpenAPI says of a node that holds others: its kind, and its members. What reads a document
// must not take something damaged for nothing, as that would remove what was generated of it.
type structure struct {
	kind    spec.Kind
	members map[string]*structure // by name
	each    *structure            // all other members, or the items of a list; nil where anything may be
	needs   []string              // members that must be there, with a text
	refers  bool                  // a $ref may stand in its place
	empty   bool                  // null may: an empty member of YAML, with which nothing is lost
}

// openAPIStructure is that of a whole document. Schemas have a reader of their own, and describing texts are not
// looked at: a title may well be the number 404.
func openAPIStructure() *structure {
	text, flag, anything := &structure{kind: spec.String}, &structure{kind: spec.Bool}, &structure{}
	object := func(members map[string]*structure) *structure { return &structure{kind: spec.Object, members: members} }
	list := func(items *structure) *structure { return &structure{kind: spec.Array, each: items} }
	named := func(each *structure) *structure { return &structure{kind: spec.Object, each: each} }
	reference := func(s *structure) *structure { s.refers = true; return s }
	empty := func(s *structure) *structure { s.empty = true; return s }

	examples := empty(named(empty(reference(object(nil)))))
	content := reference(named(empty(reference(object(map[string]*structure{"examples": examples, "encoding": empty(named(object(nil)))})))))
	headers := empty(named(empty(reference(object(map[string]*structure{"required": flag, "content": content, "examples": examples})))))
	links := empty(named(reference(object(nil))))
	parameter := reference(object(map[string]*structure{
		"name": text, "in": text, "required": flag, "style": text, "explode": flag, "content": content, "examples": examples,
	}))
	parameter.needs = []string{"name", "in"}
	body := reference(object(map[string]*structure{"content": content, "required": flag}))
	response := empty(reference(object(map[string]*structure{"content": content, "headers": headers, "links": links})))
	security := list(named(anything))
	servers := empty(list(object(map[string]*structure{"url": text, "variables": empty(named(object(nil)))})))
	operation := object(map[string]*structure{
		"operationId": text, "tags": empty(list(anything)), "parameters": empty(list(parameter)), "requestBody": body, "responses": named(response),
		"security": security, "servers": servers,
	})
	item := object(map[string]*structure{"$ref": text, "parameters": empty(list(parameter)), "servers": servers})
	for _, method := range methods {
		item.members[method] = operation
	}
	callback := reference(named(item))
	operation.members["callbacks"] = empty(named(callback))
	scheme := reference(object(map[string]*structure{"type": text, "scheme": text, "in": text, "name": text}))
	return object(map[string]*structure{
		"info": object(nil), "servers": servers, "security": security, "tags": empty(list(anything)), "paths": named(item), "webhooks": empty(named(item)),
		"components": object(map[string]*structure{
			"schemas": named(anything), "parameters": empty(named(parameter)), "requestBodies": empty(named(body)), "responses": empty(named(response)), "headers": headers,
			"examples": examples, "links": links, "callbacks": empty(named(callback)), "securitySchemes": named(scheme), "pathItems": empty(named(item)),
		}),
	})
}

// structured reports every node that is not what it should be. name is what people know it by.
func (b *builder) structured(n *spec.Node, s *structure, name string) {
	if s.kind == spec.Missing || s.empty && n.Is(spec.Null) {
		return
	}
	if n.Kind != s.kind {
		b.doc.Problem(n, "%s should be %s, not %s", name, s.kind, n.Kind)
		return
	}
	if ref := n.Get("$ref"); s.refers && ref != nil {
		b.referring(ref, s, name)
		return
	}
	for _, member := range s.needs {
		if found := n.Get(member); found == nil || found.Is(spec.String) && found.Text == "" {
			b.doc.Problem(n, "%s has no %s", name, member)
		}
	}
	for i := range n.Children {
		child := &n.Children[i]
		switch member, known := s.members[child.Key]; {
		case known:
			b.structured(child, member, child.Key)
		case s.each == nil || n.Kind == spec.Object && strings.HasPrefix(child.Key, "x-"):
		case n.Kind == spec.Array:
			b.structured(child, s.each, "an item of "+name)
		default:
			b.structured(child, s.each, name+"."+child.Key)
		}
	}
}

// referring makes sure that a reference leads to what may stand in its place. Where it leads nowhere, that is
// reported with the other references; where to a component of its kind, that one is looked at anyway.
func (b *builder) referring(ref *spec.Node, s *structure, name string) {
	if !ref.Is(spec.String) {
		b.doc.Problem(ref, "$ref should be %s, not %s", spec.String, ref.Kind)
		return
	}
	target, why := b.doc.Resolve(ref.Text)
	if why == "" && target.Kind != s.kind {
		b.doc.Problem(ref, "%s should be %s, but %q is %s", name, s.kind, ref.Text, target.Kind)
	}
}

// paths reports what would silently be no operation, or no parameter.
func (b *builder) paths() {
	paths := b.doc.Root.Get("paths")
	if !paths.Is(spec.Object) {
		return // which is told, or there are none
	}
	for i := range paths.Children {
		path := &paths.Children[i]
		if strings.HasPrefix(path.Key, "x-") {
			continue
		}
		if !strings.HasPrefix(path.Key, "/") {
			b.doc.Problem(path, "the path %q does not begin with a slash", path.Key)
		}
		for j := range path.Children {
			member := &path.Children[j]
			if strings.HasPrefix(member.Key, "x-") || slices.Contains(methods, member.Key) || slices.Contains([]string{"$ref", "summary", "description", "servers", "parameters"}, member.Key) {
				continue
			}
			b.note(member, "%q is no method that OpenAPI 3.0 or 3.1 knows: nothing is made of it", member.Key)
		}
	}
}
