package secretscan

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/maphash"
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
	s.again, s.kept, s.called = false, 0, name
	defer s.recovered(&found, &err)
	if isPointer(raw) && s.more != nil && !slices.Contains(paths, "") { // a message is no file
		s.more.pointers.Add(1)
	}
	left := eachPiece(raw, func(p piece) {
		if len(p.text) == 0 {
			return
		}
		if &p.text[0] != &raw[0] {
			regions, s.again = nil, true
		}
		if regions == nil {
			regions = everything(p.text)
		}
		list := s.matches(p.text, regions, paths)
		s.hide(list)
		found = append(found, s.sealed(list, p, paths)...)
	})
	if left != "" && s.note != nil {
		s.note(fmt.Sprintf("%s is an archive of which not everything was scanned: %s", s.shown(s.called), left))
	}
	return append(found, s.byPath(paths)...), nil
}

// hide takes what was found in a file out of what it is called: a note may tell of it.
func (s *searcher) hide(list []placed) {
	for i := range list {
		s.called = veil(s.called, list[i].secret)
	}
}

// recovered makes an error of a panic, when it is deferred.
func (s *searcher) recovered(found *[]Finding, err *error) {
	if recover() != nil {
		s.touched = nil
		for i := range s.windows {
			s.windows[i] = nil
		}
		s.again = true
		*found, *err = nil, &fault{s.shown(s.called), site()}
	}
}

// Shown is text of unknown origin, such as the name of a branch or what Git says about it, as it may be printed: a
// secret in it is hidden.
func Shown(text string) string { return newSearcher(defaultMatcher()).shown(text) }

// shown is a path as it may be printed: a secret in it is hidden.
func (s *searcher) shown(path string) string {
	parts := []byte(strings.NewReplacer("/", "\n", "!", "\n").Replace(path))
	for _, m := range s.search(parts, everything(parts), nil) {
		path = veil(path, m.secret)
	}
	for _, m := range s.searchDecoded(parts, everything(parts), nil, maxDepth) {
		path = veil(path, parts[m.from:m.to])
	}
	return path
}

// inside is the path of what is in an archive. Either may be empty.
func inside(path, name string) string {
	if path == "" || name == "" {
		return path + name
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
		list[i].line = lineAround(text, list[i].from, list[i].to, maxBeside)
	}
	list = append(list, s.searchDecoded(text, regions, paths, maxDepth)...)
	if len(list) == 0 {
		return nil
	}
	s.again = true
	counting := newCounting(paths, s.allowsPath)
	others := others{at: &cursor{text: text}, seen: map[sameMatch]bool{}, generic: map[sameMatch][]*match{}}
	others.note(list)
	allowances := !s.strict && bytes.Contains(text, []byte(allowMark))
	var kept []placed
	for i := range list {
		m := &list[i]
		if others.repeat(m) || others.shadow(m) || others.namesake(m, counting.everywhere) {
			continue
		}
		if allowances && allowedInline(lineAround(text, m.from, m.to, maxComment), m.rule.id) {
			continue
		}
		places := counting.places(m)
		if len(places) > 0 {
			kept = append(kept, placed{*m, places})
		}
	}
	return kept
}

// others are the matches of a text, among which one may be there already.
type others struct {
	at      *cursor
	seen    map[sameMatch]bool
	exact   []*match               // that are not generic, in order
	longest int                    // of these
	generic map[sameMatch][]*match // by place and secret, one of a rule
}

// sameMatch is what two matches have in common that are one: their secret, and its place or line. Different secrets
// that are decoded from one part are in one place.
type sameMatch struct {
	rule     *rule
	from, to int
	secret   string
	line     int
}

// placeOf is what a match has in common with those of other rules.
func placeOf(m *match) sameMatch { return sameMatch{from: m.from, to: m.to, secret: string(m.secret)} }

func (o *others) note(list []match) {
	for i := range list {
		if m := &list[i]; m.grade() != Generic {
			o.exact, o.longest = append(o.exact, m), max(o.longest, m.to-m.from)
		} else if place := placeOf(m); !slices.ContainsFunc(o.generic[place], func(e *match) bool { return e.rule == m.rule }) {
			o.generic[place] = append(o.generic[place], m)
		}
	}
	slices.SortFunc(o.exact, func(a, b *match) int { return a.from - b.from })
}

// repeat reports whether a match is the same as one that was asked about before, perhaps seen through an encoding
// beside it.
func (o *others) repeat(m *match) bool {
	line, _ := o.at.move(m.from)
	place, value := placeOf(m), sameMatch{rule: m.rule, secret: string(m.secret), line: line}
	place.rule = m.rule
	again := o.seen[place] || m.decoded != "" && o.seen[value]
	o.seen[place], o.seen[value] = true, true
	return again
}

