package spec

import (
	"strings"
)

// Requirement is one line of a spec.md with an id, and the lines that belong to it.
type Requirement struct {
	ID   string // FR-001, SC-001, FR-MP-001
	Line int
	Text string
}

var (
	requirementLine = lazily(`^\s*[-*]\s+(?:\*\*)?((?:FR|SC)-(?:[A-Z]+-)?\d+)(?:\*\*)?\s*:(?:\*\*)?\s*(.*)$`)
	endsRequirement = lazily(`^(#|[-*]\s)`)
)

// maxMarkdown is the largest spec.md that is read.
const maxMarkdown = 4 << 20

// Requirements reads the requirements of a spec.md, in bold or not. A list or heading of the outer level
// ends one. An id that is given twice is a note; the first counts.
func Requirements(file string, data []byte) ([]Requirement, Problems) {
	if len(data) > maxMarkdown {
		return nil, Problems{{File: file, Line: 1, Column: 1, Message: "the file is larger than 4 MB and was not read for requirements"}}
	}
	var all []Requirement
	var notes Problems
	seen := map[string]bool{}
	open := false
	line := 0
	for text := range strings.Lines(string(data)) {
		line++
		text = strings.TrimRight(text, "\r\n")
		switch m := requirementLine.FindStringSubmatch(text); {
		case m != nil && seen[m[1]]:
			notes = append(notes, Problem{File: file, Line: line, Column: 1, Message: m[1] + " is there twice; the first counts"})
			open = false
		case m != nil:
			seen[m[1]] = true
			all = append(all, Requirement{ID: m[1], Line: line, Text: m[2]})
			open = true
		case endsRequirement.MatchString(text):
			open = false
		case open:
			all[len(all)-1].Text += "\n" + text
		}
	}
	return all, notes
}

// KeyEntity is an entity that a spec.md names under "Key Entities".
type KeyEntity struct {
	Place
	Name string // without blanks: Secret Mapping is SecretMapping
	Doc  string
}

var keyEntity = lazily(`^[-*]\s+\*\*([A-Za-z][A-Za-z0-9 _-]*)\*\*\s*:?\s*(.*)$`)

// KeyEntities reads the list "Key Entities" of a spec.md: names in bold, with a description.
func KeyEntities(data []byte) []KeyEntity {
	if len(data) > maxMarkdown {
		return nil
	}
	var all []KeyEntity
	within := false
	line := 0
	for text := range strings.Lines(string(data)) {
		line++
		text = strings.TrimRight(text, " \r\n")
		if strings.HasPrefix(text, "#") {
			within = strings.Contains(strings.ToLower(text), "key entities")
			continue
		}
		if m := keyEntity.FindStringSubmatch(text); within && m != nil {
			all = append(all, KeyEntity{Place{line, 1}, strings.ReplaceAll(m[1], " ", ""), m[2]})
		}
	}
	return all
}
