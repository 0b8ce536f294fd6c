package secretscan

import (
	"bytes"
	"hash/maphash"
	"slices"
	"unicode/utf8"
)

// searcher is one worker's view of the matcher: its memory is reused from text to text.
type searcher struct {
	*matcher
	seed    maphash.Seed
	barren  map[uint64]struct{} // windows in which a rule found nothing; histories repeat themselves
	windows [][]extent          // by rule
	covered []int               // by rule: where the last literal ends whose window is not known yet; see widen
	values  []value             // by rule: the last one
	touched []int               // rules that have windows
	gated   []bool              // rules whose gate word was seen
	off     []int8              // by rule: 0 not known, 1 on for this path, -1 off
	strict  bool                // comments that allow a finding do not count
	note    func(string)        // hears what was not looked at; nil: nobody does
	more    *more               // counts what is not kept
	kept    int                 // of the findings of a file
	called  string              // the file, without what was found in it
	again   bool                // what is built from the last text by a delta has to be searched whole
}

type span struct{ from, to int }

// extent is where a rule's expression has to run.
type extent struct {
	span
	far   bool // from a literal in it
	empty bool // nothing in it follows that has to
}

// value is a run of the bytes of which a rule's values are. rest is where the last of them is that words do not have, and
// least where a value can begin at the earliest that goes on to the end.
type value struct{ from, to, rest, least int }

// maxBarren bounds the memory of windows, about 24 bytes each.
const maxBarren = 1 << 19

func newSearcher(m *matcher) *searcher {
	return &searcher{
		matcher: m, seed: maphash.MakeSeed(), barren: map[uint64]struct{}{},
		windows: make([][]extent, len(m.rules)), covered: make([]int, len(m.rules)), values: make([]value, len(m.rules)), gated: make([]bool, len(m.rules)), off: make([]int8, len(m.rules)),
	}
}

// everything is all of a text as regions.
func everything(text []byte) []span { return []span{{0, len(text)}} }

