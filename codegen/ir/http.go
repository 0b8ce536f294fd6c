package ir

import (
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// Server is an address that the document names. Variables in the address have their default values.
type Server struct {
	URL, Description string
}

// Security is the scheme that authorizes a request.
type Security struct {
	Name    string     // of the scheme in the document
	Type    string     // http, apiKey, oauth2 or openIdConnect
	Scheme  string     // of http: bearer or basic, in small letters
	In, Key string     // of apiKey: header, query or cookie, and the name there
	Node    *spec.Node // the scheme as the document has it
}

// Media is one type of content of a body.
type Media struct {
	Type    string
	Schema  *Schema // of JSON and of forms; nil when nothing is said, and of every other type
	Example *spec.Node
}

// JSON tells whether the content is JSON.
func (m Media) JSON() bool { return isJSON(m.Type) }

// Form tells whether the content is the fields of a form.
func (m Media) Form() bool { return isForm(m.Type) }

// Response is what an operation answers with one status, such as 200, 4XX or default.
type Response struct {
	Status, Description string
	Media               []Media
}

// Success tells whether the status says that the request was carried out.
func (r Response) Success() bool {
	return strings.HasPrefix(r.Status, "2") || strings.HasPrefix(r.Status, "3")
}

// Document is what a model's document says about itself.
type Document struct {
	Title, Version, Description string
	Servers                     []Server
	Schemes                     []Security // all that are declared
}

func (b *builder) document() Document {
	root := b.doc.Root
	info := root.Get("info")
	d := Document{Title: info.Get("title").String(), Version: info.Get("version").String(), Description: info.Get("description").String()}
	if servers := root.Get("servers"); servers.Is(spec.Array) {
		for i := range servers.Children {
			if server := &servers.Children[i]; server.Get("url").String() != "" {
				d.Servers = append(d.Servers, Server{address(server), server.Get("description").String()})
			}
		}
	}
	schemes := root.Get("components").Get("securitySchemes")
	if schemes.Is(spec.Object) {
		for i := range schemes.Children {
			scheme := b.follow(&schemes.Children[i])
			d.Schemes = append(d.Schemes, Security{
				Name: schemes.Children[i].Key, Type: scheme.Get("type").String(), Scheme: strings.ToLower(scheme.Get("scheme").String()),
				In: scheme.Get("in").String(), Key: scheme.Get("name").String(), Node: scheme,
			})
		}
	}
	return d
}

func address(server *spec.Node) string {
	url := server.Get("url").String()
	if variables := server.Get("variables"); variables.Is(spec.Object) {
		for i := range variables.Children {
			v := &variables.Children[i]
			url = strings.ReplaceAll(url, "{"+v.Key+"}", v.Get("default").String())
		}
	}
	return strings.TrimRight(url, "/")
}

// security finds the scheme of an operation: the first of its own list, or else of the document's. It
// is nil where none is asked for. One that is not declared counts, too: a slip must not open an operation.
func (b *builder) security(operation *spec.Node) *Security {
	list := operation.Get("security")
	if list == nil {
		list = b.doc.Root.Get("security")
	}
	if !list.Is(spec.Array) {
		return nil
	}
	var undeclared *Security
	for i := range list.Children {
		for j := range list.Children[i].Children {
			name := list.Children[i].Children[j].Key
			at := slices.IndexFunc(b.model.Document.Schemes, func(s Security) bool { return s.Name == name })
			if at >= 0 {
				return &b.model.Document.Schemes[at]
			}
			b.note(&list.Children[i].Children[j], "components.securitySchemes has no %q: nothing is known of how it authorizes a request", name)
			if undeclared == nil {
				undeclared = &Security{Name: name}
			}
		}
	}
	return undeclared
}

// media lists the types of a body's content. Of several JSON types, the first that has a schema counts, which is
// json; forms have schemas of their own.
func (b *builder) media(n *spec.Node, json *Schema) []Media {
	content := b.follow(b.follow(n).Get("content"))
	if !content.Is(spec.Object) {
		return nil
	}
	var all []Media
	found := false
	for i := range content.Children {
		node := b.follow(&content.Children[i])
		m := Media{Type: content.Children[i].Key, Example: b.example(node)}
		switch schema := node.Get("schema"); {
		case m.JSON():
			if found || json != nil && schema == nil {
				continue
			}
			found, m.Schema = true, json
			if m.Type == "*/*" {
				m.Type = "application/json"
			}
		case m.Form() && schema != nil:
			m.Schema = b.form(schema)
		}
		all = append(all, m)
	}
	b.parts += len(all)
	return all
}

// form reads the schema of a form, once where several bodies share it.
func (b *builder) form(n *spec.Node) *Schema {
	if s, ok := b.forms[n]; ok {
		return s
	}
	s := b.schema(n, 0)
	b.forms[n] = s
	b.loose = append(b.loose, s)
	return s
}

// example is the example of a parameter or a type of content: the only one, or the first.
func (b *builder) example(n *spec.Node) *spec.Node {
	if one := n.Get("example"); one != nil {
		return one
	}
	if list := n.Get("examples"); list.Is(spec.Object) && len(list.Children) > 0 {
		return b.follow(&list.Children[0]).Get("value")
	}
	return nil
}

func isForm(media string) bool {
	media, _, _ = strings.Cut(strings.ToLower(media), ";")
	media = strings.TrimSpace(media)
	return media == "multipart/form-data" || media == "application/x-www-form-urlencoded"
}

// unreadForms notes what is asked of the fields of a form together: routes read them one by one.
func (b *builder) unreadForms() {
	for i := range b.model.Operations {
		for _, media := range b.model.Operations[i].Bodies {
			if !media.Form() || media.Schema == nil {
				continue
			}
			if s := media.Schema.Deref(); s.combined() || s.ruled() {
				b.note(media.Schema.Node, "routes read the fields of a form one by one: what this asks of several together is not checked")
			}
		}
	}
}

func lowerFirst(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// ident makes the name of an operation in code, which no other has.
func (b *builder) ident(id string) string {
	return b.idents.take(lowerFirst(Pascal(id)))
}
