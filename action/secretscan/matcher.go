package secretscan

import (
	"fmt"
	"io"
	"math"
	"sync"
	"unicode/utf8"
)

// matcher holds the rules and what is derived from them. It does not change and is shared.
type matcher struct {
	rules      []rule
	everywhere allowance
	words      *automaton
	uses       []use // by literal of the automaton
}

// use is which rules a literal is for.
type use struct {
	size    int
	assigns []int // rules where name-operator-value follows
	others  []int
	gates   []int
}

// maxReach bounds a match of a rule whose expression has no bound.
const maxReach = 32 << 10

// defaultMatcher is built once in a process; the first scan pays for it.
//
//nolint:gochecknoglobals // a constant in all but name
var defaultMatcher = sync.OnceValue(func() *matcher { return newMatcher(ruleTable(), everywhere()) })

func newMatcher(rules []rule, everywhere allowance) *matcher {
	m := &matcher{rules: rules, everywhere: everywhere}
	var literals []string
	ids := map[string]int{}
	useOf := func(literal string) *use {
		id, ok := ids[literal]
		if !ok {
			id = len(literals)
			ids[literal] = id
			literals, m.uses = append(literals, literal), append(m.uses, use{size: len(literal)})
		}
		return &m.uses[id]
	}
	for i := range rules {
		r := &rules[i]
		for _, literal := range r.literals {
			u := useOf(literal)
			if r.follow == "assignment" {
				u.assigns = append(u.assigns, i)
			} else {
				u.others = append(u.others, i)
			}
		}
		for _, word := range r.gate {
			u := useOf(word)
			u.gates = append(u.gates, i)
		}
	}
	m.words = newAutomaton(literals)
	return m
}

// allowsPath reports whether nothing in a file is reported.
func (m *matcher) allowsPath(path string) bool { return m.everywhere.allowsPath(path) }

// match is something that a rule matched. It holds the value and is not for other packages.
type match struct {
	rule        *rule
	from, to    int    // of the secret in the text that was searched
	start, stop int    // of whole; both of the encoded text if it was encoded
	whole       []byte // what the expression matched
	secret      []byte
	line        []byte // the line or lines around it
	tier        Tier   // instead of the rule's, if set
	decoded     string // how it was encoded
}

// Format keeps a value out of every formatted text, whatever the verb.
func (match) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// entropyOf is Shannon's, in bits a character, computed as gitleaks does: the rules' thresholds are its.
func entropyOf(secret []byte) float64 {
	if len(secret) == 0 {
		return 0
	}
	var counts [utf8.RuneSelf]int
	var rare map[rune]int
	for _, r := range string(secret) {
		if r < utf8.RuneSelf {
			counts[r]++
			continue
		}
		if rare == nil {
			rare = map[rune]int{}
		}
		rare[r]++
	}
	sum := 0.0
	add := func(n int) {
		if n > 0 {
			share := float64(n) / float64(len(secret))
			sum -= share * math.Log2(share)
		}
	}
	for _, n := range counts {
		add(n)
	}
	for _, n := range rare {
		add(n)
	}
	return sum
}
