package secretscan

import (
	"bytes"
	"hash/maphash"
	"unicode/utf8"
)

// searcher is one worker's view of the matcher: its memory is reused from text to text.
type searcher struct {
	*matcher
	seed    maphash.Seed
	barren  map[uint64]struct{} // windows in which a rule found nothing; histories repeat themselves
	windows [][]span            // by rule
	touched []int               // rules that have windows
	gated   []bool              // rules whose gate word was seen
	off     []int8              // by rule: 0 not known, 1 on for this path, -1 off
	strict  bool                // comments that allow a finding do not count
	again   bool                // what is built from the last text by a delta has to be searched whole
}

type span struct{ from, to int }

// maxBarren bounds the memory of windows, about 24 bytes each.
const maxBarren = 1 << 19

func newSearcher(m *matcher) *searcher {
	return &searcher{
		matcher: m, seed: maphash.MakeSeed(), barren: map[uint64]struct{}{},
		windows: make([][]span, len(m.rules)), gated: make([]bool, len(m.rules)), off: make([]int8, len(m.rules)),
	}
}

// everything is all of a text as regions.
func everything(text []byte) []span { return []span{{0, len(text)}} }

// search finds what the rules match around literals within the regions of a text. paths are those of
// the file; without any, rules for certain paths do not apply.
func (s *searcher) search(text []byte, regions []span, paths []string) []match {
	clear(s.gated)
	clear(s.off)
	for _, region := range regions {
		s.words.each(text[region.from:region.to], func(end int, literals []uint16) {
			s.hit(text, region.from+end, literals, paths)
		})
	}
	var found []match
	for i, open := range s.gated {
		if open && s.on(i, paths) {
			s.again = true // such rules look at all of the text
			s.aroundRuns(text, i)
		}
	}
	for _, i := range s.touched {
		for _, w := range s.windows[i] {
			found = s.evaluate(found, text, i, w)
		}
		s.windows[i] = s.windows[i][:0]
	}
	s.touched = s.touched[:0]
	return found
}

// on reports whether a rule is for one of the paths.
func (s *searcher) on(i int, paths []string) bool {
	r := &s.rules[i]
	if r.path == nil {
		return true
	}
	if s.off[i] == 0 {
		s.off[i] = -1
		for _, path := range paths {
			if r.path.matches(path) {
				s.off[i] = 1
			}
		}
	}
	return s.off[i] > 0
}

// hit looks at what surrounds literals that end at a place, and notes a window for each rule that may match.
func (s *searcher) hit(text []byte, end int, literals []uint16, paths []string) {
	for _, id := range literals {
		u := &s.uses[id]
		for _, i := range u.gates {
			s.gated[i] = true
		}
		if len(u.assigns) > 0 {
			if value, ok := afterOperator(text, end); ok {
				for _, i := range u.assigns {
					r := &s.rules[i]
					if to, ok := valueEnd(text, value, r); ok && s.on(i, paths) {
						s.add(i, text, span{end - u.size - r.before, to})
					}
				}
			}
		}
		for _, i := range u.others {
			if r := &s.rules[i]; r.path == nil || s.on(i, paths) {
				s.window(text, i, end-u.size, end)
			}
		}
	}
}

// window notes where a rule's expression has to run for a literal at a place.
func (s *searcher) window(text []byte, i, from, to int) {
	r := &s.rules[i]
	w := span{from - r.before, to + r.after}
	ok := true
	switch r.follow {
	case "userinfo":
		w, ok = aroundUserinfo(text, to)
	case "curl":
		w.to, ok = afterCurl(text, to)
	case "private key":
		w, ok = aroundPrivateKey(text, from, to)
	default:
		if !r.stretch.empty() {
			w = span{stretched(text, from, r.before, -1, &r.stretch), stretched(text, to, r.after, 1, &r.stretch)}
		}
	}
	if !ok {
		return
	}
	if r.runMin > 0 {
		if _, ok := nextRun(text[:min(len(text), w.to)], max(0, w.from), &r.run, r.runMin); !ok {
			return
		}
	}
	s.again = s.again || from-w.from > near || w.to-to > near
	s.add(i, text, w)
}

