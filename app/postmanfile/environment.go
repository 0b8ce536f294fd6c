package postmanfile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Variable is one value of an environment.
type Variable struct {
	Key     string `json:"key"`
	Value   string `json:"value"`
	Type    string `json:"type"`
	Enabled bool   `json:"enabled"`
}

// addresses are where the preview's Workers answer: baseUrl is the first one, adminUrl the one called
// admin. There is no slash at their ends, so that "{{baseUrl}}/path" is right.
func addresses(out preview.Outputs) []Variable {
	address := func(key, url string) Variable {
		return Variable{Key: key, Value: strings.TrimRight(url, "/"), Type: "default", Enabled: true}
	}
	values := []Variable{address(baseURL, out.URL)}
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

// variables are those of the preview's environment: its addresses, and the template's other values.
func variables(in preview.Inputs, template source) ([]Variable, *preview.Problem) {
	values := addresses(in.Outputs)
	if template.path == "" {
		return values, nil
	}
	more, problem := templateValues(template, values, in.Redact)
	return append(values, more...), problem
}

// EnvironmentFile is the environment of a name as a file that Postman reads.
func EnvironmentFile(name string, values []Variable) ([]byte, error) {
	return encode(struct {
		ID     string     `json:"id"`
		Name   string     `json:"name"`
		Values []Variable `json:"values"`
		Scope  string     `json:"_postman_variable_scope"`
	}{uuid.NewSHA1(uuid.NameSpaceURL, []byte(name+EnvironmentSuffix)).String(), name, values, "environment"})
}

// templateValues takes keys and plain values over, but for those that are set. A secret, by its type or
// because its value is a known one, keeps its key only.
func templateValues(template source, set []Variable, redact []preview.Secret) ([]Variable, *preview.Problem) {
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
	var values []Variable
	for n, entry := range list {
		fields, ok := entry.(map[string]any)
		key, named := fields["key"].(string)
		if !ok || !named || key == "" {
			return nil, &preview.Problem{Path: template.path, Message: fmt.Sprintf(`Value %d has no "key".`, n+1)}
		}
		if slices.ContainsFunc(set, func(v Variable) bool { return v.Key == key }) {
			continue
		}
		v := Variable{Key: key, Type: "default", Enabled: true}
		if fields["type"] == "secret" {
			v.Type = "secret"
		} else if text, ok := fields["value"].(string); ok && !SecretIn(text, redact) {
			v.Value = text
		}
		if enabled, ok := fields["enabled"].(bool); ok {
			v.Enabled = enabled
		}
		values = append(values, v)
	}
	return values, nil
}

// SecretIn reports whether a text holds one of the known secrets.
func SecretIn(text string, secrets []preview.Secret) bool {
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret.Reveal()) {
			return true
		}
	}
	return false
}
