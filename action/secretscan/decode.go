package secretscan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"sort"
	"strconv"
)

// Bounds of decoding.
const (
	maxDepth = 5   // of encodings within encodings
	margin   = 400 // bytes on each side of what was decoded, which the rules may need to see
)

// encoded is a part of a text, and what it decodes to.
type encoded struct {
	span
	plain []byte
	how   string
}

//nolint:gochecknoglobals // a table, never written to
var base64Bytes, hexBytes = classOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"), classOf("0123456789abcdefABCDEF")

func classOf(members string) (c class) {
	for _, b := range []byte(members) {
		c[b>>6] |= 1 << (b & 63)
	}
	return c
}

// encodedIn lists what can be decoded in a region, in order and without overlap. Where two forms
// overlap, the one that encodes single characters wins, and of those the percent signs, between which others can be:
// what loses comes to light when the winner is decoded.
func encodedIn(text []byte, region span) []encoded {
	var runs []encoded
	for at := region.from; ; {
		run, ok := nextRun(text[:region.to], at, &base64Bytes, 16)
		if !ok {
			break
		}
		at = run.to
		if e, ok := decodeRun(text, run); ok {
			runs = append(runs, e)
		}
	}
	return apart(apart(percentIn(text, region), unicodeIn(text, region)), runs)
}

// apart puts two lists together, each in order and without overlap, but for what the first one overlaps.
func apart(first, second []encoded) []encoded {
	if len(first) == 0 {
		return second
	}
	list := make([]encoded, 0, len(first)+len(second))
	for _, e := range second {
		for len(first) > 0 && first[0].to <= e.from {
			list, first = append(list, first[0]), first[1:]
		}
		if len(first) == 0 || e.to <= first[0].from {
			list = append(list, e)
		}
	}
	return append(list, first...)
}

// decodeRun decodes a run as hexadecimal or base64 if that gives plain text.
func decodeRun(text []byte, run span) (encoded, bool) {
	raw := text[run.from:run.to]
	if digits, ok := nextRun(raw, 0, &hexBytes, 32); ok && digits.from == 0 && digits.to%2 == 0 {
		plain := make([]byte, digits.to/2)
		if _, err := hex.Decode(plain, raw[:digits.to]); err == nil && isPlain(plain) {
			return encoded{span{run.from, run.from + digits.to}, plain, "hex"}, true
		}
	}
	if !bytes.ContainsAny(raw, "0123456789+/-_") || !startsPlain(raw) {
		return encoded{}, false
	}
	end := run.to
	for end < len(text) && end < run.to+2 && text[end] == '=' {
		end++
	}
	raw = text[run.from:end]
	for _, form := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding, base64.URLEncoding, base64.RawStdEncoding} {
		plain := make([]byte, form.DecodedLen(len(raw)))
		if n, err := form.Decode(plain, raw); err == nil && n > 0 && isPlain(plain[:n]) {
			return encoded{span{run.from, end}, plain[:n], "base64"}, true
		}
	}
	return encoded{}, false
}

// startsPlain decodes the first bytes only: nearly all identifiers fail here.
func startsPlain(raw []byte) bool {
	var head [12]byte
	form := base64.RawStdEncoding
	if bytes.ContainsAny(raw[:16], "-_") {
		form = base64.RawURLEncoding
	}
	n, err := form.Decode(head[:], raw[:16])
	return err == nil && isPlain(head[:n])
}

func isPlain(text []byte) bool {
	for _, b := range text {
		if (b < ' ' || b > '~') && b != '\t' && b != '\n' && b != '\r' {
			return false
		}
	}
	return true
}

// percentIn finds percent-encoding, from the first to the last of a line.
func percentIn(text []byte, region span) (list []encoded) {
	for at := region.from; at < region.to; {
		i := bytes.IndexByte(text[at:region.to], '%')
		if i < 0 {
			break
		}
		at += i
		if !isEscape(text, at, region.to) {
			at++
			continue
		}
		end := at + 3
		for next := end; next < region.to && next < at+maxReach && text[next] != '\n'; next++ {
			if isEscape(text, next, region.to) {
				end = next + 3
			}
		}
		list = append(list, encoded{span{at, end}, unescape(text[at:end]), "percent"})
		at = end
	}
	return list
}

