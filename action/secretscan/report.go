package secretscan

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// WriteText prints findings for a person, one a line in the form that editors and terminals link.
func WriteText(w io.Writer, found []Finding) error {
	for _, f := range found {
		where := fmt.Sprintf("%s:%d:%d: %s (%s): %s", printable(f.Path), f.Line, f.Column, f.Rule, f.Tier, f.Description)
		if f.First != nil {
			where += fmt.Sprintf(" First in %.10s by %s on %s.", f.First.ID, printable(f.First.Author), f.First.Date.Format("2006-01-02"))
		}
		if _, err := fmt.Fprintf(w, "%s [%s]\n", where, f.Fingerprint); err != nil {
			return err
		}
	}
	counts := map[Tier]int{}
	for _, f := range found {
		counts[f.Tier]++
	}
	_, err := fmt.Fprintf(w, "%d certain, %d likely, %d generic\n", counts[Certain], counts[Likely], counts[Generic])
	return err
}

// printable keeps what a file or a person is called from steering a terminal.
func printable(name string) string {
	for _, r := range name {
		if !strconv.IsPrint(r) {
			quoted := strconv.Quote(name)
			return quoted[1 : len(quoted)-1]
		}
	}
	return name
}

// WriteJSON writes findings as one JSON object.
func WriteJSON(w io.Writer, found []Finding) error {
	if found == nil {
		found = []Finding{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Findings []Finding `json:"findings"`
	}{found})
}