// add notes a window, with one more character on each side for assertions that look at it.
func (s *searcher) add(i int, text []byte, w span) {
	w = span{max(0, w.from-utf8.UTFMax), min(len(text), w.to+utf8.UTFMax)}
	list := s.windows[i]
	if n := len(list); n > 0 && list[n-1].to >= w.from {
		list[n-1] = span{min(list[n-1].from, w.from), max(list[n-1].to, w.to)}
		return
	}
	if len(list) == 0 {
		s.touched = append(s.touched, i)
	}
	s.windows[i] = append(list, w)
}

// stretched walks from a place until it has met more bytes outside the set than a match can have.
func stretched(text []byte, at, budget, step int, set *class) int {
	for far := 0; far < maxReach; far++ {
		next := at
		if step < 0 {
			next = at - 1
		}
		if next < 0 || next >= len(text) {
			return at
		}
		if !set.has(text[next]) {
			if budget--; budget < 0 {
				return at
			}
		}
		at += step
	}
	return at
}

// nextRun finds n bytes of a set in a row, at or after a place, looking at few of the bytes.
func nextRun(text []byte, at int, set *class, n int) (span, bool) {
	for last := at + n - 1; last < len(text); {
		from := last
		for from >= at && set.has(text[from]) {
			from--
		}
		if from < at {
			from = at
			to := last + 1
			for to < len(text) && set.has(text[to]) {
				to++
			}
			return span{from, to}, true
		}
		at = from + 1
		last = from + n
	}
	return span{}, false
}

// aroundRuns notes windows for a rule that has no literal: its matches hold a run of bytes.
func (s *searcher) aroundRuns(text []byte, i int) {
	r := &s.rules[i]
	for at := 0; ; {
		run, ok := nextRun(text, at, &r.run, r.runMin)
		if !ok {
			return
		}
		s.add(i, text, span{run.from - r.before, run.to + r.after})
		at = run.to
	}
}

// evaluate runs a rule's expression on a window and keeps what passes the tests of the value.
func (s *searcher) evaluate(found []match, text []byte, i int, w span) []match {
	r := &s.rules[i]
	var hash maphash.Hash
	hash.SetSeed(s.seed)
	_, _ = hash.WriteString(r.id)
	_, _ = hash.Write(text[w.from:w.to])
	key := hash.Sum64()
	if _, known := s.barren[key]; known {
		return found
	}
	before := len(found)
	for _, at := range r.expr.get().FindAllIndex(text[w.from:w.to], -1) {
		if m, ok := s.matched(r, text, w.from+at[0], w.from+at[1]); ok {
			found = append(found, m)
		}
	}
	if len(found) == before && len(s.barren) < maxBarren {
		s.barren[key] = struct{}{}
	}
	return found
}

// matched takes the secret out of a match and tests it by itself, without its place.
func (s *searcher) matched(r *rule, text []byte, from, to int) (match, bool) {
	for from < to && text[from] == '\n' {
		from++
	}
	for to > from && text[to-1] == '\n' {
		to--
	}
	whole := text[from:to]
	m := match{rule: r, from: from, to: to, start: from, whole: whole, secret: whole}
	// As gitleaks does, on the match alone.
	if groups := r.expr.get().FindSubmatchIndex(whole); len(groups) > 2 {
		for g := 1; 2*g < len(groups); g++ {
			if (r.group == g || r.group == 0 && groups[2*g+1] > groups[2*g]) && groups[2*g] >= 0 {
				m.from, m.to = from+groups[2*g], from+groups[2*g+1]
				m.secret = text[m.from:m.to]
				break
			}
		}
	}
	if r.entropy != 0 && entropyOf(m.secret) <= r.entropy {
		return m, false
	}
	if s.everywhere.allowsValue(&m) || !m.passes() {
		return m, false
	}
	for i := range r.allow {
		if a := &r.allow[i]; !a.all && a.target != "line" && a.allowsValue(&m) {
			return m, false
		}
	}
	return m, true
}

// lineAround is the line or lines that hold a span.
func lineAround(text []byte, from, to int) []byte {
	start := bytes.LastIndexByte(text[:from], '\n') + 1
	end := len(text)
	if i := bytes.IndexByte(text[to:], '\n'); i >= 0 {
		end = to + i
	}
	return text[start:end]
}
