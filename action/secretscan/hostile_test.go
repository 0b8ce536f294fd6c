package secretscan

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// TestHostileTexts scans texts that are made to take long: where what follows from one literal, or from one match, is
// looked for in all of the text again. The first two took ten minutes when that grew with the square of the size.
func TestHostileTexts(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: with the race detector it takes minutes")
	}
	const size, most = 1 << 20, 3 * time.Minute // seconds, unless others have the processors
	filled := func(unit func(i int) string) string {
		var b strings.Builder
		for i := 0; b.Len() < size; i++ {
			b.WriteString(unit(i))
		}
		return b.String()
	}
	always := func(unit string) func(int) string { return func(int) string { return unit } }
	for _, test := range []struct {
		name, text string
		found      bool
	}{
		{"names in values", filled(always("key=")), false},
		{"starts of tokens without an end", filled(always("eaam")), false},
		{"starts of tokens, and what is between them", filled(always("xoxb-")), false},
		{"commands without options", filled(always("curl ")), false},
		{"encoded words", filled(always(base64.StdEncoding.EncodeToString([]byte("hello wo1ld!")) + " ")), false},
		{"a line of tokens", filled(func(i int) string { return githubToken(uint64(i)) + " " }), true},
		{"a line of names and values", filled(func(i int) string { return "key='" + randomText(uint64(i), alnum, 14) + "' " }), true},
		{"a line of short passwords", filled(func(i int) string { return fmt.Sprintf("https"+"://u%d:%s@a.dev ", i, randomText(uint64(i), alnum, 8)) }), true},
		{"values in one encoded part", base64.StdEncoding.EncodeToString([]byte(filled(func(i int) string { return "key='" + randomText(uint64(i), alnum, 14) + "'\n" })[:size*3/4])), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			found, err := newSearcher(defaultMatcher()).file("a.txt", []byte(test.text), []string{"a.txt"})
			if err != nil || test.found != (len(found) > 0) {
				t.Errorf("found %d, %v", len(found), err)
			}
			took := time.Since(start)
			if t.Logf("%d findings in %s", len(found), took.Round(time.Millisecond)); took > most {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestManyCopies scans a commit that has one file at very many places: 100,000 of them took 20 s of CPU when each place was
// looked for among all others.
func TestManyCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: with the race detector it takes minutes")
	}
	const copies, most = 100_000, 3 * time.Minute // seconds, unless others have the processors
	r := newRepository(t)
	base := r.commit("one")
	var b strings.Builder
	text := "T=none\n"
	fmt.Fprintf(&b, "blob\nmark :1\ndata %d\n%s\ncommit refs/heads/main\ncommitter A <a@acme.dev> 1800000000 +0000\ndata 0\nfrom %s\n", len(text), text, base)
	for i := range copies {
		fmt.Fprintf(&b, "M 100644 :1 %d/%d.txt\n", i%100, i)
	}
	r.feed(b.String(), "fast-import", "--quiet")
	for _, request := range []Request{{Mode: Range, Range: base + "..main"}, {Mode: History}} {
		start := time.Now()
		request.Dir = r.dir
		found, err := Scan(t.Context(), request)
		if err != nil || len(found) > 0 {
			t.Errorf("%s: found %d, %v", request.Mode, len(found), err)
		}
		took := time.Since(start)
		if t.Logf("%s in %s", request.Mode, took.Round(time.Millisecond)); took > most {
			t.Errorf("it took %s", took)
		}
	}
}

// TestWindowsMeet compares what is found in windows around literals with what the expressions find in all of the text,
// where literals are so near to one another, or to the ends of windows, that these meet.
func TestWindowsMeet(t *testing.T) {
	oneGoroutine(t)
	t.Parallel()
	m := newMatcher(ruleTable(), everywhere())
	pieces := []string{" ", "\n", "-", "=", "'", "a", strings.Repeat(" word", 20), strings.Repeat("x", 150), strings.Repeat("\n", 12), "-u bob:pass1word9 ", " -H 'Authorization: Bearer ", "'"}
	for _, r := range m.rules {
		if r.isOpen() || r.follow == "assignment" && !r.stretch.empty() {
			pieces = append(pieces, r.literals...)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	s, matched := newSearcher(m), 0
	for range 200 {
		var b strings.Builder
		for range 1 + random.IntN(30) {
			switch random.IntN(8) {
			case 0:
				b.WriteString("EAA" + "C" + randomText(random.Uint64(), alnum, 120))
			case 1:
				b.WriteString(randomText(random.Uint64(), alnum, 8+random.IntN(60)))
			default:
				b.WriteString(pieces[random.IntN(len(pieces))])
			}
		}
		text := []byte(b.String())
		clear(s.barren)
		got, want := map[string]bool{}, map[string]bool{}
		for _, found := range s.search(text, everything(text), []string{"a.txt"}) {
			got[fmt.Sprint(found.rule.id, found.from, found.to)] = true
		}
		for i, r := range m.rules {
			if !r.isOpen() && (r.follow != "assignment" || r.stretch.empty()) {
				continue
			}
			for _, found := range s.evaluate(nil, text, i, span{0, len(text)}) {
				want[fmt.Sprint(found.rule.id, found.from, found.to)] = true
			}
		}
		matched += len(want)
		for match := range want {
			if !got[match] {
				t.Fatalf("%s is not found in %q", match, text)
			}
		}
	}
	if matched < 20 {
		t.Errorf("only %d matches", matched)
	}
}

// TestWindowEndsInLiteral looks at a literal of which the last window holds a part.
func TestWindowEndsInLiteral(t *testing.T) {
	t.Parallel()
	for _, r := range ruleTable() {
		for distance := max(1, r.after-10); r.isOpen() && distance < r.after+10; distance++ {
			for _, literal := range r.literals {
				text := literal + strings.Repeat("!", distance) + literal
				if _, err := newSearcher(defaultMatcher()).file("a.yml", []byte(text), []string{"a.yml"}); err != nil {
					t.Fatalf("%s, %d bytes between: %v", literal, distance, err)
				}
			}
		}
	}
}

// TestUTF16Halves decodes as the standard library does what is no UTF-16 in all places.
func TestUTF16Halves(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	kinds := []uint16{'a', 0xd801, 0xdc37, 0xffff, 0x20ac, 0}
	for range 2000 {
		units := make([]uint16, random.IntN(6))
		var raw []byte
		for i := range units {
			units[i] = kinds[random.IntN(len(kinds))]
			raw = binary.BigEndian.AppendUint16(raw, units[i])
		}
		if got, want := string(decodeUTF16(raw, binary.BigEndian)), string(utf16.Decode(units)); got != want {
			t.Fatalf("%x: %q, want %q", units, got, want)
		}
	}
}
