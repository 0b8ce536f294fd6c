package target

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
	"github.com/flaresmith/flaresmith/codegen/spec"
)

func (p *postman) variable(key, value string) {
	if p.known == nil {
		p.known = map[string]bool{}
	}
	if !p.known[key] {
		p.known[key], p.variables = true, append(p.variables, variable{key, value})
	}
}

// pathVariables names the variables that fill a path: projectId for the id of /projects/{id}.
func (p *postman) pathVariables(r *request) {
	before := ""
	for _, s := range r.Segments() {
		for _, name := range s.Params() {
			key := camel(name)
			if before != "" && (key == "id" || key == "uuid" || key == "slug" || key == "name" || key == "key") {
				key = camel(ir.Singular(before) + " " + name)
			}
			value := "1"
			if q := r.parameter(name); q != nil {
				value = p.hold(p.parameterText(q))
				if q.Schema.Deref().Enum != nil { // a choice, not the name of a thing
					r.fixed[name] = value
					continue
				}
			}
			r.paths[name] = key
			p.variable(key, value)
		}
		if s.Param == "" && !s.Mixed {
			before = s.Text
		}
	}
}

// parameter finds a parameter of the path.
func (r *request) parameter(name string) *ir.Parameter {
	for i := range r.Parameters {
		if q := &r.Parameters[i]; q.In == "path" && q.Name == name {
			return q
		}
	}
	return nil
}

// pathValue is what stands for a path parameter: a variable, or a fixed value.
func (r *request) pathValue(name string) string {
	if key, ok := r.paths[name]; ok {
		return "{{" + key + "}}"
	}
	return r.fixed[name]
}

func camel(name string) string {
	name = ir.Pascal(name)
	return strings.ToLower(name[:1]) + name[1:]
}

// collection is the path of what a POST adds to.
func collection(r *request) string { return strings.TrimSuffix(r.Path, "/") }

// belowCollections lists the requests whose paths have a parameter right behind that of a POST, by the latter.
func (p *postman) belowCollections(all []*request) map[string][]*request {
	below := map[string][]*request{}
	for _, r := range all {
		if r.Method == http.MethodPost {
			below[collection(r)] = nil
		}
	}
	for _, r := range all {
		p.goOn()
		for at := range r.Path {
			if strings.HasPrefix(r.Path[at:], "/{") {
				if list, found := below[r.Path[:at]]; found {
					below[r.Path[:at]] = append(list, r)
				}
			}
		}
	}
	return below
}

// creates finds what a POST to a collection makes: the variable of the paths one segment below, out of the
// answer's member of that name, or its id.
func (p *postman) creates(r *request, below []*request) {
	if r.Result == nil {
		return
	}
	prefix := collection(r) + "/{"
	for _, other := range below {
		p.goOn()
		name, _, _ := strings.Cut(strings.TrimPrefix(other.Path, prefix), "}")
		key := other.paths[name]
		for _, member := range []string{name, "id"} {
			if _, known := r.sets[key]; !known && key != "" && hasScalar(r.Result, member) {
				r.sets[key] = member
			}
		}
	}
}

// hasScalar tells whether an object always has a member that a path can hold.
func hasScalar(s *ir.Schema, name string) bool {
	return holdsScalar(s, name, map[*ir.Schema]bool{})
}

// holdsScalar asks each schema once: very many ways of allOf may lead to the same one.
func holdsScalar(s *ir.Schema, name string, asked map[*ir.Schema]bool) bool {
	target := s.Deref()
	if asked[target] {
		return false
	}
	asked[target] = true
	for i := range target.Properties {
		if p := &target.Properties[i]; p.Name == name {
			return p.Schema.Accepts()&^(ir.String|ir.Integer|ir.Number) == 0
		}
	}
	return slices.ContainsFunc(target.All, func(branch *ir.Schema) bool { return holdsScalar(branch, name, asked) })
}

// maxBorne bounds the members of a body that name what other requests make.
const maxBorne = 100

// refers finds the members that a JSON body must have and that are named like a variable which another request
// sets: customerId of an order. A row that refers to nothing would not be taken. A body that requests share is looked at once.
func (p *postman) refers(all []*request) {
	setters := map[string]int{}
	for _, r := range all {
		for key, member := range r.sets {
			if member != "" {
				setters[key]++
			}
		}
	}
	bodies := map[*ir.Schema]map[string]string{}
	for _, r := range all {
		if p.goOn(); r.Body == nil || len(setters) == 0 {
			continue
		}
		target := r.Body.Deref()
		found, known := bodies[target]
		if !known {
			found = named(target, setters)
			bodies[target] = found
		}
		r.bears = found
		for name, key := range found {
			if r.sets[key] != "" && setters[key] == 1 { // no other does
				r.bears = maps.Clone(r.bears)
				delete(r.bears, name)
			}
		}
	}
}

func named(s *ir.Schema, setters map[string]int) map[string]string {
	found := map[string]string{}
	for i := range s.Properties {
		p := &s.Properties[i]
		if !p.Required || p.Schema.Accepts()&^(ir.String|ir.Integer|ir.Number) != 0 {
			continue
		}
		if key := camel(p.Name); setters[key] > 0 && len(found) < maxBorne {
			found[p.Name] = key
		}
	}
	return found
}

// referring puts variables into a body's sample.
func (r *request) referring(sample *spec.Node) *spec.Node {
	if len(r.bears) == 0 || !sample.Is(spec.Object) {
		return sample
	}
	copied := *sample
	copied.Children = slices.Clone(sample.Children)
	for i := range copied.Children {
		if child := &copied.Children[i]; r.bears[child.Key] != "" && (child.Kind == spec.String || child.Kind == spec.Number) {
			child.Text = "{{" + r.bears[child.Key] + "}}"
		}
	}
	return &copied
}
