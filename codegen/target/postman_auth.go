package target

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

// mostUsed is the scheme that the most operations use; the first of several.
func mostUsed(operations []ir.Operation) *ir.Security {
	uses := map[string]int{}
	var most *ir.Security
	for i := range operations {
		if s := operations[i].Security; s != nil {
			uses[s.Name]++
		}
	}
	for i := range operations {
		if s := operations[i].Security; s != nil && (most == nil || uses[s.Name] > uses[most.Name]) {
			most = s
		}
	}
	return most
}

func same(a, b *ir.Security) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Name == b.Name
}

// authVariables names the variables that the operations' schemes read: none of them has a value in a file.
func authVariables(m *ir.Model) []string {
	var list []string
	for i := range m.Operations {
		for _, name := range schemeVariables(m.Operations[i].Security) {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

func schemeVariables(s *ir.Security) []string {
	switch {
	case s == nil:
		return nil
	case s.Type == "http" && s.Scheme == "basic":
		return []string{"username", "password"}
	case s.Type == "apiKey":
		return []string{camel(cmp.Or(s.Name, "apiKey"))}
	}
	return []string{"token"}
}

// auth writes a scheme as Postman knows it. What is neither a key nor a password is a token.
func (p *postman) auth(s *ir.Security) {
	names := schemeVariables(s)
	attribute := func(key, value string) {
		p.item().text(`{ "key": `)
		p.quote(key)
		p.text(`, "value": `)
		p.quote(value)
		p.text(`, "type": "string" }`)
	}
	kind := func(name string, attributes func()) {
		p.open("{")
		p.member("type").quote(name)
		p.member(name).open("[")
		attributes()
		p.shut("]")
		p.shut("}")
	}
	switch {
	case s == nil:
		p.text(`{ "type": "noauth" }`)
	case s.Type == "http" && s.Scheme == "basic":
		kind("basic", func() {
			attribute("username", "{{username}}")
			attribute("password", "{{password}}")
		})
	case s.Type == "apiKey" && s.In == "cookie":
		kind("apikey", func() {
			attribute("key", "Cookie")
			attribute("value", s.Key+"={{"+names[0]+"}}")
			attribute("in", "header")
		})
	case s.Type == "apiKey":
		kind("apikey", func() {
			attribute("key", s.Key)
			attribute("value", "{{"+names[0]+"}}")
			attribute("in", s.In)
		})
	default:
		kind("bearer", func() { attribute("token", "{{token}}") })
	}
}

// absolute makes an address of a server that a document names without its host.
func absolute(url string) string {
	if !strings.Contains(url, "://") {
		return strings.TrimRight(localURL+"/"+strings.Trim(url, "/"), "/")
	}
	return url
}
