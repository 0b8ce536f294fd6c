package drift

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// limits tells of limits that became narrower for what clients send, and notes those that became wider for what they
// get. A manifest without the kind is older, and tells of none.
func (c *comparison) limits() {
	if c.old[LimitPromise] == nil {
		return
	}
	names := slices.Concat(c.removed(LimitPromise), c.added(LimitPromise), c.kept(LimitPromise))
	slices.Sort(names)
	for _, name := range names {
		at := strings.LastIndexByte(name, ' ')
		owner, keyword := name[:at], name[at+1:]
		sent, read := c.limited(owner)
		was, is := c.old[LimitPromise][name], c.next[LimitPromise][name]
		narrower, wider := compareLimits(keyword, was, is)
		if sent && narrower {
			c.add(LimitPromise, name, changed(was, is)+": clients send what is refused now, and data may hold it. Keep the old limit until neither does, or offer a new version of the operations.")
		}
		if read && wider {
			c.notes = append(c.notes, spec.Problem{File: ManifestPath, Line: 1, Column: 1, Message: fmt.Sprintf("%s: %s: clients may get values that they have no room for; tell them before", name, changed(was, is))})
		}
	}
}

// limited tells whether clients send and get what a limit is of. It is neither where that is new, or gone.
func (c *comparison) limited(owner string) (sent, read bool) {
	for _, kind := range []string{FieldPromise, SchemaPromise} {
		if c.old.has(kind, owner) && c.next.has(kind, owner) {
			return c.sent(owner), c.read(owner)
		}
	}
	return c.old.has(ParameterPromise, owner) && c.next.has(ParameterPromise, owner), false
}

// compareLimits tells whether values were allowed that no longer are, and the other way round. There may have been no
// limit, or be none.
func compareLimits(keyword, was, is string) (narrower, wider bool) {
	if was == "" || is == "" || was == is {
		return was == "" && is != "", is == "" && was != ""
	}
	switch {
	case strings.HasPrefix(keyword, "min"):
		order := compareBounds(was, is, MoreThan)
		return order < 0, order > 0
	case strings.HasPrefix(keyword, "max"):
		order := compareBounds(was, is, LessThan)
		return order > 0, order < 0
	case keyword == "multipleOf":
		return !divides(is, was), !divides(was, is)
	}
	return true, true // patterns that differ can't be compared
}

// compareBounds orders two bounds. Of equal ones, the one that excludes itself lies beyond the other.
func compareBounds(a, b, excluding string) int {
	x, xOpen := strings.CutPrefix(a, excluding)
	y, yOpen := strings.CutPrefix(b, excluding)
	switch order := compareNumbers(x, y); {
	case order != 0 || xOpen == yOpen:
		return order
	case xOpen == (excluding == MoreThan):
		return 1
	}
	return -1
}

func compareNumbers(a, b string) int {
	x, y := number(a), number(b)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// number reads what JSON and SQL write as one. What is too large is infinite.
func number(text string) float64 {
	n, _ := strconv.ParseFloat(text, 64)
	return n
}

// divides tells whether a number is a multiple of another, as far as floating point knows.
func divides(divisor, n string) bool {
	quotient := number(n) / number(divisor)
	return math.Abs(quotient-math.Round(quotient)) < 1e-9*math.Max(1, math.Abs(quotient))
}

func changed(was, is string) string {
	switch {
	case was == "":
		return "There was no such limit, and it is " + is + " now"
	case is == "":
		return "It was " + was + ", and there is no such limit now"
	}
	return fmt.Sprintf("It was %s, and is %s", was, is)
}

// checks tells of conditions that rows may not hold.
func (c *comparison) checks() {
	if c.old[CheckPromise] == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.next[CheckPromise])) {
		table, constraint, _ := strings.Cut(name, " ")
		was, is := c.old[CheckPromise][name], c.next[CheckPromise][name]
		if !c.old.has(TablePromise, table) || was == is || was != "" && relaxed(was, is) || was == "" && c.ofNewColumn(table, is) {
			continue
		}
		note, drop := "", ""
		if was != "" {
			note, drop = fmt.Sprintf("It was %s, and is %s. ", was, is), fmt.Sprintf("DROP CONSTRAINT %s, ", quoteName(constraint))
		}
		c.add(CheckPromise, name, note+fmt.Sprintf("Rows that are there may not hold it: change those first (SELECT count(*) FROM %[1]s WHERE NOT (%[2]s);), then: ALTER TABLE %[1]s %[3]sADD CONSTRAINT %[4]s CHECK (%[2]s);",
			quoteName(table), is, drop, quoteName(constraint)))
	}
}

// ofNewColumn tells whether a condition is about a column that no row has a value in.
func (c *comparison) ofNewColumn(table, condition string) bool {
	return slices.ContainsFunc(c.added(ColumnPromise), func(name string) bool {
		column, found := strings.CutPrefix(name, table+".")
		return found && regexp.MustCompile(`\b`+regexp.QuoteMeta(column)+`\b`).MatchString(condition)
	})
}

var (
	// bound is a comparison with a number, and not the end of another operator such as <> and ->.
	bound = regexp.MustCompile(`([\w)"\s])([<>]=?)\s*(-?\d+(?:\.\d+)?)`)
	// turned are words that may make less of a condition that lets more through.
	turned = regexp.MustCompile(`(?i)\b(?:NOT|CASE|IS|TRUE|FALSE)\b|\)\s*(?:=|<>|!=)|(?:=|<>|!=)\s*\(`)
)

// relaxed tells whether a condition differs from another only in numbers, which let more through.
func relaxed(was, is string) bool {
	if bound.ReplaceAllString(was, "$1$2") != bound.ReplaceAllString(is, "$1$2") || turned.MatchString(is) {
		return false
	}
	before, now := bound.FindAllStringSubmatch(was, -1), bound.FindAllStringSubmatch(is, -1)
	for i := range before {
		if order := compareNumbers(before[i][3], now[i][3]); order != 0 && (order < 0) != (before[i][2][0] == '<') {
			return false
		}
	}
	return true
}
