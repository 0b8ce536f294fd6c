package collection

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	schemaVersion = "/v2.1.0/"
	maxItems      = 20_000
	maxDepth      = 50 // of folders
	baseURL       = "baseUrl"
)

// decode reads one JSON object. Numbers stay as they are written.
func decode(s source) (map[string]any, *preview.Problem) {
	raw := bytes.TrimPrefix(s.raw, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(raw) {
		return nil, &preview.Problem{Path: s.path, Message: "It is not UTF-8 text."}
	}
	// Unmarshal checks the whole text first, and knows where it is wrong.
	var check json.RawMessage
	if err := json.Unmarshal(raw, &check); err != nil {
		problem := &preview.Problem{Path: s.path, Message: "It is not valid JSON: " + err.Error() + "."}
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			problem.Line, problem.Column = position(raw, syntax.Offset)
		}
		return nil, problem
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, &preview.Problem{Path: s.path, Message: "It is not valid JSON: " + err.Error() + "."}
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, &preview.Problem{Path: s.path, Line: 1, Message: "It is not a JSON object."}
	}
	return object, nil
}

// position is the line and column, from 1, of the byte that ends at offset.
func position(raw []byte, offset int64) (line, column int) {
	before := raw[:max(0, min(int(offset)-1, len(raw)))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1
}

// encode writes as Postman does: tabs, and no HTML escapes.
func encode(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "\t")
	err := encoder.Encode(value)
	return b.Bytes(), err
}

// collectionFile checks a collection and fills in the ids that it lacks. One that lacks none is
// passed on byte for byte.
func collectionFile(s source, own uuid.UUID) ([]byte, *preview.Problem) {
	object, problem := decode(s)
	if problem != nil {
		return nil, problem
	}
	complain := func(hint, format string, args ...any) ([]byte, *preview.Problem) {
		return nil, &preview.Problem{Path: s.path, Message: fmt.Sprintf(format, args...), Hint: hint}
	}
	const export = "Export the collection from Postman as v2.1."
	info, ok := object["info"].(map[string]any)
	if !ok {
		return complain(export, `It is not a Postman collection: "info" is missing.`)
	}
	if name, ok := info["name"].(string); !ok || name == "" {
		return complain(export, `"info.name" is missing.`)
	}
	if schema, ok := info["schema"].(string); !ok || !strings.Contains(schema, schemaVersion) {
		return complain(export, `"info.schema" is not that of v2.1.0: %q.`, clip(schema))
	}
	items, ok := object["item"].([]any)
	if !ok {
		return complain(export, `"item" is not a list.`)
	}
	filler := filler{}
	if id, ok := info["_postman_id"].(string); !ok || id == "" {
		info["_postman_id"] = own.String()
		filler.changed = true
	}
	if err := filler.fill(items, own, 0); err != nil {
		return complain(export, "%s", err.Error())
	}
	if !filler.changed {
		return s.raw, nil
	}
	content, err := encode(object)
	if err != nil {
		return complain("", "It can't be written again.")
	}
	return content, nil
}

// filler gives items ids that depend on their names and folders only: an item keeps its id when
// others come, go or change places.
type filler struct {
	count   int
	changed bool
}

func (f *filler) fill(items []any, parent uuid.UUID, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("its folders are nested more than %d deep", maxDepth)
	}
	twins := map[string]int{}
	for n, value := range items {
		item, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("item %d of a list is not an object", n+1)
		}
		if f.count++; f.count > maxItems {
			return fmt.Errorf("it has more than %d items", maxItems)
		}
		name, _ := item["name"].(string)
		twins[name]++
		own := uuid.NewSHA1(parent, fmt.Appendf(nil, "%d/%s", twins[name], name))
		if id, ok := item["id"].(string); !ok || id == "" {
			item["id"] = own.String()
			f.changed = true
		}
		switch children := item["item"].(type) {
		case nil:
			switch item["request"].(type) {
			case map[string]any, string:
			default:
				return fmt.Errorf("item %q has neither a request nor items", clip(name))
			}
		case []any:
			if err := f.fill(children, own, depth+1); err != nil {
				return err
			}
		default:
			return fmt.Errorf(`"item" of folder %q is not a list`, clip(name))
		}
	}
	return nil
}

// variable is one value of an environment.
type variable struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Type    string `json:"type"`
	Enabled bool   `json:"enabled"`
}

// addresses are where the preview's Workers answer: baseUrl is the first one, adminUrl the one called
// admin. There is no slash at their ends, so that "{{baseUrl}}/path" is right.
func addresses(out preview.Outputs) []variable {
	address := func(key, url string) variable {
		return variable{Key: key, Value: strings.TrimRight(url, "/"), Type: "default", Enabled: true}
	}
	values := []variable{address(baseURL, out.URL)}
	for _, w := range out.Workers {
		if w.URL != out.URL {
			values = append(values, address(camelCase(w.Name)+"Url", w.URL))
		}
	}
	return values
}

// camelCase is backOffice for back-office.
func camelCase(name string) string {
	parts := strings.Split(name, "-")
	for i, part := range parts[1:] {
		if part != "" {
			parts[i+1] = strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return strings.Join(parts, "")
}

// environmentFile is the preview's environment: its addresses, and the template's other values.
func environmentFile(name string, in preview.Inputs, template source) ([]byte, *preview.Problem) {
	values := addresses(in.Outputs)
	if template.path != "" {
		more, problem := templateValues(template, values, in.Redact)
		if problem != nil {
			return nil, problem
		}
		values = append(values, more...)
	}
	content, err := encode(struct {
		ID     string     `json:"id"`
		Name   string     `json:"name"`
		Values []variable `json:"values"`
		Scope  string     `json:"_postman_variable_scope"`
	}{uuid.NewSHA1(uuid.NameSpaceURL, []byte(name+environmentSuffix)).String(), name, values, "environment"})
	if err != nil {
		return nil, &preview.Problem{Path: template.path, Message: "It can't be written again."}
	}
	return content, nil
}

// templateValues takes keys and plain values over, but for those that are set. A secret, by its type or
// because its value is a known one, keeps its key only.
func templateValues(template source, set []variable, redact []preview.Secret) ([]variable, *preview.Problem) {
	object, problem := decode(template)
	if problem != nil {
		return nil, problem
	}
	list, ok := object["values"].([]any)
	if !ok {
		return nil, &preview.Problem{Path: template.path, Message: `It is not a Postman environment: "values" is not a list.`}
	}
	if len(list) > maxItems {
		return nil, &preview.Problem{Path: template.path, Message: fmt.Sprintf("It has more than %d values.", maxItems)}
	}
	var values []variable
	for n, entry := range list {
		fields, ok := entry.(map[string]any)
		key, named := fields["key"].(string)
		if !ok || !named || key == "" {
			return nil, &preview.Problem{Path: template.path, Message: fmt.Sprintf(`Value %d has no "key".`, n+1)}
		}
		if slices.ContainsFunc(set, func(v variable) bool { return v.Key == key }) {
			continue
		}
		v := variable{Key: key, Type: "default", Enabled: true}
		if fields["type"] == "secret" {
			v.Type = "secret"
		} else if text, ok := fields["value"].(string); ok && !secretIn(text, redact) {
			v.Value = text
		}
		if enabled, ok := fields["enabled"].(bool); ok {
			v.Enabled = enabled
		}
		values = append(values, v)
	}
	return values, nil
}

func secretIn(text string, secrets []preview.Secret) bool {
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret.Reveal()) {
			return true
		}
	}
	return false
}
