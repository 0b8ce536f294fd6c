package main

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// class is a set of bytes.
type class [4]uint64

func (c *class) add(b byte)     { c[b>>6] |= 1 << (b & 63) }
func (c class) has(b byte) bool { return c[b>>6]&(1<<(b&63)) != 0 }
func (c *class) union(o class)  { c[0] |= o[0]; c[1] |= o[1]; c[2] |= o[2]; c[3] |= o[3] }
func (c class) String() string {
	return fmt.Sprintf("class{%#x, %#x, %#x, %#x}", c[0], c[1], c[2], c[3])
}
func (c class) size() (size int) { return len(c.members()) }

func (c class) members() []byte {
	var list []byte
	for b := range 256 {
		if c.has(byte(b)) {
			list = append(list, byte(b))
		}
	}
	return list
}

// plan is what the matcher needs to know to run a rule's expression on a few bytes only.
type plan struct {
	literals      []string // folded to lower case; every match holds one of them
	gate          []string // without literals: the whole text is searched if it holds one of these
	before, after int      // how many bytes a match has before and after the literal, but for those below
	stretch       class    // bytes of which a match may have any number more
	follow        string   // the hand-written test of what comes after the literal; for "assignment", run describes the value
	run           class    // every match has runMin bytes of this set in a row
	runMin        int
}

// assignment is how gitleaks writes "what follows the name up to the value". Rules that are built so
// are tested by hand-written code first.
const assignment = `)(?:[ \t\w.-]{0,20})[\s'"\\]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=\\]{0,5}(`

// valueSuffix is what they end with: a value goes on until a byte that none holds.
const valueSuffix = `)(?:[\x60'"\s;\\]|$)`

// quotedInQuotes lets a backslash stand where gitleaks' expressions want a quote: notebooks, and JSON within
// JSON, write \"name\": \"value\".
func quotedInQuotes(expr string) string {
	return strings.NewReplacer(
		`)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}(`, assignment,
		`)(?:[\x60'"\s;]|\\[nr]|$)`, valueSuffix,
	).Replace(expr)
}

func planOf(r rule) (plan, error) {
	if r.Regex == "" {
		return plan{}, nil // judged by its path alone
	}
	whole, err := syntax.Parse(r.Regex, syntax.Perl)
	if err != nil {
		return plan{}, err
	}
	p := planAround(whole)
	if assigned, ok, err := planOfAssignment(r.Regex, whole); err != nil {
		return plan{}, err
	} else if ok {
		return assigned, nil
	}
	keywords := make([]string, len(r.Keywords))
	for i, k := range r.Keywords {
		keywords[i] = strings.ToLower(k)
	}
	width, stretch := maxWidth(whole)
	if len(r.Literals) > 0 {
		return plan{literals: r.Literals, before: width, after: width, stretch: stretch, follow: r.Follow, run: p.run, runMin: p.runMin}, nil
	}
	p.follow = r.Follow
	known := func(literal string) bool {
		return len(literal) >= 4 || slices.ContainsFunc(keywords, func(k string) bool { return strings.Contains(literal, k) })
	}
	if len(p.literals) > 0 && !slices.ContainsFunc(p.literals, func(l string) bool { return !known(l) }) {
		return p, nil
	}
	if len(keywords) == 0 || p.runMin == 0 || stretch != (class{}) {
		return plan{}, fmt.Errorf("nothing to look for: it would run on everything")
	}
	return plan{gate: keywords, before: width, after: width, run: p.run, runMin: p.runMin}, nil
}

// planOfAssignment is the plan of a rule that is a name, an operator and a value: the literals are the
// names, and the run describes the value.
func planOfAssignment(expr string, whole *syntax.Regexp) (plan, bool, error) {
	before, after, ok := strings.Cut(expr, assignment)
	if !ok || strings.Contains(after, assignment) || !strings.HasSuffix(after, valueSuffix) || whole.Op != syntax.OpConcat {
		return plan{}, false, nil
	}
	name, err := syntax.Parse(before+")", syntax.Perl)
	if err != nil {
		return plan{}, false, err
	}
	flags := ""
	if strings.HasPrefix(before, "(?i)") {
		flags = "(?i)"
	}
	value, err := syntax.Parse(flags+"("+after, syntax.Perl)
	if err != nil {
		return plan{}, false, err
	}
	first := firstOf(value)
	if name.Op != syntax.OpConcat || first.Op != syntax.OpCapture {
		return plan{}, false, nil
	}
	literals, rest := []string{""}, len(name.Sub)
	for rest > 0 {
		longer := product(exactly(name.Sub[rest-1]), literals)
		if longer == nil {
			break
		}
		literals, rest = longer, rest-1
	}
	if shortest(literals) == 0 {
		return plan{}, false, nil
	}
	if set := bytesOf(first); slices.ContainsFunc([]byte("`'\";\\ \t\r\n"), set.has) {
		return plan{}, false, nil // where a value ends could not be told from the bytes alone
	}
	p := plan{literals: literals, follow: "assignment", run: bytesOf(first), runMin: minWidth(first)}
	for _, sub := range name.Sub[:rest] {
		width, _ := maxWidth(sub)
		p.before += width
	}
	p.after, p.stretch = maxWidth(whole)
	return p, true, nil
}

