package secretscan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"
)

// fault is what is left of a panic in a matcher: where it was, and nothing that it said, because that
// may hold a value.
type fault struct {
	name string // of the file or object
	site string
}

func (f *fault) Error() string {
	return fmt.Sprintf("%s was not scanned: a fault at %s", f.name, f.site)
}

// site names the code that panicked, for a deferred function that recovers.
func site() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, "secretscan.") {
			return fmt.Sprintf("%s:%d", path.Base(frame.File), frame.Line)
		}
		if !more {
			return "an unknown place"
		}
	}
}

// file finds the secrets of a file. name is what errors call it.
func (s *searcher) file(name string, raw []byte, paths []string) ([]Finding, error) {
	return s.part(name, raw, nil, paths)
}

// part finds the secrets in the regions of a file; none stand for all of it. Files that are not searched as
// they are, like archives, are always searched whole.
func (s *searcher) part(name string, raw []byte, regions []span, paths []string) (found []Finding, err error) {
	s.again = false
	defer func() {
		if recover() != nil {
			s.touched = nil
			for i := range s.windows {
				s.windows[i] = nil
			}
			s.again = true
			found, err = nil, &fault{s.shown(name), site()}
		}
	}()
	for p := range piecesOf(raw) {
		if len(p.text) == 0 {
			continue
		}
		if &p.text[0] != &raw[0] {
			regions, s.again = nil, true
		}
		if regions == nil {
			regions = everything(p.text)
		}
		for _, m := range s.matches(p.text, regions, paths) {
			for _, place := range m.places {
				f := s.seal(&m.match, p.text, inside(paths[place], p.name))
				f.place = place
				found = append(found, f)
			}
		}
	}
	return append(found, s.byPath(paths)...), nil
}

// shown is a path as it may be printed: a secret in it is hidden.
func (s *searcher) shown(path string) string {
	parts := []byte(strings.NewReplacer("/", "\n", "!", "\n").Replace(path))
	for _, m := range s.search(parts, everything(parts), nil) {
		path = veil(path, m.secret)
	}
	return path
}

func inside(path, name string) string {
	if name == "" {
		return path
	}
	return path + "!" + name
}

// placed is a match with the paths for which it counts, by index.
type placed struct {
	match
	places []int
}

// matches are the secrets in the regions of a text, after everything that may allow them.
func (s *searcher) matches(text []byte, regions []span, paths []string) []placed {
	list := s.search(text, regions, paths)
	for i := range list {
		list[i].line = lineAround(text, list[i].from, list[i].to)
	}
	list = append(list, s.searchDecoded(text, regions, paths, maxDepth)...)
	s.again = s.again || len(list) > 0
	var kept []placed
	for i := range list {
		m := &list[i]
		if isShadowed(m, list) || slices.ContainsFunc(list[:i], m.repeats(text)) {
			continue
		}
		if !s.strict && allowedInline(lineAround(text, m.from, m.to), m.rule.id) {
			continue
		}
		var places []int
		for place, path := range paths {
			if !s.allowsPath(path) && m.countsIn(path) {
				places = append(places, place)
			}
		}
		if len(places) > 0 {
			kept = append(kept, placed{*m, places})
		}
	}
	return kept
}

// repeats tells matches of which this one is the same again, perhaps seen through an encoding beside it.
func (m *match) repeats(text []byte) func(match) bool {
	return func(o match) bool {
		if o.rule != m.rule {
			return false
		}
		near := m.decoded != "" && bytes.Equal(o.secret, m.secret) && bytes.IndexByte(text[min(o.from, m.from):max(o.from, m.from)], '\n') < 0
		return near || o.from == m.from && o.to == m.to
	}
}

// countsIn reports whether a match is one in a file of this path.
func (m *match) countsIn(path string) bool {
	if m.rule.path != nil && !m.rule.path.matches(path) {
		return false
	}
	for i := range m.rule.allow {
		if a := &m.rule.allow[i]; a.allowsPath(path) || a.allowsAt(m, path) {
			return false
		}
	}
	return true
}

// isShadowed reports whether a generic match is part of what a more exact rule found on the same line.
func isShadowed(m *match, all []match) bool {
	if m.grade() != Generic {
		return false
	}
	return slices.ContainsFunc(all, func(o match) bool {
		return o.grade() != Generic && o.from < m.to+len(m.line) && m.from < o.to+len(m.line) && bytes.Contains(o.secret, m.secret)
	})
}

func (m *match) grade() Tier {
	if m.tier != "" {
		return m.tier
	}
	return m.rule.tier
}

// byPath finds files that are secrets by their name.
func (s *searcher) byPath(paths []string) []Finding {
	var found []Finding
	for i := range s.rules {
		r := &s.rules[i]
		if r.expr != nil || r.path == nil {
			continue
		}
		for place, path := range paths {
			if r.path.matches(path) && !s.allowsPath(path) {
				found = append(found, Finding{
					Rule: r.id, Description: r.about, Tier: r.tier, Path: s.shown(path), Line: 1, Column: 1, EndLine: 1, EndColumn: 1,
					Fingerprint: fingerprint(r.id, []byte(path)), place: place,
				})
			}
		}
	}
	return found
}

// seal turns a match into a finding: from here on the value is gone.
func (s *searcher) seal(m *match, text []byte, path string) Finding {
	f := Finding{Rule: m.rule.id, Description: m.rule.about, Tier: m.grade(), Path: s.shown(veil(path, m.secret)), Decoded: m.decoded}
	f.Line, f.Column = position(text, m.from)
	f.EndLine, f.EndColumn = position(text, m.to)
	f.Fingerprint = fingerprintOf(m)
	return f
}

// position counts lines and characters from 1.
func position(text []byte, at int) (line, column int) {
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	return bytes.Count(text[:start], []byte("\n")) + 1, utf8.RuneCount(text[start:at]) + 1
}

// veil hides a value in a path that holds it, or a piece of a value that looks random.
func veil(path string, secret []byte) string {
	path = strings.ReplaceAll(path, string(secret), "***")
	const piece = 8
	if !isRandom(secret) {
		return path
	}
	for from := 0; from+piece <= len(path); from++ {
		to := from + piece
		if !bytes.Contains(secret, []byte(path[from:to])) {
			continue
		}
		for to < len(path) && bytes.Contains(secret, []byte(path[from:to+1])) {
			to++
		}
		path = path[:from] + "***" + path[to:]
	}
	return path
}

// isRandom reports whether a value can't be found by trying.
func isRandom(secret []byte) bool { return len(secret) >= 20 && entropyOf(secret) >= 3.5 }

// fingerprintOf names a secret so that it is known again after a rebase, a move or a change around it,
// and so that nobody can find the value by trying: a long random value is hashed, anything else is known
// by its rule and the line without it.
func fingerprintOf(m *match) string {
	if isRandom(m.secret) {
		return fingerprint(m.rule.id, m.secret)
	}
	masked := bytes.ReplaceAll(m.line, m.secret, []byte{0})
	return fingerprint(m.rule.id, bytes.TrimSpace(masked))
}

func fingerprint(rule string, what []byte) string {
	sum := sha256.Sum256(append([]byte(rule+"\x00"), what...))
	return hex.EncodeToString(sum[:16])
}
