package drift

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// fields tells of fields that are gone or may be missing, that requests need now, and whose types changed.
func (c *comparison) fields() {
	for _, name := range c.removed(FieldPromise) {
		parent := c.old.parent(name)
		if fieldGone := c.old.has(FieldPromise, parent) && !c.next.has(FieldPromise, parent); required(c.old, FieldPromise, name) && !fieldGone {
			c.add(FieldPromise, name, "Clients rely on this field: keep it, marked as deprecated, until none reads it, or offer a new version of the operations that carry it.")
		}
	}
	for _, name := range c.added(FieldPromise) {
		parent := c.next.parent(name)
		known := c.old.has(SchemaPromise, parent) || c.old.has(FieldPromise, parent) && c.old[FieldPromise][parent] != ""
		if known && required(c.next, FieldPromise, name) && c.sent(name) {
			c.add(FieldPromise, name, "Requests without this field are refused now. Give it a default and make it required when every client sends it, or offer a new version of the operations.")
		}
	}
	for _, name := range c.kept(FieldPromise) {
		c.field(name)
	}
}

func (c *comparison) field(name string) {
	was, is := c.old[FieldPromise][name], c.next[FieldPromise][name]
	before, now := required(c.old, FieldPromise, name), required(c.next, FieldPromise, name)
	var notes []string
	if before && !now && c.read(name) {
		notes = append(notes, "It may be missing now, and clients rely on it: send it until none does, or offer a new version of the operations that carry it.")
	}
	if was != "" {
		if now && !before && c.sent(name) {
			notes = append(notes, "Requests without it are refused now: give it a default, and make it required when every client sends it.")
		}
		if note := c.types(strings.TrimSuffix(was, RequiredFact), strings.TrimSuffix(is, RequiredFact), c.sent(name), c.read(name)); note != "" {
			notes = append(notes, note)
		}
	}
	if len(notes) > 0 {
		c.add(FieldPromise, name, strings.Join(notes, " "))
	}
}

// types tells what other types mean: requests may be refused, and answers may not be understood.
func (c *comparison) types(was, is string, sent, read bool) string {
	refused, strange := sent && !covers(is, was), read && !covers(was, is)
	if !refused && !strange {
		return ""
	}
	who := map[bool]string{true: "clients send what is refused now", false: "clients get what they don't know"}[refused]
	if refused && strange {
		who = "clients send what is refused now, and get what they don't know"
	}
	return fmt.Sprintf("It was %s, and is %s: %s. Add a field of another name beside it, or offer a new version of the operations.", said(was), said(is), who)
}

func said(types string) string {
	if types == "" {
		return "nothing"
	}
	return strings.ReplaceAll(types, "|", " or ")
}

// required tells whether a field has to be there. Older manifests list no others.
func required(p Promises, kind, name string) bool {
	fact, there := p[kind][name]
	return there && (fact == "" || strings.HasSuffix(fact, RequiredFact))
}

// parent is what a field belongs to: a schema, or another field.
func (p Promises) parent(name string) string {
	if list, found := strings.CutSuffix(name, ItemsOf); found {
		return list
	}
	for at := len(name); ; {
		if at = strings.LastIndexByte(name[:at], '.'); at < 0 {
			return ""
		}
		if parent := name[:at]; p.has(FieldPromise, parent) || p.has(SchemaPromise, parent) {
			return parent // the name of a field may have a dot
		}
	}
}

// sent and read tell whether a field is part of requests, and of responses. What no operation uses may be both.
func (c *comparison) sent(name string) bool { return c.directed(name, InRequests) }
func (c *comparison) read(name string) bool { return c.directed(name, InResponses) }

func (c *comparison) directed(name, direction string) bool {
	for range strings.Count(name, ".") + strings.Count(name, ItemsOf) {
		name = c.next.parent(name)
	}
	uses, known := c.next[SchemaPromise][name]
	return !known || uses == "" || slices.Contains(strings.Fields(uses), direction)
}

// parameters tells of parameters that requests need now, and of other types.
func (c *comparison) parameters() {
	for _, name := range c.added(ParameterPromise) {
		if c.old[OperationPromise][operationOf(name)] != "" && required(c.next, ParameterPromise, name) {
			c.add(ParameterPromise, name, "Requests without this new parameter are refused. Make it optional, and required when every client sends it.")
		}
	}
	for _, name := range c.kept(ParameterPromise) {
		was, is := c.old[ParameterPromise][name], c.next[ParameterPromise][name]
		var notes []string
		if required(c.next, ParameterPromise, name) && !required(c.old, ParameterPromise, name) {
			notes = append(notes, "Requests without it are refused now: make it required when every client sends it.")
		}
		if note := c.types(strings.TrimSuffix(was, RequiredFact), strings.TrimSuffix(is, RequiredFact), true, false); note != "" {
			notes = append(notes, note)
		}
		if len(notes) > 0 {
			c.add(ParameterPromise, name, strings.Join(notes, " "))
		}
	}
}

// operationOf is the operation of a parameter: GET /products of GET /products query limit.
func operationOf(name string) string {
	parts := strings.SplitN(name, " ", 3)
	return strings.Join(parts[:min(2, len(parts))], " ")
}

// values tells of values that clients can't choose any more.
func (c *comparison) values() {
	choices := c.next.choices(ValuePromise)
	for _, name := range c.removed(ValuePromise) {
		if owner, _ := chosen(name); choices[owner] {
			c.add(ValuePromise, name, "Clients send this value, and data may hold it: take it, marked as deprecated in the description, until neither does.")
		}
	}
}

// operations tells of operations that are gone, or answer elsewhere.
func (c *comparison) operations() {
	moved := map[string]string{}
	for _, name := range c.added(OperationPromise) {
		if id := c.next[OperationPromise][name]; id != "" {
			moved[id] = name
		}
	}
	for _, name := range c.removed(OperationPromise) {
		to, found := moved[c.old[OperationPromise][name]]
		switch {
		case !found:
			c.add(OperationPromise, name, "Clients call this operation: keep it, marked as deprecated, until none does, and answer 410 Gone after that.")
		case nameless(name) == nameless(to): // a parameter of the path has another name, which clients don't see
		default:
			c.add(OperationPromise, name, fmt.Sprintf("The operation %s is %s now. Clients call the old one: keep it beside the new one, marked as deprecated, or answer 308 with the new address, until none does.", c.old[OperationPromise][name], to))
		}
	}
}

var pathParameter = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\{[^{}]*\}`) })

func nameless(operation string) string { return pathParameter().ReplaceAllString(operation, "{}") }