func firstOf(re *syntax.Regexp) *syntax.Regexp {
	if re.Op == syntax.OpConcat {
		return firstOf(re.Sub[0])
	}
	return re
}

// planAround finds the best literal in an expression, and what may be around it.
func planAround(re *syntax.Regexp) plan {
	switch re.Op {
	case syntax.OpCapture:
		return planAround(re.Sub[0])
	case syntax.OpAlternate:
		return planOfAlternatives(re)
	case syntax.OpConcat:
		return planOfSequence(re)
	case syntax.OpLiteral:
		return plan{literals: exactly(re)}
	default:
		p := plan{}
		p.run, p.runMin = longestRun(re)
		return p
	}
}

func planOfAlternatives(re *syntax.Regexp) plan {
	merged := plan{}
	for _, sub := range re.Sub {
		p := planAround(sub)
		if len(p.literals) == 0 {
			merged.literals = nil
			break
		}
		merged.literals = append(merged.literals, p.literals...)
		merged.before, merged.after = max(merged.before, p.before), max(merged.after, p.after)
		merged.stretch.union(p.stretch)
	}
	merged.run, merged.runMin = longestRun(re)
	slices.Sort(merged.literals)
	merged.literals = slices.Compact(merged.literals)
	return merged
}

func planOfSequence(re *syntax.Regexp) plan {
	best := plan{}
	from, to := 0, 0
	consider := func(literals []string, i, j int) {
		if len(literals) > 0 && shortest(literals) > shortest(best.literals) {
			best, from, to = plan{literals: literals}, i, j
		}
	}
	for i := range re.Sub {
		// One element may hold a literal that is not all of it.
		inner := planAround(re.Sub[i])
		if len(inner.literals) > 0 && shortest(inner.literals) > shortest(best.literals) {
			best, from, to = inner, i, i+1
		}
		// Neighbours that each have a few spellings make a longer one.
		exact := []string{""}
		for j := i; j < len(re.Sub); j++ {
			exact = product(exact, exactly(re.Sub[j]))
			if exact == nil {
				break
			}
			consider(exact, i, j+1)
		}
	}
	for i, sub := range re.Sub {
		width, stretch := maxWidth(sub)
		if i < from {
			best.before += width
		} else if i >= to {
			best.after += width
		}
		if i < from || i >= to {
			best.stretch.union(stretch)
		}
	}
	best.run, best.runMin = longestRun(re)
	return best
}

func shortest(literals []string) int {
	if len(literals) == 0 {
		return 0
	}
	n := len(literals[0])
	for _, l := range literals {
		n = min(n, len(l))
	}
	return n
}