// shadow reports whether a generic match is part of what a more exact rule found near it.
func (o *others) shadow(m *match) bool {
	if m.grade() != Generic {
		return false
	}
	first, _ := slices.BinarySearchFunc(o.exact, m.from-len(m.line)-o.longest, func(e *match, from int) int { return e.from - from })
	for _, e := range o.exact[first:] {
		if e.from >= m.to+len(m.line) {
			break
		}
		if m.from < e.to+len(m.line) && bytes.Contains(e.secret, m.secret) {
			return true
		}
	}
	return false
}

// namesake reports whether a generic match is the same value as one of a rule that says more of it, and that counts.
func (o *others) namesake(m *match, counts func(*match) bool) bool {
	return m.grade() == Generic && slices.ContainsFunc(o.generic[placeOf(m)], func(e *match) bool { return e.saysMore(m) && counts(e) })
}

// saysMore reports whether another rule than a match's is surer of the same value, or as sure while it looks at less
// beside it.
func (m *match) saysMore(than *match) bool {
	return cmp.Or(m.rule.tier.weight()-than.rule.tier.weight(), len(than.whole)-len(m.whole), strings.Compare(than.rule.id, m.rule.id)) > 0
}

// counting tells in which files of a text a match counts. What the path alone says is asked once of each rule: a text may be in
// thousands of files, and have thousands of matches.
type counting struct {
	paths  []string
	open   []int // paths where anything is reported
	byRule map[*rule][]int
}

func newCounting(paths []string, closed func(path string) bool) *counting {
	c := &counting{paths: paths, byRule: map[*rule][]int{}}
	for place, path := range paths {
		if !closed(path) {
			c.open = append(c.open, place)
		}
	}
	return c
}

// places lists the paths by index, in order. The list is not the caller's own.
func (c *counting) places(m *match) []int {
	list, known := c.byRule[m.rule]
	if !known {
		for _, place := range c.open {
			if m.rule.isFor(c.paths[place]) {
				list = append(list, place)
			}
		}
		c.byRule[m.rule] = list
	}
	for i := range m.rule.allow {
		a := &m.rule.allow[i]
		if !a.allowsBeside(m) {
			continue
		}
		if !a.all || a.paths == nil {
			return nil
		}
		list = slices.DeleteFunc(slices.Clone(list), func(place int) bool { return c.paths[place] != "" && a.paths.matches(c.paths[place]) })
	}
	return list
}

// everywhere reports whether a match counts in all of them where anything does.
func (c *counting) everywhere(m *match) bool { return len(c.places(m)) == len(c.open) }

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
				if !s.keeps(r.tier) {
					continue
				}
				found = append(found, Finding{
					Rule: r.id, Description: r.about, Tier: r.tier, Path: s.shown(path), Line: 1, Column: 1, EndLine: 1, EndColumn: 1,
					Fingerprint: fingerprint(r.id, []byte(path)), place: place,
				})
			}
		}
	}
	return found
}

// sealed turns matches into findings: from here on the values are gone. None of them is in a path, also not of another
// finding of the same text.
func (s *searcher) sealed(list []placed, p piece, paths []string) (found []Finding) {
	// One would go back and forth where many are in one place, decoded from a long part.
	if len(list) == 0 {
		return nil
	}
	start, end := &cursor{text: p.text}, &cursor{text: p.text}
	if s.more.fullFile(len(list)) { // the surest are kept
		slices.SortStableFunc(list, func(a, b placed) int { return cmp.Or(b.grade().weight()-a.grade().weight(), a.from-b.from) })
	}
	names := make([]string, len(paths))
	for place, path := range paths {
		names[place] = inside(path, p.name)
	}
	hidden := inNames(list, names)
	var made []Finding // by match, as far as any are kept
	for place, path := range names {
		shown := false
		for i := range list {
			m := &list[i]
			if len(m.places) == 0 || m.places[0] != place {
				continue
			}
			if s.more.fullFile(s.kept) {
				s.leave(list)
				return found
			}
			s.kept++
			m.places = m.places[1:]
			if !shown {
				for _, secret := range hidden {
					path = veil(path, secret)
				}
				path, shown = s.shown(path), true
			}
			for len(made) <= i {
				made = append(made, list[len(made)].finding(start, end))
			}
			f := made[i]
			f.Path, f.place = path, place
			found = append(found, f)
		}
	}
	return found
}

// fewVeils are done as they are, and maxPieces is how many places in names are kept.
const fewVeils, maxPieces = 1 << 12, 1 << 24

