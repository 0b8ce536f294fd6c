package postman

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/flaresmith/flaresmith/app/postmanfile"
	"github.com/flaresmith/flaresmith/app/preview"
)

const schema = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"

// What InvalidError says of them all.
const invalid = "the Postman files can't be used"

// build makes one collection of a repository's: a folder for each file, so that what one file holds stays where it is when
// others come and go. It is nil when there are no files. The files' objects become its own.
func build(r preview.Resource, in preview.Inputs, files []postmanfile.Collection) (object, error) {
	if len(files) == 0 {
		return nil, nil //nolint:nilnil // no files, no collection: a JSON object that is not there
	}
	c := collector{strip: !r.Keep, seen: map[string]setting{}}
	folders := make([]any, 0, len(files))
	for _, file := range files {
		if holdsSecret(file.Object, in.Redact) {
			c.problems = append(c.problems, preview.Problem{Path: file.Path, Message: "It holds a secret of this environment.", Hint: "Use a variable without a value."})
			continue
		}
		folders = append(folders, c.folder(file))
	}
	if len(c.problems) > 0 {
		return nil, &preview.InvalidError{What: invalid, Problems: c.problems}
	}
	body := object{"info": object{"name": r.Name, "schema": schema, "description": describe(r.Mark)}, "item": folders}
	if len(c.variables) > 0 {
		body["variable"] = c.variables
	}
	return body, nil
}

// holdsSecret looks for known secrets in every text of a JSON value.
func holdsSecret(value any, secrets []preview.Secret) bool {
	switch v := value.(type) {
	case string:
		return postmanfile.SecretIn(v, secrets)
	case []any:
		return slices.ContainsFunc(v, func(one any) bool { return holdsSecret(one, secrets) })
	case object:
		for key, one := range v {
			if postmanfile.SecretIn(key, secrets) || holdsSecret(one, secrets) {
				return true
			}
		}
	}
	return false
}

// collector gathers what is the collection's and not a folder's.
type collector struct {
	strip     bool // of what runs or is used unseen
	variables []any
	seen      map[string]setting // by the key of a variable
	problems  []preview.Problem
}

// setting is the file that set a variable first, and the value.
type setting struct {
	path  string
	value any
}

// folder is one file as a folder: with its own authorization and, where they stay, scripts.
func (c *collector) folder(file postmanfile.Collection) object {
	info, _ := file.Object["info"].(object)
	folder := object{"name": info["name"], "item": file.Object["item"]}
	if description := info["description"]; description != nil {
		folder["description"] = description
	}
	for _, member := range []string{"auth", "event", "protocolProfileBehavior"} {
		if value := file.Object[member]; value != nil {
			folder[member] = value
		}
	}
	c.clean(folder)
	list, _ := file.Object["variable"].([]any)
	for _, entry := range list {
		c.variable(file, entry)
	}
	return folder
}

// variable takes over a collection's variable: Postman has none of folders.
func (c *collector) variable(file postmanfile.Collection, entry any) {
	fields, _ := entry.(object)
	key, _ := fields["key"].(string)
	if key == "" {
		return
	}
	if first, taken := c.seen[key]; taken {
		if !reflect.DeepEqual(first.value, fields["value"]) {
			c.problems = append(c.problems, preview.Problem{Path: file.Path, Message: fmt.Sprintf("The variable %.80q is in %s with another value.", key, first.path),
				Hint: "All files become one collection: give it another name, or the same value."})
		}
		return
	}
	c.seen[key] = setting{file.Path, fields["value"]}
	v := object{"key": key, "value": fields["value"]}
	if fields["type"] == "secret" {
		v["type"], v["value"] = "secret", ""
	}
	if disabled, ok := fields["disabled"].(bool); ok && disabled {
		v["disabled"] = true
	}
	c.variables = append(c.variables, v)
}

// clean takes out ids, which are of another collection, and what must not get to Postman.
func (c *collector) clean(item object) {
	for _, id := range []string{"id", "uid", "_postman_id"} {
		delete(item, id)
	}
	if c.strip {
		delete(item, "event")
		if request, ok := item["request"].(object); ok {
			delete(request, "proxy")
			delete(request, "certificate")
		}
	}
	events, _ := item["event"].([]any)
	for _, entry := range events {
		if event, ok := entry.(object); ok {
			delete(event, "id")
			if script, ok := event["script"].(object); ok {
				delete(script, "id")
			}
		}
	}
	for _, children := range [][]object{objects(item["item"]), objects(item["response"])} {
		for _, child := range children {
			c.clean(child)
		}
	}
}

func objects(list any) []object {
	var all []object
	entries, _ := list.([]any)
	for _, entry := range entries {
		if child, ok := entry.(object); ok {
			all = append(all, child)
		}
	}
	return all
}

// keepIDs gives a wanted collection the ids of the one that is there.
func keepIDs(wanted, there object) {
	old, _ := there["info"].(object)
	if info, ok := wanted["info"].(object); ok && old["_postman_id"] != nil {
		info["_postman_id"] = old["_postman_id"]
	}
	keepItemIDs(wanted, there)
}

// label is what tells siblings apart.
type label struct {
	name   string
	folder bool
}

func labelOf(item object) label {
	name, _ := item["name"].(string)
	_, folder := item["item"].([]any)
	return label{name, folder}
}

// keepItemIDs gives wanted items the ids of those that are there. Among siblings the one of the same kind and name is the
// same item, twins in their order; and where one alone is left on both sides, it was renamed.
func keepItemIDs(wanted, there object) {
	for _, member := range []string{"item", "response"} {
		old := objects(there[member])
		places := map[label][]int{}
		for i, item := range old {
			places[labelOf(item)] = append(places[labelOf(item)], i)
		}
		var fresh []object
		for _, item := range objects(wanted[member]) {
			twins := places[labelOf(item)]
			if len(twins) == 0 {
				fresh = append(fresh, item)
				continue
			}
			same(item, old[twins[0]])
			places[labelOf(item)] = twins[1:]
		}
		left := slices.Concat(slices.Collect(maps.Values(places))...)
		if len(fresh) == 1 && len(left) == 1 && labelOf(fresh[0]).folder == labelOf(old[left[0]]).folder {
			same(fresh[0], old[left[0]])
		}
	}
}

func same(item, old object) {
	if id, ok := old["id"].(string); ok && id != "" {
		item["id"] = id
	}
	keepItemIDs(item, old)
}
