package cloudflare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime/multipart"
	"net/textproto"
	"slices"

	"github.com/flaresmith/flaresmith/app/preview"
)

// metadataPart is the part of an upload that describes the others.
const metadataPart = "metadata"

// metadata describes an upload. What it does not name does not exist afterwards: there is no keep_bindings.
type metadata struct {
	MainModule  string            `json:"main_module,omitempty"`
	Bindings    []binding         `json:"bindings"`
	Date        string            `json:"compatibility_date"`
	Flags       []string          `json:"compatibility_flags"`
	Tags        []string          `json:"tags,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Assets      *assets           `json:"assets,omitempty"`
}

// binding is one thing in the Worker's environment.
type binding struct {
	Type    string          `json:"type"`
	Name    string          `json:"name,omitempty"`
	Text    *string         `json:"text,omitempty"`
	JSON    json.RawMessage `json:"json,omitempty"`
	Service string          `json:"service,omitempty"`
	// What an account's thing is known by.
	Namespace string `json:"namespace_id,omitempty"`
	ID        string `json:"id,omitempty"`
	Bucket    string `json:"bucket_name,omitempty"`
	Queue     string `json:"queue_name,omitempty"`
	Index     string `json:"index_name,omitempty"`
	Dataset   string `json:"dataset,omitempty"`
}

// accountBinding is a binding to a thing of the account; ok is false for a kind that is not known.
func accountBinding(b preview.Binding) (_ binding, ok bool) {
	switch b.Kind {
	case preview.BindKV:
		return binding{Type: "kv_namespace", Name: b.Name, Namespace: b.Target}, true
	case preview.BindD1:
		return binding{Type: "d1", Name: b.Name, ID: b.Target}, true
	case preview.BindR2:
		return binding{Type: "r2_bucket", Name: b.Name, Bucket: b.Target}, true
	case preview.BindHyperdrive:
		return binding{Type: "hyperdrive", Name: b.Name, ID: b.Target}, true
	case preview.BindQueue:
		return binding{Type: "queue", Name: b.Name, Queue: b.Target}, true
	case preview.BindVectorize:
		return binding{Type: "vectorize", Name: b.Name, Index: b.Target}, true
	case preview.BindDataset:
		return binding{Type: "analytics_engine", Name: b.Name, Dataset: b.Target}, true
	case preview.BindService:
		return binding{Type: "service", Name: b.Name, Service: b.Target}, true
	}
	return binding{}, false
}

// assets are static files that were uploaded before.
type assets struct {
	JWT    string      `json:"jwt"`
	Config assetConfig `json:"config"`
}

type assetConfig struct {
	HTML        preview.HTMLHandling     `json:"html_handling"`
	NotFound    preview.NotFoundHandling `json:"not_found_handling"`
	WorkerFirst any                      `json:"run_worker_first"` // a boolean or patterns
}

// describe makes the metadata of a checked bundle; token is that of its static files.
func describe(r preview.Resource, b *preview.Bundle, database preview.Secret, token string) metadata {
	m := metadata{MainModule: partName(b.MainModule), Bindings: bindings(r, b, database), Date: b.CompatibilityDate,
		Flags: slices.Concat([]string{}, b.CompatibilityFlags), Tags: markTags(r.Mark)}
	if r.SHA != "" {
		m.Annotations = map[string]string{"workers/message": "commit " + r.SHA}
	}
	if b.Assets != nil {
		m.Assets = &assets{JWT: token, Config: assetConfig{HTML: b.Assets.HTML, NotFound: b.Assets.NotFound, WorkerFirst: b.Assets.WorkerFirst}}
		if len(b.Assets.WorkerFirstRoutes) > 0 {
			m.Assets.Config.WorkerFirst = b.Assets.WorkerFirstRoutes
		}
	}
	return m
}

// bindings has the variables in name order. The database's binding wins over a variable of that name, which is
// somebody's default for local development.
func bindings(r preview.Resource, b *preview.Bundle, database preview.Secret) []binding {
	list := []binding{}
	text := func(kind, name, value string) { list = append(list, binding{Type: kind, Name: name, Text: &value}) }
	if len(b.Modules) == 0 { // static files alone have no environment
		return list
	}
	for _, name := range slices.Sorted(maps.Keys(b.Vars)) {
		if name != b.DatabaseBinding {
			text("plain_text", name, b.Vars[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(b.JSONVars)) {
		if name != b.DatabaseBinding {
			list = append(list, binding{Type: "json", Name: name, JSON: json.RawMessage(b.JSONVars[name])})
		}
	}
	if b.Assets != nil && b.Assets.Binding != "" {
		list = append(list, binding{Type: "assets", Name: b.Assets.Binding})
	}
	for _, name := range slices.Sorted(maps.Keys(b.Services)) {
		list = append(list, binding{Type: "service", Name: name, Service: r.Sibling(b.Services[name])})
	}
	for _, to := range b.Bindings {
		if one, ok := accountBinding(to); ok {
			list = append(list, one)
		}
	}
	if b.DatabaseBinding != "" {
		text("secret_text", b.DatabaseBinding, database.Reveal())
	}
	return list
}

// encode makes the form of an upload: metadata, and modules in parts of these names.
func encode(m any, modules []preview.Module, part func(module string) string) (*form, error) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode metadata: %w", err)
	}
	err = addPart(w, metadataPart, "", "application/json", text)
	for _, module := range modules {
		if err == nil {
			err = addPart(w, part(partName(module.Name)), partName(module.Name), partType(module.Type), module.Content)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encode upload: %w", err)
	}
	return &form{contentType: w.FormDataContentType(), content: body.Bytes()}, nil
}

// addPart adds a part whose name needs no escapes.
func addPart(w *multipart.Writer, name, fileName, contentType string, content []byte) error {
	disposition := `form-data; name="` + name + `"`
	if fileName != "" {
		disposition += `; filename="` + fileName + `"`
	}
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}, "Content-Type": {contentType}})
	if err == nil {
		_, err = part.Write(content)
	}
	return err
}