// inNames gives the secrets of a text that veil may hide in the names of its files, in order. It is mostly none, and a text with
// thousands may be in thousands of files.
func inNames(list []placed, names []string) (secrets [][]byte) {
	all := []byte(strings.Join(names, "\n"))
	if len(list)*len(names) < fewVeils || len(all) > maxPieces {
		for i := range list {
			secrets = append(secrets, list[i].secret)
		}
		return secrets
	}
	var pieces []uint64
	for from := 0; from+pieceSize <= len(all); from++ {
		pieces = append(pieces, binary.LittleEndian.Uint64(all[from:]))
	}
	slices.Sort(pieces)
	pieces = slices.Compact(pieces)
	begins := func(text []byte) bool { // whether what begins so may be in a name
		if len(text) < pieceSize {
			return bytes.Contains(all, text)
		}
		_, ok := slices.BinarySearch(pieces, binary.LittleEndian.Uint64(text))
		return ok
	}
	for i := range list {
		secret := list[i].secret
		hexDigits := hex.AppendEncode(nil, secret[:min(len(secret), pieceSize/2)])
		in := bytes.IndexByte(secret, '*') >= 0 || // of which a part may be there when others are hidden
			begins(secret) || begins(hexDigits) || begins(bytes.ToUpper(hexDigits)) ||
			begins(base64.RawURLEncoding.AppendEncode(nil, secret[:min(len(secret), pieceSize/4*3)])) ||
			begins(base64.RawStdEncoding.AppendEncode(nil, secret[:min(len(secret), pieceSize/4*3)]))
		for from := 1; !in && from+pieceSize <= len(secret); from++ {
			in = begins(secret[from:]) && isRandom(secret)
		}
		if in {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}

// valueSeed is the key of Finding.value, which nobody learns.
//
//nolint:gochecknoglobals // never written to
var valueSeed = maphash.MakeSeed()

// finding is a match without its place in a file.
func (m *match) finding(start, end *cursor) Finding {
	f := Finding{Rule: m.rule.id, Description: m.rule.about, Tier: m.grade(), Decoded: m.decoded, Fingerprint: fingerprintOf(m), value: maphash.Bytes(valueSeed, unix(m.secret))}
	f.Line, f.Column = start.move(m.from)
	f.EndLine, f.EndColumn = end.move(m.to)
	return f
}

// leave counts what is not kept, of matches in the places that they still have.
func (s *searcher) leave(list []placed) {
	for i := range list {
		s.more.add(list[i].grade(), len(list[i].places))
	}
}

// keeps reports whether one finding more of a file is kept, and counts it if not.
func (s *searcher) keeps(t Tier) bool {
	if s.more.fullFile(s.kept) {
		s.more.count(t)
		return false
	}
	s.kept++
	return true
}

// cursor counts lines and characters of a text, from where it was last.
type cursor struct {
	text     []byte
	at, line int
	start    int // of the line
	column   int
}

// move goes to a place and gives its line and column, which count from 1.
func (c *cursor) move(to int) (line, column int) {
	between, sign := c.text[min(c.at, to):max(c.at, to)], 1
	if to < c.at {
		sign = -1
	}
	if n := bytes.Count(between, []byte("\n")); n > 0 {
		c.line += sign * n
		c.start = bytes.LastIndexByte(c.text[:to], '\n') + 1
		c.column = utf8.RuneCount(c.text[c.start:to])
	} else {
		c.column += sign * utf8.RuneCount(between)
	}
	c.at = to
	return c.line + 1, c.column + 1
}

// pieceSize is how much of a value is hidden.
const pieceSize = 8

// veil hides a value in a path that holds it, as it is or encoded, or a piece of a value that looks random. Mostly it does
// not, for each of the secrets of a text.
func veil(path string, secret []byte) string {
	value := string(secret)
	path = strings.ReplaceAll(path, value, "***")
	if 2*len(value) <= len(path) {
		digits := hex.EncodeToString(secret)
		path = strings.ReplaceAll(strings.ReplaceAll(path, digits, "***"), strings.ToUpper(digits), "***")
	}
	if base64.RawURLEncoding.EncodedLen(len(value)) <= len(path) {
		encoded := base64.RawURLEncoding.EncodeToString(secret)
		path = strings.ReplaceAll(path, encoded, "***")
		path = strings.ReplaceAll(path, base64.RawStdEncoding.EncodeToString(secret), "***")
	}
	for from := 0; from+pieceSize <= len(path); from++ {
		to := from + pieceSize
		if !strings.Contains(value, path[from:to]) {
			continue
		}
		if !isRandom(secret) {
			return path
		}
		for to < len(path) && strings.Contains(value, path[from:to+1]) {
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
// by its rule and the line without it. Lines end as in Git's objects: in a working tree on Windows they may end
// otherwise.
func fingerprintOf(m *match) string {
	if isRandom(m.secret) {
		return fingerprint(m.rule.id, unix(m.secret))
	}
	masked := bytes.ReplaceAll(m.line, m.secret, []byte{0})
	return fingerprint(m.rule.id, unix(bytes.TrimSpace(masked)))
}

func unix(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")) }

func fingerprint(rule string, what []byte) string {
	sum := sha256.Sum256(append([]byte(rule+"\x00"), what...))
	return hex.EncodeToString(sum[:16])
}
