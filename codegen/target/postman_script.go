package target

import (
	"maps"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/ir"
)

// tests writes the script that runs after a request, a line each: the status is one of success that the
// contract has, the body is as its schema says, and what later requests need is kept.
func (p *postman) tests(r *request) []string {
	lines := []string{statusTest(r)}
	schemas := p.bodySchemas(r)
	switch {
	case len(schemas) == 1:
		lines = append(lines,
			"const schema = "+schemas[0].schema+";",
			`if (`+schemas[0].when+`) pm.test("The body is as the contract says", () => pm.response.to.have.jsonSchema(schema, { unknownFormats: "ignore" }));`)
	case len(schemas) > 1:
		lines = append(lines, "const schemas = [")
		for _, s := range schemas {
			lines = append(lines, "  ["+s.when+", "+s.schema+"],")
		}
		lines = append(lines, "];", "const found = schemas.find(([fits]) => fits);",
			`if (found) pm.test("The body is as the contract says", () => pm.response.to.have.jsonSchema(found[1], { unknownFormats: "ignore" }));`)
	}
	for _, key := range slices.Sorted(maps.Keys(r.sets)) {
		member := quotedText(r.sets[key])
		lines = append(lines, "if (pm.response.code < 300) pm.collectionVariables.set("+quotedText(key)+", String(pm.response.json()["+member+"]));")
	}
	return lines
}

func quotedText(s string) string { return string(quoted(s)) }

func statusTest(r *request) string {
	var codes []string
	ranges := ""
	for _, a := range r.Responses {
		switch {
		case !a.Success():
		case strings.HasSuffix(strings.ToUpper(a.Status), "XX"):
			ranges += " || Math.floor(pm.response.code / 100) === " + a.Status[:1]
		default:
			codes = append(codes, a.Status)
		}
	}
	list := strings.Join(codes, ", ")
	switch {
	case len(codes) == 0 && ranges == "":
		return `pm.test("The status is no error", () => pm.expect(pm.response.code).to.be.below(400));`
	case ranges != "":
		return `pm.test("The status is one of success", () => pm.expect([` + list + `].includes(pm.response.code)` + ranges + `).to.equal(true));`
	case len(codes) == 1:
		return `pm.test("The status is ` + list + `", () => pm.response.to.have.status(` + list + `));`
	}
	return `pm.test("The status is one of ` + list + `", () => pm.expect(pm.response.code).to.be.oneOf([` + list + `]));`
}

type bodySchema struct{ when, schema string }

// bodySchemas are the schemas of the answers that tests expect, and when each counts.
func (p *postman) bodySchemas(r *request) []bodySchema {
	var list []bodySchema
	for _, a := range r.Responses {
		at := slices.IndexFunc(a.Media, ir.Media.JSON)
		if !a.Success() || at < 0 || a.Media[at].Schema == nil || !r.WrittenOut(a.Media[at].Schema) {
			continue
		}
		when := "pm.response.code === " + a.Status
		if strings.HasSuffix(strings.ToUpper(a.Status), "XX") {
			when = "Math.floor(pm.response.code / 100) === " + a.Status[:1]
		}
		s := &jsonSchema{writer: writer{out: p.scratch[:0]}, compact: true, plainPatterns: true}
		s.root(responseSchema(a.Media[at].Schema, nil))
		p.scratch = s.out
		list = append(list, bodySchema{when, string(s.out)})
	}
	return list
}
