package target

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

// requestMedia is the content that is sent: JSON before forms before what else there is.
func requestMedia(r *request) *ir.Media {
	for _, wanted := range []func(ir.Media) bool{ir.Media.JSON, ir.Media.Form, func(ir.Media) bool { return true }} {
		if at := slices.IndexFunc(r.Bodies, wanted); at >= 0 {
			return &r.Bodies[at]
		}
	}
	return nil
}

func (p *postman) body(r *request, media *ir.Media) {
	p.member("body").open("{")
	switch {
	case media.JSON():
		p.member("mode").text(`"raw"`)
		p.member("raw").quote(pretty(r.referring(p.mediaSample(media, false))))
		p.member("options").text(`{ "raw": { "language": "json" } }`)
	case media.Form():
		mode := "formdata"
		if strings.HasPrefix(media.Type, "application/") {
			mode = "urlencoded"
		}
		p.member("mode").quote(mode)
		p.member(mode).open("[")
		p.fields(media, mode)
		p.shut("]")
	default:
		p.member("mode").text(`"raw"`)
		p.member("raw").quote(plain(media.Example))
	}
	p.shut("}")
}

func (p *postman) fields(media *ir.Media, mode string) {
	if media.Schema == nil {
		return
	}
	sample := p.mediaSample(media, false)
	target := media.Schema.Deref()
	values := map[string]*spec.Node{}
	if sample.Is(spec.Object) {
		for i := range sample.Children {
			if child := &sample.Children[i]; values[child.Key] == nil {
				values[child.Key] = child
			}
		}
	}
	for i := range target.Properties {
		field := &target.Properties[i]
		value := values[field.Name]
		if value.Is(spec.Array) { // a field for each item
			for j := range value.Children {
				p.field(field, mode, &value.Children[j])
			}
			continue
		}
		p.field(field, mode, value)
	}
}

func (p *postman) field(field *ir.Property, mode string, value *spec.Node) {
	p.item().text(`{ "key": `)
	p.quote(field.Name)
	if mode == "formdata" && (isFile(field.Schema) || isFiles(field.Schema)) {
		p.text(`, "type": "file", "src": []`)
	} else {
		p.text(`, "value": `)
		p.quote(plain(value))
		p.text(`, "type": "text"`)
	}
	p.remark(field.Schema.Meta.Description)
	if !field.Required {
		p.text(`, "disabled": true`)
	}
	p.text(" }")
}

func (p *postman) mediaSample(media *ir.Media, response bool) *spec.Node {
	if media.Example != nil {
		return media.Example
	}
	if media.Schema == nil {
		return &spec.Node{Kind: spec.Object}
	}
	return p.samples.of(media.Schema, response)
}

func (p *postman) sampled(q *ir.Parameter) *spec.Node {
	if q.Example != nil {
		return q.Example
	}
	return p.samples.of(q.Schema, false)
}

// parameterText is a parameter's value as a URL or a header carries it, but for percent signs.
func (p *postman) parameterText(q *ir.Parameter) string {
	value := p.sampled(q)
	if q.JSON {
		return compact(value)
	}
	if value.Kind == spec.Array {
		separator := map[string]string{"spaceDelimited": " ", "pipeDelimited": "|"}[q.Style]
		parts := make([]string, len(value.Children))
		for i := range value.Children {
			parts[i] = plain(&value.Children[i])
		}
		return strings.Join(parts, cmp.Or(separator, ","))
	}
	return plain(value)
}

// plain is a value as text: JSON only where it is composed.
func plain(n *spec.Node) string {
	switch {
	case n == nil:
		return ""
	case n.Kind == spec.Array || n.Kind == spec.Object:
		return compact(n)
	}
	return n.Text
}

func compact(n *spec.Node) string {
	s := &jsonSchema{compact: true}
	s.value(n)
	return string(s.out)
}

func pretty(n *spec.Node) string {
	s := &jsonSchema{}
	s.value(n)
	return string(s.out)
}
