package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/flaresmith/flaresmith/app/preview"
)

const maxYAMLDepth = 16

// parseYAML reads one document of plain maps, lists and values. Anchors, aliases and tags are
// refused, and so are keys that appear twice: a file that a program wrote has none of them. The
// nodes are meant to be walked: decoding into values compares every key with every other.
func parseYAML(name string, data []byte) (*yaml.Node, *preview.Problem) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, more yaml.Node
	if err := decoder.Decode(&document); err != nil || len(document.Content) != 1 {
		return nil, &preview.Problem{Path: name, Message: yamlMessage(err)}
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &preview.Problem{Path: name, Message: "the file holds more than one document"}
	}
	root := document.Content[0]
	if node, message := oddity(root, 0); node != nil {
		return nil, &preview.Problem{Path: name, Line: node.Line, Column: node.Column, Message: message}
	}
	if root.Kind != yaml.MappingNode {
		return nil, &preview.Problem{Path: name, Message: "the file holds no map"}
	}
	return root, nil
}

func yamlMessage(err error) string {
	if err == nil || errors.Is(err, io.EOF) {
		return "the file is empty"
	}
	return "the file is no valid YAML: " + err.Error()
}

// oddity finds the first node that a plain file does not have.
func oddity(n *yaml.Node, depth int) (*yaml.Node, string) {
	switch {
	case depth > maxYAMLDepth:
		return n, fmt.Sprintf("the file is nested deeper than %d levels", maxYAMLDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return n, "anchors and aliases are not supported"
	case n.Style&yaml.TaggedStyle != 0:
		return n, "tags are not supported"
	}
	if n.Kind == yaml.MappingNode {
		seen := make(map[string]struct{}, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if _, double := seen[key.Value]; double || key.Kind != yaml.ScalarNode {
				return key, "a key appears twice, or is no plain text"
			}
			seen[key.Value] = struct{}{}
		}
	}
	for _, child := range n.Content {
		if found, message := oddity(child, depth+1); found != nil {
			return found, message
		}
	}
	return nil, ""
}

// entries calls visit for every key of a map, in the file's order; anything else has none.
func entries(n *yaml.Node, visit func(key string, value *yaml.Node)) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		visit(n.Content[i].Value, n.Content[i+1])
	}
}

// under is the value of a key; nil when there is none.
func under(n *yaml.Node, key string) *yaml.Node {
	var found *yaml.Node
	entries(n, func(name string, value *yaml.Node) {
		if name == key {
			found = value
		}
	})
	return found
}

// textUnder is the plain value of a key; empty when there is none.
func textUnder(n *yaml.Node, key string) string {
	if v := under(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}
