package secretscan

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// rule is one kind of secret. All fields but the last three are data; rulegen explains how the plan of
// a rule (literals to runMin) follows from its expression.
type rule struct {
	id, about string
	tier      Tier
	expr      *lazy // nil: the path alone says it
	path      *lazy // only files whose path matches
	entropy   float64
	group     int               // which group of the expression is the secret; 0: the first that matched
	check     func(*match) bool // a further test of the value

	gate          []string // without literals: the text must hold one of these
	literals      []string // folded to lower case; every match holds one of them
	before, after int      // how many bytes a match has before and after the literal, but for stretch
	stretch       class    // bytes of which a match may have any number more
	follow        string   // the hand-written test of what comes after the literal
	mixed         bool     // a value of letters, '_', '.' and '-' only is allowed by one of allow
	run           class    // every match has runMin bytes of this set in a row
	runMin        int
	allow         []allowance
}

// allowance is what a rule does not report.
type allowance struct {
	all    bool   // every condition must hold, not just one
	target string // what exprs look at: "match", "line", or the secret
	paths  *names
	exprs  *lazy
	words  []string // in lower case
}

// lazy is an expression that is compiled when it is first needed: most scans need few.
type lazy struct {
	text  string
	hints []string // in lower case; what matches holds one of them
	once  sync.Once
	re    *regexp.Regexp
}

func pattern(text string) *lazy { return &lazy{text: text} }

// hinted is a pattern for names, most of which its hints tell apart.
func hinted(text string, hints ...string) *lazy { return &lazy{text: text, hints: hints} }

// matches reports whether a name matches.
func (l *lazy) matches(name string) bool {
	if len(l.hints) > 0 {
		folded := strings.ToLower(name)
		if !slices.ContainsFunc(l.hints, func(hint string) bool { return strings.Contains(folded, hint) }) {
			return false
		}
	}
	return l.get().MatchString(name)
}

// in reports whether something in a text matches.
func (l *lazy) in(text []byte) bool {
	return (len(l.hints) == 0 || containsAny(text, l.hints)) && l.get().Match(text)
}

// names are expressions of which a name may match any. One pass over it tells which of them it may match at all:
// together, as one expression, they would cost more than the search of a small file.
type names struct {
	exprs  []*lazy
	once   sync.Once
	words  *automaton
	uses   []int // by word, the expression that needs it
	always []int // the expressions that need none
}

func anyOf(exprs ...*lazy) *names { return &names{exprs: exprs} }

func (n *names) prepare() {
	var words []string
	for i, expr := range n.exprs {
		if len(expr.hints) == 0 {
			n.always = append(n.always, i)
		}
		for _, hint := range expr.hints {
			words, n.uses = append(words, hint), append(n.uses, i)
		}
	}
	n.words = newAutomaton(words)
}

func (n *names) matches(name string) (yes bool) {
	n.once.Do(n.prepare)
	for _, i := range n.always {
		if n.exprs[i].get().MatchString(name) {
			return true
		}
	}
	last := -1 // that was tried; words of one expression often come together
	n.words.each([]byte(name), func(_ int, words []uint16) {
		for _, word := range words {
			if i := n.uses[word]; !yes && i != last {
				yes, last = n.exprs[i].get().MatchString(name), i
			}
		}
	})
	return yes
}

func (l *lazy) get() *regexp.Regexp {
	l.once.Do(func() { l.re = regexp.MustCompile(l.text) })
	return l.re
}

// class is a set of bytes.
type class [4]uint64

func (c *class) has(b byte) bool { return c[b>>6]&(1<<(b&63)) != 0 }

func (c *class) empty() bool { return *c == class{} }

// allowsPath reports whether everything in a file is allowed.
func (a *allowance) allowsPath(path string) bool {
	if a.paths == nil || path == "" || a.all && (a.exprs != nil || len(a.words) > 0) {
		return false
	}
	return a.paths.matches(path)
}

// isFor reports whether a rule's matches can count in a file of this path.
func (r *rule) isFor(path string) bool {
	return (r.path == nil || r.path.matches(path)) && !slices.ContainsFunc(r.allow, func(a allowance) bool { return a.allowsPath(path) })
}

// allowsValue reports whether a match is allowed by its value alone.
func (a *allowance) allowsValue(m *match) bool {
	return a.exprs != nil && a.exprs.in(a.targetOf(m)) || containsAny(m.secret, a.words)
}

// allowsBeside reports whether a match is allowed by what is beside it, where the path is one of the allowance's if it has any.
// What its value alone says was asked before.
func (a *allowance) allowsBeside(m *match) bool {
	if !a.all {
		return a.target == "line" && a.allowsValue(m)
	}
	return (a.exprs == nil || a.exprs.in(a.targetOf(m))) && (len(a.words) == 0 || containsAny(m.secret, a.words))
}

func (a *allowance) targetOf(m *match) []byte {
	switch a.target {
	case "match":
		return m.whole
	case "line":
		return m.line
	default:
		return m.secret
	}
}

func containsAny(secret []byte, words []string) bool {
	if len(words) == 0 {
		return false
	}
	folded := strings.ToLower(string(secret))
	for _, word := range words {
		if strings.Contains(folded, word) {
			return true
		}
	}
	return false
}
