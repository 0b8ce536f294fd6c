package cloudflare

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
)

// defaultDate is the compatibility date of an upload that names none.
const defaultDate = "2021-11-02"

// metadata is the part of an upload that describes the others.
type metadata struct {
	MainModule   string            `json:"main_module"`
	BodyPart     string            `json:"body_part"`
	Bindings     []binding         `json:"bindings"`
	KeepBindings []string          `json:"keep_bindings"`
	Date         string            `json:"compatibility_date"`
	Flags        []string          `json:"compatibility_flags"`
	Tags         []string          `json:"tags"` // nil: as they were
	Annotations  map[string]string `json:"annotations"`
	KeepAssets   bool              `json:"keep_assets"`
	Assets       *assetsWish       `json:"assets"`
}

// assetsWish are the static files of an upload: the token of their session, and how they are served.
type assetsWish struct {
	JWT    string      `json:"jwt"`
	Config assetConfig `json:"config"`
}

// binding is something that a script finds in its environment.
type binding struct {
	Type    string          `json:"type"`
	Name    string          `json:"name"`
	Text    string          `json:"text,omitempty"`
	JSON    json.RawMessage `json:"json,omitempty"`
	Service string          `json:"service,omitempty"`
	thingID
}

// thingID is what a thing of the account is known by, in a field that goes by the kind.
type thingID struct {
	Namespace string `json:"namespace_id,omitempty"`
	ID        string `json:"id,omitempty"`
	Bucket    string `json:"bucket_name,omitempty"`
	Queue     string `json:"queue_name,omitempty"`
	Index     string `json:"index_name,omitempty"`
	Dataset   string `json:"dataset,omitempty"`
}

// public is a binding as the API shows it: the text of a secret never leaves.
func (b binding) public() binding {
	if b.Type == bindingSecret {
		b.Text = ""
	}
	return b
}

// The types of binding that the stand-in can make.
const (
	bindingText    = "plain_text"
	bindingJSON    = "json"
	bindingSecret  = "secret_text"
	bindingService = "service"
	bindingAssets  = "assets"
	bindingInherit = "inherit"
)

// module is one file of a script.
type module struct {
	name    string
	field   string // of it in workerd's configuration
	content []byte
}

// moduleField is how workerd calls a module of a content type; empty: it is none.
func moduleField(contentType string) (field string, err error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return "", err
	}
	switch media {
	case "application/javascript+module", "text/javascript+module":
		return "esModule", nil
	case "text/plain":
		return "text", nil
	case "application/octet-stream":
		return "data", nil
	case "application/wasm":
		return "wasm", nil
	case "application/source-map":
		return "", nil
	}
	return "", errors.New("unexpected content type")
}

// upload is a decoded multipart form.
type upload struct {
	metadata metadata
	modules  []module
}

func readUpload(r *http.Request) (upload, error) {
	bad := func(format string, args ...any) (upload, error) {
		return upload{}, fail(http.StatusBadRequest, codeUpload, format, args...)
	}
	reader, err := r.MultipartReader()
	if err != nil {
		return bad("The upload is no multipart form.")
	}
	u, err := readParts(reader)
	if err != nil {
		return u, err
	}
	return u, u.check()
}

// readParts reads the metadata and the modules, which are not checked yet.
func readParts(reader *multipart.Reader) (upload, error) {
	bad := func(format string, args ...any) (upload, error) {
		return upload{}, fail(http.StatusBadRequest, codeUpload, format, args...)
	}
	var u upload
	described := false
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bad("The multipart form can't be read.")
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return bad("The multipart form can't be read.")
		}
		if part.FormName() == "metadata" {
			described = true
			if err := json.Unmarshal(content, &u.metadata); err != nil {
				return bad("The metadata can't be parsed: %v", err)
			}
			continue
		}
		field, err := moduleField(part.Header.Get("Content-Type"))
		if err != nil {
			return bad("Uncaught Error: Unexpected Content-Type %q for module %q.", part.Header.Get("Content-Type"), part.FormName())
		}
		if field != "" {
			u.modules = append(u.modules, module{name: part.FormName(), field: field, content: content})
		}
	}
	if !described {
		return bad("Form part 'metadata' is missing.")
	}
	return u, nil
}

// check is what can be said of an upload without knowing the account.
func (u *upload) check() error {
	bad := func(format string, args ...any) error {
		return fail(http.StatusBadRequest, codeUpload, format, args...)
	}
	m := &u.metadata
	at := slices.IndexFunc(u.modules, func(m module) bool { return m.name == u.metadata.MainModule && m.field == "esModule" })
	switch {
	case m.BodyPart != "":
		return bad("The stand-in runs ES modules only.")
	case at < 0 && (len(u.modules) > 0 || m.MainModule != "" || m.Assets == nil && !m.KeepAssets):
		return bad("No such module %q among the parts.", m.MainModule)
	case len(m.Tags) > 8:
		return bad("A Worker has at most 8 tags.")
	case slices.ContainsFunc(m.Tags, func(tag string) bool { return tag == "" || strings.ContainsAny(tag, ",&") }):
		return bad("A tag is empty or has a character that tags can't have.")
	}
	if at > 0 { // workerd takes the first one to be the main module
		u.modules[0], u.modules[at] = u.modules[at], u.modules[0]
	}
	if m.Date == "" {
		m.Date = defaultDate
	}
	names := map[string]bool{}
	for i, b := range m.Bindings {
		if b.Name == "" || names[b.Name] {
			return bad("The binding name %q is empty or is used twice.", b.Name)
		}
		names[b.Name] = true
		if b.Type == bindingJSON {
			var compact bytes.Buffer
			if err := json.Compact(&compact, b.JSON); err != nil {
				return bad("The value of binding %q is not JSON.", b.Name)
			}
			m.Bindings[i].JSON = compact.Bytes()
		}
		if !slices.Contains([]string{bindingText, bindingJSON, bindingSecret, bindingService, bindingAssets, bindingInherit}, b.Type) && !isThing(b.Type) {
			return bad("The stand-in has nothing to bind %q of type %s to.", b.Name, b.Type)
		}
	}
	return nil
}

// bindings are those of the upload with what it takes over from the version before, which may be nil.
func (u upload) bindings(before *version) ([]binding, error) {
	var list []binding
	named := map[string]bool{}
	old := map[string]binding{}
	if before != nil {
		for _, b := range before.bindings {
			old[b.Name] = b
		}
	}
	for _, b := range u.metadata.Bindings {
		named[b.Name] = true
		if b.Type == bindingInherit {
			inherited, ok := old[b.Name]
			if !ok {
				return nil, fail(http.StatusBadRequest, codeUpload, "There is no binding %q to inherit.", b.Name)
			}
			b = inherited
		}
		list = append(list, b)
	}
	if before != nil {
		for _, b := range before.bindings {
			if !named[b.Name] && slices.Contains(u.metadata.KeepBindings, b.Type) {
				list = append(list, b)
			}
		}
	}
	return list, nil
}