// search finds what the rules match around literals within the regions of a text. paths are those of
// the file; without any, rules for certain paths do not apply.
func (s *searcher) search(text []byte, regions []span, paths []string) []match {
	clear(s.gated)
	clear(s.off)
	clear(s.values)
	clear(s.covered)
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
	if len(s.touched) > 1 { // the surest first: not all may be kept
		slices.SortStableFunc(s.touched, func(a, b int) int { return s.rules[b].tier.weight() - s.rules[a].tier.weight() })
	}
	for _, i := range s.touched {
		s.settle(text, i)
		r := &s.rules[i]
		for _, w := range s.windows[i] {
			if w.empty {
				continue
			}
			if r.isOpen() {
				if _, ok := nextRun(text[:w.to], w.from, &r.run, r.runMin); r.runMin > 0 && !ok {
					continue
				}
			}
			s.again = s.again || w.far
			found = s.evaluate(found, text, i, w.span)
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
					if to, ok := s.valueEnd(text, value, i); ok && s.on(i, paths) {
						s.add(i, text, extent{span: span{end - u.size - s.rules[i].before, to}})
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
	if r.isOpen() {
		s.widen(text, i, from, to)
		return
	}
	w := span{from - r.before, to + r.after}
	ok := true
	switch r.follow {
	case "userinfo":
		w, ok = aroundUserinfo(text, to)
	case "private key":
		w, ok = aroundPrivateKey(text, from, to)
	}
	if !ok {
		return
	}
	if r.runMin > 0 {
		if _, ok := nextRun(text[:min(len(text), w.to)], max(0, w.from), &r.run, r.runMin); !ok {
			return
		}
	}
	s.add(i, text, extent{w, from-w.from > near || w.to-to > near, false})
}

// isOpen reports whether how far a match may reach is known from the text only.
func (r *rule) isOpen() bool { return r.follow == "curl" || r.follow == "" && !r.stretch.empty() }

// widen is window for rules that are open. The further right a literal is, the further its window reaches; so literals
// within the last window are only counted until one comes after it, and nothing is looked at more than twice.
func (s *searcher) widen(text []byte, i, from, to int) {
	floor := 0
	for range 2 {
		if n := len(s.windows[i]); n > 0 {
			if floor = s.windows[i][n-1].to; to <= floor {
				s.covered[i] = to
				return
			}
		}
		s.settle(text, i)
	}
	start := stretched(text, from, s.rules[i].before, -1, min(floor, from), &s.rules[i].stretch)
	end, ok := s.rules[i].reach(text, to)
	s.add(i, text, extent{span{start, end}, from-start > near || end-to > near, !ok})
}

// settle extends a rule's last window to what the last literal in it asks for.
func (s *searcher) settle(text []byte, i int) {
	to := s.covered[i]
	if to == 0 {
		return
	}
	s.covered[i] = 0
	end, ok := s.rules[i].reach(text, to)
	w := &s.windows[i][len(s.windows[i])-1]
	w.to = min(len(text), max(w.to, end+utf8.UTFMax))
	w.far, w.empty = w.far || end-to > near, w.empty && !ok
}

// reach is how far the window of an open rule goes after a literal, and whether anything is there.
func (r *rule) reach(text []byte, to int) (end int, ok bool) {
	if r.follow == "curl" {
		return afterCurl(text, to)
	}
	return stretched(text, to, r.after, 1, len(text), &r.stretch), true
}

// add notes a window, with one more character on each side for assertions that look at it.
func (s *searcher) add(i int, text []byte, w extent) {
	w.span = span{max(0, w.from-utf8.UTFMax), min(len(text), w.to+utf8.UTFMax)}
	list := s.windows[i]
	if n := len(list); n > 0 && list[n-1].to >= w.from {
		last := &list[n-1]
		*last = extent{span{min(last.from, w.from), max(last.to, w.to)}, last.far || w.far, last.empty && w.empty}
		return
	}
	if len(list) == 0 {
		s.touched = append(s.touched, i)
	}
	s.windows[i] = append(list, w)
}

// stretched walks from a place, at most to a limit, until it has met more bytes outside the set than a match can have.
func stretched(text []byte, at, budget, step, limit int, set *class) int {
	for far := 0; far < maxReach && at != limit; far++ {
		next := at
		if step < 0 {
			next = at - 1
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
		s.add(i, text, extent{span: span{run.from - r.before, run.to + r.after}})
		at = run.to
	}
}

// evaluate runs a rule's expression on a window and keeps what passes the tests of the value.
func (s *searcher) evaluate(found []match, text []byte, i int, w span) []match {
	r := &s.rules[i]
	var hash maphash.Hash
	hash.SetSeed(s.seed)
	_, _ = hash.WriteString(r.id)
	_ = hash.WriteByte(0) // one rule's name may begin as another's
	_, _ = hash.Write(text[w.from:w.to])
	key := hash.Sum64()
	if _, known := s.barren[key]; known {
		return found
	}
	none := true
	for _, at := range r.expr.get().FindAllIndex(text[w.from:w.to], -1) {
		if m, ok := s.matched(r, text, w.from+at[0], w.from+at[1]); ok {
			if none = false; s.more.fullText(len(found)) {
				s.more.count(m.grade())
			} else {
				found = append(found, m)
			}
		}
	}
	if none && len(s.barren) < maxBarren {
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
	m := match{rule: r, from: from, to: to, start: from, stop: to, whole: whole, secret: whole}
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

// maxBeside is how much of a long line is looked at on each side of a match, for what depends on its line.
const maxBeside = 1 << 10

// lineAround is the line or lines that hold a span, as far as that many bytes on each side.
func lineAround(text []byte, from, to, beside int) []byte {
	start, end := max(0, from-beside), min(len(text), to+beside)
	start += bytes.LastIndexByte(text[start:from], '\n') + 1
	if i := bytes.IndexByte(text[to:end], '\n'); i >= 0 {
		end = to + i
	}
	return text[start:end]
}
