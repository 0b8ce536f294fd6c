package ir

import (
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"} //nolint:gochecknoglobals // a constant table

// operations makes components of the schemas that stand inline in request bodies and responses.
func (b *builder) operations() {
	paths := b.doc.Root.Get("paths")
	if !paths.Is(spec.Object) {
		return
	}
	for i := range paths.Children {
		path := &paths.Children[i]
		item := b.follow(path)
		for _, method := range methods {
			if operation := item.Get(method); operation.Is(spec.Object) {
				b.operation(path.Key, method, operation)
			}
		}
	}
}

// operation names the schemas of one operation after it.
func (b *builder) operation(path, method string, operation *spec.Node) {
	id := operation.Get("operationId").String()
	if id == "" {
		id = method + "_" + strings.NewReplacer("{", "by_", "}", "").Replace(path)
	}
	name := Pascal(id)
	b.content(operation.Get("requestBody"), name+"Body", "Body")
	responses := operation.Get("responses")
	if !responses.Is(spec.Object) {
		return
	}
	for i := range responses.Children {
		status := &responses.Children[i]
		if strings.HasPrefix(status.Key, "x-") {
			continue
		}
		b.content(status, name+"Response"+strings.TrimPrefix(Pascal(status.Key), "_"), "Response")
	}
}

// content makes a component of the JSON schema of a body. A body that is shared by reference gets
// the name that it has in the document.
func (b *builder) content(n *spec.Node, name, suffix string) {
	if n == nil {
		return
	}
	target := b.follow(n)
	if ref := n.Get("$ref"); ref.Is(spec.String) {
		if tokens := spec.Tokens(ref.Text); len(tokens) > 0 {
			name = Pascal(tokens[len(tokens)-1]) + suffix
		}
	}
	content := target.Get("content")
	if !content.Is(spec.Object) {
		return
	}
	for i := range content.Children {
		media := &content.Children[i]
		schema := media.Get("schema")
		if !isJSON(media.Key) || schema == nil || schema.Get("$ref").Is(spec.String) && len(schema.Children) == 1 {
			if isJSON(media.Key) && schema != nil {
				b.refer(schema.Get("$ref"))
			}
			continue
		}
		pointer := "inline " + name
		if target != n {
			pointer = "shared " + n.Get("$ref").Text
		}
		if _, known := b.byPointer[pointer]; known {
			continue
		}
		b.component(pointer, name, schema).Operation = true
	}
}

func isJSON(media string) bool {
	media, _, _ = strings.Cut(strings.ToLower(media), ";")
	media = strings.TrimSpace(media)
	return media == "application/json" || strings.HasSuffix(media, "+json") || media == "*/*"
}

// follow returns what a node refers to, or the node. What leads nowhere is reported by references.
func (b *builder) follow(n *spec.Node) *spec.Node {
	for range maxRefs {
		ref := n.Get("$ref")
		if !ref.Is(spec.String) {
			return n
		}
		target, why := b.doc.Resolve(ref.Text)
		if why != "" {
			return n
		}
		n = target
	}
	return n
}

// references reports every reference of the document that leaves it or leads nowhere, also those
// that no generated file needs.
func (b *builder) references(n *spec.Node) {
	if ref := n.Get("$ref"); ref.Is(spec.String) {
		if _, why := b.doc.Resolve(ref.Text); why != "" {
			b.doc.Problem(ref, "%s", why)
		}
	}
	for i := range n.Children {
		child := &n.Children[i]
		data := n.Kind == spec.Object && (slices.Contains([]string{"example", "examples", "default", "enum", "const"}, child.Key) || strings.HasPrefix(child.Key, "x-"))
		if child.Key == "properties" && child.Kind == spec.Object { // a property may be named like a keyword
			for j := range child.Children {
				b.references(&child.Children[j])
			}
			continue
		}
		if len(child.Children) > 0 && !data {
			b.references(child)
		}
	}
}
