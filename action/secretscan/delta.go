package secretscan

import (
	"errors"
	"slices"
)

// near is how far from a literal nearly all matches reach. A text that holds something which reaches
// further is searched whole again wherever a delta uses it.
const near = 256

var errDelta = errors.New("a delta is damaged")

// applyDelta builds a text from another one. fresh are the places where it is not a copy of a stretch of
// the other: what was inserted, and the seams.
func applyDelta(base, delta, into []byte) (text []byte, fresh []span, err error) {
	baseSize, delta, ok := deltaSize(delta)
	size, delta, ok2 := deltaSize(delta)
	if !ok || !ok2 || baseSize != len(base) {
		return nil, nil, errDelta
	}
	if size > maxText {
		return nil, nil, errTooLarge
	}
	text = slices.Grow(into[:0], size)
	end := 0 // of the last copy, in base; -1 after an insertion
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		if op&0x80 == 0 {
			n := int(op)
			if n == 0 || n > len(delta) || len(text)+n > size {
				return nil, nil, errDelta
			}
			fresh = append(fresh, span{len(text), len(text) + n})
			text, delta, end = append(text, delta[:n]...), delta[n:], -1
			continue
		}
		from, n, rest, ok := deltaCopy(op, delta)
		if !ok || from+n > len(base) || len(text)+n > size {
			return nil, nil, errDelta
		}
		if end >= 0 && end != from {
			fresh = append(fresh, span{len(text), len(text)})
		}
		text, delta, end = append(text, base[from:from+n]...), rest, from+n
	}
	if len(text) != size {
		return nil, nil, errDelta
	}
	if end != len(base) {
		fresh = append(fresh, span{size, size})
	}
	return text, fresh, nil
}

func deltaSize(delta []byte) (size int, rest []byte, ok bool) {
	for i, b := range delta {
		if i > 4 {
			break
		}
		size |= int(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			return size, delta[i+1:], true
		}
	}
	return 0, nil, false
}

func deltaCopy(op byte, delta []byte) (from, n int, rest []byte, ok bool) {
	for bit := range 7 {
		if op&(1<<bit) == 0 {
			continue
		}
		if len(delta) == 0 {
			return 0, 0, nil, false
		}
		if bit < 4 {
			from |= int(delta[0]) << (8 * bit)
		} else {
			n |= int(delta[0]) << (8 * (bit - 4))
		}
		delta = delta[1:]
	}
	if n == 0 {
		n = 0x10000
	}
	return from, n, delta, true
}

// widened are the regions around fresh places in which something can be that was not in the text that the
// delta was applied to: a match reaches that far, and encoded text is decoded from its start.
func (s *searcher) widened(text []byte, fresh []span) []span {
	margin := near + s.words.longest
	regions := make([]span, 0, len(fresh)) // none at all differs from all of it
	for _, f := range fresh {
		from, to := max(0, f.from-margin), min(len(text), f.to+margin)
		for stop := max(0, from-maxReach); from > stop && base64Bytes.has(text[from-1]); {
			from--
		}
		for stop := min(len(text), to+maxReach); to < stop && base64Bytes.has(text[to]); {
			to++
		}
		if n := len(regions); n > 0 && regions[n-1].to >= from {
			regions[n-1].to = max(regions[n-1].to, to)
			continue
		}
		regions = append(regions, span{from, to})
	}
	return regions
}
