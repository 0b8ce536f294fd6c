package ir

import "github.com/flaresmith/flaresmith/codegen/spec"

// saying is what kinds of keywords a schema has: most have few, and each is looked for among all.
type saying uint8

const (
	ofScalars saying = 1 << iota
	ofLists
	ofObjects
	ofOthers // all keywords that are not known to be of another kind, or of none
)

func sayings(n *spec.Node) saying {
	var said saying
	for i := range n.Children {
		switch n.Children[i].Key {
		case "type", "nullable", "title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "enum", "const", "$ref":
		case "format", "pattern", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
			said |= ofScalars
		case "items", "additionalItems", "prefixItems", "contains", "minContains", "maxContains", "minItems", "maxItems", "uniqueItems", "unevaluatedItems":
			said |= ofLists
		case "properties", "additionalProperties", "required", "patternProperties", "propertyNames", "unevaluatedProperties", "minProperties", "maxProperties":
			said |= ofObjects
		default:
			said |= ofOthers
		}
	}
	return said
}
