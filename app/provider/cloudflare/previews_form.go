package cloudflare

import "github.com/flaresmith/flaresmith/app/preview"

// previewMetadata describes a deployment of a preview. What it does not name must not exist afterwards.
type previewMetadata struct {
	MainModule  string             `json:"main_module,omitempty"`
	Date        string             `json:"compatibility_date"`
	Flags       []string           `json:"compatibility_flags"`
	Env         map[string]binding `json:"env"`
	Annotations map[string]string  `json:"annotations,omitempty"`
	Assets      *assets            `json:"assets,omitempty"`
}

// describePreview makes the metadata of a checked bundle; token is that of its static files.
func describePreview(r preview.Resource, in preview.Inputs, token string) previewMetadata {
	m := describe(r, in.Bundle, in.Outputs.DatabaseURL, token)
	p := previewMetadata{MainModule: m.MainModule, Date: m.Date, Flags: m.Flags, Env: map[string]binding{}, Assets: m.Assets}
	for _, b := range m.Bindings {
		name := b.Name
		b.Name = "" // it is the key
		p.Env[name] = b
	}
	if r.SHA != "" {
		p.Annotations = map[string]string{"workers/commit_sha": r.SHA, "workers/message": "commit " + r.SHA}
	}
	return p
}

// encodePreview makes the form of a deployment: every module is a part "files" that goes by its file name.
func encodePreview(m previewMetadata, modules []preview.Module) (*form, error) {
	return encode(m, modules, func(string) string { return "files" })
}
