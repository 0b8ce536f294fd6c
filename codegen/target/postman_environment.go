package target

import (
	"regexp"
	"slices"
	"sync"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

//nolint:gochecknoglobals // a constant table
var environmentServers = sync.OnceValue(func() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"dev":     regexp.MustCompile(`(?i)\b(dev|develop|development|local|localhost)\b|127\.0\.0\.1`),
		"staging": regexp.MustCompile(`(?i)\b(staging|stage|test|qa|sandbox)\b`),
		"prod":    regexp.MustCompile(`(?i)\b(prod|production|live)\b`),
	}
})

// PostmanEnvironment writes an environment for all collections of the models, behind the first member: the
// address, and keys without values for what must not be in a file. Which of the documents' servers is meant is
// told by its words; inferred tells that none says so.
func PostmanEnvironment(name string, models []*ir.Model) (content []byte, inferred bool, err error) {
	defer complete(&err)
	address, found := environmentServer(name, models)
	s := &jsonSchema{}
	s.indent, s.first = 1, []bool{false}
	s.text(`  "id": `)
	s.quote(uuid.NewSHA1(uuid.NameSpaceURL, []byte("flaresmith/environment/"+name)).String())
	s.member("name").quote(name)
	s.member("values").open("[")
	s.item().text(`{ "key": "baseUrl", "value": `)
	s.quote(address)
	s.text(`, "type": "default", "enabled": true }`)
	var known []string
	for _, m := range models {
		for _, key := range authVariables(m) {
			if slices.Contains(known, key) {
				continue
			}
			known = append(known, key)
			s.item().text(`{ "key": `)
			s.quote(key)
			s.text(`, "value": "", "type": "secret", "enabled": true }`)
		}
	}
	s.shut("]")
	s.member("_postman_variable_scope").text(`"environment"`)
	s.text("\n}\n")
	return s.out, !found, nil
}

// environmentServer finds the address of an environment: the first server that is called so. For prod, one that
// is called nothing else will do; dev is this machine.
func environmentServer(name string, models []*ir.Model) (address string, found bool) {
	fits := environmentServers()[name]
	if fits == nil {
		fits = regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(name) + `\b`)
	}
	var rest string
	for _, m := range models {
		for _, server := range m.Document.Servers {
			words := server.URL + " " + server.Description
			if fits.MatchString(words) {
				return absolute(server.URL), true
			}
			other := false
			for _, known := range environmentServers() {
				other = other || known.MatchString(words)
			}
			if rest == "" && !other {
				rest = server.URL
			}
		}
	}
	switch {
	case name == "prod" && rest != "":
		return absolute(rest), false
	case name == "dev":
		return localURL, false
	}
	return "", false
}
