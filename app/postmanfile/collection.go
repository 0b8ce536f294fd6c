package postmanfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

// collection checks a collection and fills in the ids that it lacks. The content of one that lacks none is
// passed on byte for byte.
func collection(s source, own uuid.UUID) (Collection, *preview.Problem) {
	object, problem := decode(s)
	if problem != nil {
		return Collection{}, problem
	}
	complain := func(hint, format string, args ...any) (Collection, *preview.Problem) {
		return Collection{}, &preview.Problem{Path: s.path, Message: fmt.Sprintf(format, args...), Hint: hint}
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
		return Collection{Path: s.path, Content: s.raw, Object: object}, nil
	}
	content, err := encode(object)
	if err != nil {
		return complain("", "It can't be written again.")
	}
	return Collection{Path: s.path, Content: content, Object: object}, nil
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
