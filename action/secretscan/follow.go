package secretscan

import (
	"bytes"
	"unicode/utf8"
)

// What must come after a literal, tested by hand before a rule's expression runs. Each test may say yes
// too often, never no to what the expression would match.

// afterOperator skips what may be between a name and its value: `(?:[ \t\w.-]{0,20})[\s'"\\]{0,3}` and the
// operator's first byte.
func afterOperator(text []byte, at int) (int, bool) {
	for limit := min(len(text), at+24); at < limit; at++ {
		switch kinds[text[at]] {
		case inName, inWord:
		case inOperator:
			return at + 1, true
		default:
			return 0, false
		}
	}
	return 0, false
}

// valueEnd finds where a value ends that starts within the rest of an operator and `[\x60'"\s=\\]{0,5}`.
// All bytes of a value are of one set, and what must follow it, `[\x60'"\s;\\]|$`, is not.
func (s *searcher) valueEnd(text []byte, at, i int) (int, bool) {
	r := &s.rules[i]
	for last := at + 8; at <= last && at+r.runMin <= len(text); at++ {
		v := s.valueAt(text, at, i)
		right := v.to-at >= r.runMin && at >= v.least && (v.rest >= at || !r.mixed)
		if right && (v.to == len(text) || ends[text[v.to]]) {
			return v.to, true
		}
		if !between[text[at]] {
			return 0, false
		}
	}
	return 0, false
}

// valueAt is the run of a rule's bytes at a place. Names and operators may be in it again and again.
func (s *searcher) valueAt(text []byte, at, i int) value {
	r, known := &s.rules[i], &s.values[i]
	if known.from <= at && at < known.to {
		return *known
	}
	v := value{at, at, -1, at}
	for v.to < len(text) && r.run.has(text[v.to]) {
		if kinds[text[v.to]] != inWord {
			v.rest = v.to
		}
		v.to++
	}
	if v.to == at {
		return v
	}
	outside := 0 // of what a match may have any number of
	for v.least = v.to; v.least > at; v.least-- {
		if !r.stretch.has(text[v.least-1]) {
			if outside++; outside > r.after {
				break
			}
		}
	}
	*known = v
	return v
}

// The bytes that may be after a name, and those of which operators are made.
const (
	inName = iota + 1
	inOperator
	inWord // in a name, and of words: letters, '_', '.' and '-'
)

//nolint:gochecknoglobals // tables, never written to
var kinds, between, ends = func() (kinds [256]uint8, between, ends [256]bool) {
	for b := range utf8.RuneSelf {
		if c := byte(b); c >= '0' && c <= '9' {
			kinds[b] = inName
		} else if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '.' || c == '-' {
			kinds[b] = inWord
		}
	}
	for b := utf8.RuneSelf; b < len(kinds); b++ {
		kinds[b] = inName
	}
	for _, c := range []byte(" \t\r\n\f\v'\"\\") {
		kinds[c] = inName
	}
	for _, c := range []byte("=>:|?,") {
		kinds[c], between[c] = inOperator, true
	}
	for _, c := range []byte("`'\" \t\r\n\f\v=\\") {
		between[c] = true
	}
	for _, c := range []byte("`'\" \t\r\n\f\v;\\") {
		ends[c] = true
	}
	return kinds, between, ends
}()

// aroundUserinfo finds "user:password@" after "://".
func aroundUserinfo(text []byte, at int) (span, bool) {
	const scheme, longest, host = 40, 1100, 264
	colon := false
	for i := at; i < min(len(text), at+longest); i++ {
		switch text[i] {
		case ':':
			colon = true
		case '@':
			if colon {
				return span{at - scheme, i + host}, true
			}
			return span{}, false
		case '/', ' ', '\t', '\r', '\n', '\'', '"', '`', '<', '>':
			return span{}, false
		}
	}
	return span{}, false
}

// afterCurl finds an option for a user or a header on the same line or a few lines below, and how far a match reaches.
func afterCurl(text []byte, at int) (end int, ok bool) {
	const lines, longest, value = 11, 8 << 10, 1 << 10
	limit, least := min(len(text), at+longest), at+value
	for newlines := 0; at+1 < limit && newlines < lines; at++ {
		switch text[at] {
		case '\n', '\r':
			newlines++
		case '-':
			if next := text[at+1]; (next == 'u' || next == 'H' || next == '-') && between[text[at-1]] {
				end, ok = at+value, true
			}
		}
	}
	if !ok {
		end = max(least, at)
	}
	return end, ok
}

// aroundPrivateKey finds the start and the end of a key around "PRIVATE KEY-----".
func aroundPrivateKey(text []byte, from, to int) (span, bool) {
	const begin, body = 120, 64
	start := max(0, from-begin)
	if !bytes.Contains(bytes.ToLower(text[start:from]), []byte("-----begin")) {
		return span{}, false
	}
	for at := to + body; ; at++ {
		limit := min(len(text), to+maxReach)
		if at >= limit {
			return span{}, false
		}
		i := bytes.Index(text[at:limit], []byte("-----"))
		if i < 0 {
			return span{}, false
		}
		at += i
		if before := bytes.ToLower(text[max(to, at-9):at]); bytes.HasSuffix(before, []byte("key")) || bytes.HasSuffix(before, []byte("key block")) {
			return span{start, at + 5}, true
		}
	}
}