// unicodeIn finds \u escapes that follow one another.
func unicodeIn(text []byte, region span) (list []encoded) {
	for at := region.from; at < region.to; {
		i := bytes.Index(text[at:region.to], []byte(`\u`))
		if i < 0 {
			break
		}
		at += i
		if plain, end := unicodeRun(text[:region.to], at); len(plain) >= 4 {
			list = append(list, encoded{span{at, end}, plain, "unicode"})
			at = end
		} else {
			at += 2
		}
	}
	return list
}

func isEscape(text []byte, at, limit int) bool {
	return text[at] == '%' && at+2 < limit && hexBytes.has(text[at+1]) && hexBytes.has(text[at+2])
}

func unescape(text []byte) []byte {
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if isEscape(text, i, len(text)) {
			n, _ := strconv.ParseUint(string(text[i+1:i+3]), 16, 8)
			plain = append(plain, byte(n))
			i += 2
			continue
		}
		plain = append(plain, text[i])
	}
	return plain
}

// unicodeRun decodes escapes that follow one another.
func unicodeRun(text []byte, at int) (plain []byte, end int) {
	for {
		escape := at
		for escape < len(text) && escape < at+2 && text[escape] == '\\' {
			escape++
		}
		if escape == at || escape+5 > len(text) || text[escape] != 'u' {
			return plain, at
		}
		n, err := strconv.ParseUint(string(text[escape+1:escape+5]), 16, 16)
		if err != nil {
			return plain, at
		}
		plain = append(plain, string(rune(n))...)
		at = escape + 5
	}
}

// searchDecoded finds what the rules match in what is encoded within the regions. A match is placed
// where its encoded form is. All that is encoded is searched: with what is around it that is at most three times the text, since
// what is nearer to one another than a margin is searched together, and no encoding is shorter than what it encodes.
func (s *searcher) searchDecoded(text []byte, regions []span, paths []string, depth int) []match {
	var found []match
	for _, region := range regions {
		parts := encodedIn(text, region)
		for len(parts) > 0 {
			n := 1
			for n < len(parts) && parts[n].from-parts[n-1].to < margin {
				n++
			}
			for _, m := range s.searchPlain(text, parts[:n], paths, depth) {
				if s.more.fullText(len(found)) {
					s.more.count(m.grade())
				} else {
					found = append(found, m)
				}
			}
			parts = parts[n:]
		}
	}
	return found
}

// searchPlain searches a few parts of a text in decoded form, with what is around them.
func (s *searcher) searchPlain(text []byte, parts []encoded, paths []string, depth int) []match {
	from, to := max(0, parts[0].from-margin), min(len(text), parts[len(parts)-1].to+margin)
	var plain []byte
	places := make([]span, len(parts)) // of the parts in plain
	at := from
	for i, p := range parts {
		plain = append(plain, text[at:p.from]...)
		places[i] = span{len(plain), len(plain) + len(p.plain)}
		plain = append(plain, p.plain...)
		at = p.to
	}
	plain = append(plain, text[at:to]...)
	matches := s.search(plain, everything(plain), paths)
	if depth > 1 {
		matches = append(matches, s.searchDecoded(plain, everything(plain), paths, depth-1)...)
	}
	var found []match
	for _, m := range matches {
		first := sort.Search(len(places), func(i int) bool { return places[i].to > m.start })
		last := sort.Search(len(places), func(i int) bool { return places[i].from >= m.stop }) - 1
		if last < first {
			continue // it is in the text as it stands, and was found there
		}
		m.line = lineAround(plain, m.from, m.to, maxBeside)
		m.from, m.to = parts[first].from, parts[last].to
		m.start, m.stop = m.from, m.to
		if m.decoded == "" {
			m.decoded = parts[first].how
		}
		found = append(found, m)
	}
	return found
}
