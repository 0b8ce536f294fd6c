package target

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

// mcpRevision is the revision of the Model Context Protocol that the descriptors follow. It allows any
// JSON Schema 2020-12 as outputSchema, and an object as inputSchema.
const mcpRevision = "2026-07-28"

// MCP writes a tool descriptor for each operation of a model, as tools/list answers it: everything of
// the JSON object behind its first member, which is the caller's.
func MCP(ctx context.Context, m *ir.Model) (content []byte, err error) {
	defer complete(&err)
	s := &jsonSchema{}
	s.out = make([]byte, 0, 12<<10*len(m.Operations))
	s.indent, s.ended = 1, ctx.Err
	s.text(`  "protocolVersion": "`, mcpRevision, `",`)
	s.line()
	s.text(`"tools": [`)
	s.indent++
	names := map[string]int{}
	for i := range m.Operations {
		if i > 0 {
			s.text(",")
		}
		s.line()
		s.tool(&m.Operations[i], names)
	}
	s.indent--
	s.line()
	s.text("]\n}\n")
	return s.out, nil
}

var toolCharacters = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[^A-Za-z0-9_.-]+`) })

func isToolCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-'
}

const maxToolName = 64

// toolName makes a name that all clients take, and that no other tool of the file has. taken has the number to try next.
func toolName(id string, taken map[string]int) string {
	name := id
	if strings.ContainsFunc(id, func(r rune) bool { return !isToolCharacter(r) }) {
		name = toolCharacters().ReplaceAllString(id, "_")
	}
	name = strings.Trim(name, "_")
	name = name[:min(len(name), maxToolName)]
	base := name
	for n := max(taken[base], 2); taken[name] > 0 || name == ""; n++ {
		suffix := "_" + strconv.Itoa(n)
		name = base[:min(len(base), maxToolName-len(suffix))] + suffix
		taken[base] = n + 1 // very many tools may ask for the same
	}
	taken[name] = max(taken[name], 2)
	return name
}

func (s *jsonSchema) tool(o *ir.Operation, names map[string]int) {
	s.open("{")
	s.member("name").quote(toolName(o.ID, names))
	title := o.Summary
	if title == "" {
		title = o.Method + " " + o.Path
	}
	s.member("title").quote(title)
	description := o.Description
	if description == "" {
		description = title
	}
	if o.Deprecated {
		description = "Deprecated. " + description
	}
	s.member("description").quote(description)
	s.member("inputSchema")
	s.root(inputSchema(o))
	if o.Result != nil && o.WrittenOut(o.Result) {
		s.member("outputSchema")
		s.root(o.Result)
	}
	s.member("annotations")
	s.annotations(o.Method)
	s.member("_meta").open("{")
	s.member("operationId").quote(o.ID)
	s.member("method").quote(o.Method)
	s.member("path").quote(o.Path)
	if len(o.Requirements) > 0 {
		s.member("specRefs").open("[")
		for _, id := range o.Requirements {
			s.item().quote(id)
		}
		s.shut("]")
	}
	s.shut("}")
	s.shut("}")
}

// inputSchema puts the parameters of a request and its body, as "body", into one object. A name that
// stands in two places gets the place in front.
func inputSchema(o *ir.Operation) *ir.Schema {
	input := &ir.Schema{Types: ir.Object, Additional: &ir.Schema{Never: true}}
	taken := map[string]bool{}
	add := func(name, in string, required bool, schema *ir.Schema) {
		for taken[name] {
			name = in + "_" + name
		}
		taken[name] = true
		if !o.WrittenOut(schema) {
			schema = &ir.Schema{}
		}
		input.Properties = append(input.Properties, ir.Property{Name: name, Required: required, Schema: schema})
	}
	for _, p := range o.Parameters {
		if p.In != "cookie" { // cookies are the client's business
			add(p.Name, p.In, p.Required, p.Schema)
		}
	}
	if o.Body != nil {
		add("body", "request", o.BodyRequired, o.Body)
	}
	return input
}

// annotations are hints that follow from the method, as HTTP defines it. Without a hint, clients take a
// tool that writes for destructive and not repeatable.
func (s *jsonSchema) annotations(method string) {
	reads := method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE"
	s.open("{")
	s.member("readOnlyHint").text(strconv.FormatBool(reads))
	if method == "DELETE" {
		s.member("destructiveHint").text("true")
	}
	if method == "PUT" || method == "DELETE" {
		s.member("idempotentHint").text("true")
	}
	s.member("openWorldHint").text("true")
	s.shut("}")
}
