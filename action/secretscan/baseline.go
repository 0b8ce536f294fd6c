package secretscan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

const maxBaseline = 64 << 20

// readBaseline reads an earlier report, as WriteJSON wrote it: what it holds is known.
func readBaseline(name string) (map[string]bool, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("the baseline: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxBaseline+1))
	if err != nil {
		return nil, fmt.Errorf("the baseline: %w", err)
	}
	var report Report
	if len(text) > maxBaseline || json.Unmarshal(text, &report) != nil || report.Findings == nil {
		return nil, errors.New("the baseline is no report of this program") // what is in it may be anything, and is not repeated
	}
	known := map[string]bool{}
	for _, f := range report.Findings {
		known[f.Rule+f.Fingerprint] = true
	}
	return known, nil
}

// withoutKnown drops what a baseline has, wherever it is now.
func withoutKnown(found []Finding, known map[string]bool, note func(string)) []Finding {
	kept := found[:0]
	for _, f := range found {
		if !known[f.Rule+f.Fingerprint] {
			kept = append(kept, f)
		}
	}
	if n := len(found) - len(kept); n > 0 {
		note(fmt.Sprintf("%d findings of the baseline are left out", n))
	}
	return kept
}