func product(a, b []string) []string {
	if len(a)*len(b) == 0 || len(a)*len(b) > 64 {
		return nil
	}
	var list []string
	for _, x := range a {
		for _, y := range b {
			list = append(list, x+y)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// exactly lists all spellings of an expression in lower case, or nothing if there are too many.
func exactly(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpWordBoundary, syntax.OpNoWordBoundary, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine:
		return []string{""}
	case syntax.OpLiteral:
		text := strings.ToLower(string(re.Rune))
		return []string{text}
	case syntax.OpCharClass:
		return exactlyClass(re)
	case syntax.OpCapture:
		return exactly(re.Sub[0])
	case syntax.OpQuest:
		if some := exactly(re.Sub[0]); some != nil {
			return append([]string{""}, some...)
		}
		return nil
	case syntax.OpConcat:
		list := []string{""}
		for _, sub := range re.Sub {
			list = product(list, exactly(sub))
		}
		return list
	case syntax.OpAlternate:
		var list []string
		for _, sub := range re.Sub {
			some := exactly(sub)
			if some == nil {
				return nil
			}
			list = append(list, some...)
		}
		return list
	default:
		return nil
	}
}

func exactlyClass(re *syntax.Regexp) []string {
	var list []string
	for i := 0; i < len(re.Rune); i += 2 {
		if re.Rune[i+1]-re.Rune[i] > 4 {
			return nil
		}
		for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
			if r < utf8.RuneSelf {
				list = append(list, strings.ToLower(string(r)))
			}
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) > 3 {
		return nil
	}
	return list
}

// kelvin and longS fold to k and s, so that every case-insensitive class holds them. Nobody writes a
// token with them, and with them all windows would be three times as wide.
const kelvin, longS = '\u212a', '\u017f'

func bytesOfClass(re *syntax.Regexp) (set class, widest int) {
	widest = 1
	for i := 0; i < len(re.Rune); i += 2 {
		for b := range utf8.RuneSelf {
			if rune(b) >= re.Rune[i] && rune(b) <= re.Rune[i+1] {
				set.add(byte(b))
			}
		}
		last := re.Rune[i+1]
		if last >= utf8.RuneSelf {
			for b := utf8.RuneSelf; b < 256; b++ {
				set.add(byte(b))
			}
			if last != kelvin && last != longS {
				widest = max(widest, utf8.RuneLen(last))
			}
		}
	}
	return set, widest
}

func literalBytes(re *syntax.Regexp) (set class) {
	for _, r := range re.Rune {
		for _, text := range []string{string(r), strings.ToLower(string(r)), strings.ToUpper(string(r))} {
			if text != string(r) && re.Flags&syntax.FoldCase == 0 {
				continue
			}
			for i := range len(text) {
				set.add(text[i])
			}
		}
	}
	return set
}

// bytesOf is every byte that can be in a match.
func bytesOf(re *syntax.Regexp) (set class) {
	switch re.Op {
	case syntax.OpLiteral:
		return literalBytes(re)
	case syntax.OpCharClass:
		set, _ = bytesOfClass(re)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		for b := range 256 {
			if b != '\n' || re.Op == syntax.OpAnyChar {
				set.add(byte(b))
			}
		}
	}
	for _, sub := range re.Sub {
		set.union(bytesOf(sub))
	}
	return set
}

// minWidth is the fewest characters, and so at least the fewest bytes, of a match.
func minWidth(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return minWidth(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * minWidth(re.Sub[0])
	case syntax.OpConcat:
		total := 0
		for _, sub := range re.Sub {
			total += minWidth(sub)
		}
		return total
	case syntax.OpAlternate:
		least := minWidth(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			least = min(least, minWidth(sub))
		}
		return least
	default:
		return 0
	}
}

// maxWidth is the most bytes of a match, where everything that has no bound counts once and is
// named by the set of its bytes.
func maxWidth(re *syntax.Regexp) (int, class) {
	var stretch class
	switch re.Op {
	case syntax.OpLiteral:
		return len(string(re.Rune)), stretch
	case syntax.OpCharClass:
		_, widest := bytesOfClass(re)
		return widest, stretch
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return utf8.UTFMax, stretch
	}
	width := 0
	for _, sub := range re.Sub {
		w, s := maxWidth(sub)
		stretch.union(s)
		if re.Op == syntax.OpAlternate {
			width = max(width, w)
		} else {
			width += w
		}
	}
	switch {
	case re.Op == syntax.OpStar || re.Op == syntax.OpPlus || re.Op == syntax.OpRepeat && re.Max < 0:
		stretch.union(bytesOf(re))
		width *= max(1, re.Min)
	case re.Op == syntax.OpRepeat:
		width *= re.Max
	}
	return width, stretch
}

// longestRun finds a run of bytes of one set that every match has: the longest, then the one of the
// smallest set.
func longestRun(re *syntax.Regexp) (class, int) {
	var best class
	bestMin := 0
	consider := func(set class, n int) {
		if n > bestMin || n == bestMin && set.size() < best.size() {
			best, bestMin = set, n
		}
	}
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass:
		consider(bytesOf(re), minWidth(re))
	case syntax.OpRepeat, syntax.OpPlus:
		if re.Op == syntax.OpPlus || re.Min > 0 {
			consider(longestRun(re.Sub[0]))
			consider(bytesOf(re), minWidth(re))
		}
	case syntax.OpCapture:
		return longestRun(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			consider(longestRun(sub))
		}
	case syntax.OpAlternate:
		least := 0
		var all class
		for i, sub := range re.Sub {
			set, n := longestRun(sub)
			all.union(set)
			if i == 0 || n < least {
				least = n
			}
		}
		consider(all, least)
	}
	return best, bestMin
}
