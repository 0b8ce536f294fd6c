package ir

import (
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// CRUDError is an error's answer, as the contract has it.
type CRUDError struct {
	Status  int
	Range   bool // the contract has it for all of its hundred
	Media   string
	Members []ErrorMember // nil where there is no body
}

// ErrorMember is a member of an error's body. Kind is title, status, code, text, type, path, time, list or object,
// which has Members.
type ErrorMember struct {
	Name, Kind string
	Code       string // of kind code and text: what is said
	Members    []ErrorMember
}

// errors finds how the contract answers that there is no such row, that a row clashes with others, and that a row
// can't be. Where the contract has no body for one of them, the app answers as it does elsewhere.
func (f *crudFinder) errors(c *CRUD, _ *[]string) error {
	codes := []struct {
		status int
		code   string
		into   **CRUDError
	}{{404, "NOT_FOUND", &c.Missing}, {409, "CONFLICT", &c.Clash}, {422, "INVALID", &c.Invalid}, {400, "BAD_REQUEST", &c.Invalid}}
	for _, one := range codes {
		r := c.declared(one.status)
		if r == nil || *one.into != nil {
			continue
		}
		made := &CRUDError{Status: one.status, Range: isRange(r.Status)}
		if len(r.Media) > 0 {
			at := slices.IndexFunc(r.Media, Media.JSON)
			if at < 0 || r.Media[at].Schema == nil {
				continue
			}
			made.Media = r.Media[at].Type
			body, why := object(r.Media[at].Schema)
			if why != "" {
				return refuse("the body of %d is %s", one.status, why)
			}
			members, missing := errorMembers(body, one.status, one.code)
			if missing != "" {
				return refuse("nothing says what %s of the body of %d is", missing, one.status)
			}
			made.Members = members
		}
		*one.into = made
	}
	return nil
}

func isRange(status string) bool { return strings.HasSuffix(strings.ToUpper(status), "XX") }

// declared is the response of a status, or of its range.
func (o *Operation) declared(status int) *Response {
	for _, wanted := range []string{strconv.Itoa(status), strconv.Itoa(status/100) + "XX"} {
		for i := range o.Responses {
			if strings.EqualFold(o.Responses[i].Status, wanted) {
				return &o.Responses[i]
			}
		}
	}
	return nil
}

// errorMembers fills the members of an error's body that it must have, and a text if it has none else. It returns
// the name of one that it can't fill.
func errorMembers(body *Schema, status int, code string) ([]ErrorMember, string) {
	var all []ErrorMember
	for _, p := range body.Properties {
		s := p.Schema.Deref()
		m := ErrorMember{Name: p.Name}
		text := s.Types == String && s.Enum == nil
		switch {
		case word(p.Name, "status", "statuscode") && s.Types&(Integer|Number) != 0:
			m.Kind = "status"
		case s.Types == Integer && word(p.Name, "code"):
			m.Kind = "status"
		case s.Enum != nil && (s.Types == String || s.Types == 0):
			m.Kind, m.Code = "code", errorCode(s.Enum, code)
		case text && word(p.Name, "code", "errorcode"):
			m.Kind, m.Code = "code", code
		case text && word(p.Name, "title", "message", "error", "detail", "reason", "description"):
			m.Kind = "title"
		case text && word(p.Name, "type"):
			m.Kind, m.Code = "code", "about:blank"
		case text && s.Format == "date-time" && word(p.Name, "timestamp", "time"):
			m.Kind = "time"
		case text && word(p.Name, "path", "instance"):
			m.Kind = "path"
		case s.Types == Array && (s.MinItems == "" || s.MinItems == "0"):
			m.Kind = "list"
		case s.Types == Object || s.Types == 0 && len(s.Properties) > 0:
			inner, missing := errorMembers(s, status, code)
			if missing != "" && p.Required {
				return nil, p.Name + "." + missing
			}
			m.Kind, m.Members = "object", inner
		}
		switch {
		case p.Required && (m.Kind == "" || m.Kind == "code" && m.Code == ""):
			return nil, p.Name
		case p.Required || m.Kind == "title" && !slices.ContainsFunc(all, func(o ErrorMember) bool { return o.Kind == "title" }):
			all = append(all, m)
		}
	}
	return all, ""
}

// errorCode is the value of a list that means a code, or empty.
func errorCode(values []*spec.Node, code string) string {
	for _, v := range values {
		if v.Kind == spec.String && spec.Key(v.Text) == spec.Key(code) {
			return v.Text
		}
	}
	return ""
}
