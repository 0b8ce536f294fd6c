package ir

import (
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// Keywords that say something about values of one type. A schema without "type" that uses them is
// read as if it said that type, which is listed.
var keywordTypes = []struct { //nolint:gochecknoglobals // a constant table
	keyword string
	means   Types
}{
	{"properties", Object}, {"required", Object}, {"additionalProperties", Object}, {"patternProperties", Object},
	{"minProperties", Object}, {"maxProperties", Object}, {"propertyNames", Object},
	{"items", Array}, {"prefixItems", Array}, {"unevaluatedItems", Array}, {"minItems", Array}, {"maxItems", Array}, {"uniqueItems", Array}, {"contains", Array},
	{"pattern", String}, {"minLength", String}, {"maxLength", String},
	{"minimum", Number}, {"maximum", Number}, {"exclusiveMinimum", Number}, {"exclusiveMaximum", Number}, {"multipleOf", Number},
}

// types reads type and nullable.
func (b *builder) types(n *spec.Node, s *Schema, outer Types) {
	switch t := n.Get("type"); {
	case t == nil:
		s.Types = b.infer(n, outer)
	case t.Is(spec.String), t.Is(spec.Null):
		s.Types = b.typeOf(t)
	case t.Is(spec.Array):
		if b.old && !b.tuples {
			b.doc.Problem(t, "a list of types is OpenAPI 3.1; this document says it is 3.0")
		}
		for i := range t.Children {
			s.Types |= b.typeOf(&t.Children[i])
		}
	default:
		b.doc.Problem(t, "type should be a text, not %s", t.Kind)
	}
	if s.Types.Has(Number) {
		s.Types &^= Integer
	}
	if s.Types.Has(Null) && s.Types != Null && n.Get("enum") == nil && n.Get("allOf") == nil && n.Get("anyOf") == nil && n.Get("oneOf") == nil && n.Get("$ref") == nil {
		s.Types, s.Nullable = s.Types&^Null, true
	}
	if nullable := n.Get("nullable"); nullable.True() {
		s.Nullable = true
		if !b.old || b.tuples {
			b.note(nullable, "nullable is OpenAPI 3.0; it is read as type null")
		}
	}
}

// typesBehind are the types that the target of a reference says: keywords beside the reference are about them.
func (b *builder) typesBehind(n *spec.Node) Types {
	var types Types
	target := b.follow(n)
	switch t := target.Get("type"); {
	case t.Is(spec.String):
		types = typesByName[t.Text]
	case t.Is(spec.Array):
		for i := range t.Children {
			types |= typesByName[t.Children[i].String()]
		}
	}
	if types != 0 && target.Get("nullable").True() {
		types |= Null
	}
	return types
}

// typesWithin are the types that the first branch of allOf says which says any.
func (b *builder) typesWithin(n *spec.Node) Types {
	branches := n.Get("allOf")
	if !branches.Is(spec.Array) {
		return 0
	}
	for i := range branches.Children {
		if types := b.typesBehind(&branches.Children[i]); types != 0 {
			return types
		}
	}
	return 0
}

var typesByName = map[string]Types{ //nolint:gochecknoglobals // a constant table
	"null": Null, "boolean": Boolean, "object": Object, "array": Array, "string": String, "number": Number, "integer": Integer,
}

// meantTypes are what people write from the habits of other languages.
var meantTypes = map[string]string{ //nolint:gochecknoglobals // a constant table
	"int": "integer", "int32": "integer with format int32", "int64": "integer with format int64", "long": "integer with format int64", "float": "number with format float", "double": "number with format double", "decimal": "number",
	"bool": "boolean", "text": "string", "str": "string", "date": "string with format date", "datetime": "string with format date-time", "date-time": "string with format date-time", "timestamp": "string with format date-time",
	"uuid": "string with format uuid", "email": "string with format email", "file": "string with format binary", "binary": "string with format binary", "enum": "string beside enum", "map": "object with additionalProperties", "dict": "object with additionalProperties",
	"list": "array", "any": "no type at all",
}

func (b *builder) typeOf(n *spec.Node) Types {
	if t, known := typesByName[n.String()]; known {
		return t
	}
	if n.Is(spec.Null) { // which YAML reads null without quotes as
		b.note(n, "the type is null without quotes, or empty: it is read as \"null\"")
		return Null
	}
	hint := ""
	if meant := meantTypes[strings.ToLower(n.String())]; meant != "" {
		hint = ": write " + meant
	} else if typesByName[strings.ToLower(n.String())] != 0 {
		hint = ": write " + strings.ToLower(n.String())
	}
	b.doc.Problem(n, "%q is no type of JSON Schema%s", n.Text, hint)
	return 0
}

// infer tells the type of a schema that does not say it.
func (b *builder) infer(n *spec.Node, outer Types) Types {
	if n.Get("enum") != nil || n.Get("const") != nil {
		return 0
	}
	for _, k := range keywordTypes {
		found := n.Get(k.keyword)
		if found == nil {
			continue
		}
		if outer.Has(k.means) || k.means == Number && outer.Has(Integer) {
			return outer
		}
		if outer&^Null != 0 {
			b.note(found, "%s is about %s, which this is not: it is not checked", k.keyword, plural(k.means))
			continue
		}
		b.note(found, "the schema has no type; read as %s, because of %s", typeName(k.means), k.keyword)
		return k.means
	}
	return 0
}

func typeName(t Types) string {
	return map[Types]string{Object: "an object", Array: "an array", String: "a string", Number: "a number"}[t]
}

func plural(t Types) string {
	return map[Types]string{Object: "objects", Array: "arrays", String: "strings", Number: "numbers"}[t]
}
