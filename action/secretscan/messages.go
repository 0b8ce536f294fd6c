package secretscan

import (
	"context"
	"errors"
	"fmt"
)

// messages are the findings in messages of commits, which a log tells from new to old: the same secret in several is
// one finding, placed where it was first.
type messages struct {
	request  Request
	size     int // of an id
	searcher *searcher
	found    []Finding
	first    []oid // of found: the oldest commit
	last     []oid
	at       map[string]int
	faults   []error
}

// scan scans a commit's message.
func (m *messages) scan(c logged) {
	if m.searcher == nil {
		m.size, m.searcher, m.at = c.size, m.request.searcher(), map[string]int{}
	}
	text := "the message of commit " + c.id.text(m.size)[:10]
	if !c.whole {
		m.request.Note(fmt.Sprintf("%s is larger than %d MiB and was scanned up to there", text, maxToken>>20))
	}
	some, err := m.searcher.file(text, c.message, []string{""})
	if err != nil {
		m.faults = append(m.faults, err)
	}
	for _, f := range some {
		f.Path, f.Text = "", text
		key := f.Rule + f.Fingerprint
		if i, ok := m.at[key]; !ok && m.request.more.fullScan(len(m.found)) {
			m.request.more.count(f.Tier)
		} else if !ok {
			m.at[key] = len(m.found)
			m.found, m.first, m.last = append(m.found, f), append(m.first, c.id), append(m.last, c.id)
		} else if m.first[i] != c.id {
			m.found[i], m.first[i] = f, c.id
		}
	}
}

// findings are those of all messages, with their commits.
func (m *messages) findings(ctx context.Context, dir string) ([]Finding, error) {
	err := attribute(ctx, dir, m.found, func(i int) (first, last string) { return m.first[i].text(m.size), m.last[i].text(m.size) })
	return m.found, errors.Join(append(m.faults, err)...)
}
