package spec

import (
	"slices"
	"strings"
	"sync"
)

// modifier is a phrase that says something about a field; apply gets its submatches.
type modifier struct {
	phrase pattern
	loose  bool // whatever follows is prose
	apply  func(f *Field, m []string)
}

const identifier = "[`\"*]*([A-Za-z_][A-Za-z0-9_]*)[`\"*]*"

// modifiers are the phrases, at the beginning of what is left of a text. They are compiled when the first
// data model is read: commands that read none start sooner.
var modifiers = sync.OnceValue(func() []modifier { //nolint:gochecknoglobals // a constant table
	return []modifier{
		{lazily(`^(?i)(?:composite )?(?:primary key|pk)\b`), true, func(f *Field, _ []string) { f.Primary = true }},
		{lazily(`^(?i)not null(able)?\b`), true, func(f *Field, _ []string) { f.say(No) }},
		{lazily(`^(?i)required\b`), false, func(f *Field, _ []string) { f.say(No) }},
		{lazily(`^(?i)(?:nullable|optional)\b`), false, func(f *Field, _ []string) { f.say(Yes) }},
		{lazily(`^(?i)null\b`), false, func(f *Field, _ []string) { f.say(Yes) }},
		{lazily(`^(?i)unique (?:per|within|for each|by|together with|in) ([^,;(.]+)`), true, func(f *Field, m []string) { f.Scoped = strings.TrimSpace(m[1]) }},
		{lazily(`^(?i)(?:unique(?: (?:constraint|index|key))?|uk)\b`), false, func(f *Field, _ []string) { f.Unique = true }},
		{lazily(`^(?i)case[- ]insensitive(?:ly)?\b`), true, func(f *Field, _ []string) { f.AnyCase = true }},
		{lazily(`^(?i)(?:indexed|index)\b`), false, func(f *Field, _ []string) { f.Indexed = true }},
		{lazily(`^(?i)(?:auto[- ]?increment(?:ing|ed)?|identity|generated (?:always|by default) as identity|serial)\b`), false, func(f *Field, _ []string) { f.Identity = true }},
		{lazily(`^(?i)(?:auto[- ]?update[ds]?|on update (?:now\(\)|current_timestamp))`), false, func(f *Field, _ []string) { f.OnUpdate = true }},
		{lazily(`^(?i)(?:(?:→|->)\s*)?on delete (cascade|set null|set default|restrict|no action)`), false, func(f *Field, m []string) {
			if f.Ref != nil {
				f.Ref.OnDelete = strings.ToLower(m[1])
			}
		}},
		{lazily("^(?i)(?:(?:fk|foreign key|references|ref|refs)\\b\\s*(?:→|->|=>|:|to\\b|references\\b)?\\s*|(?:→|->)\\s*fk\\s+)(?:the )?" + identifier + "(?:\\." + identifier + "|\\s*\\(" + identifier + "\\))?"), true, reference},
		{lazily("^(?:→|->)\\s*(?i:the )?" + identifier + "(?:\\." + identifier + "|\\s*\\(" + identifier + "\\))?(?:\\s*(→|->))?"), true, reference},
		{lazily("^(?i)(?:fk|foreign key|references)\\s*\\(" + identifier + "\\." + identifier + "\\)"), true, reference},
		{lazily("^(?i)(?:the )?" + identifier + " (?:reference|ref|fk|foreign key)$"), true, func(f *Field, m []string) {
			if Key(f.Name) == Key(m[1])+"id" { // project_id: "project reference", and not "current active version reference"
				reference(f, []string{m[0], m[1], ""})
			}
		}},
		{lazily("^(?i)default(?:s to)?\\s*[:=]?\\s*(`[^`]*`|\"[^\"]*\"|'[^']*'(?:::[a-z]+(?:\\[\\])?)?|[A-Za-z_][A-Za-z0-9_.]*\\(\\)|current[ _][a-z]+\\b|-?[0-9]+(?:\\.[0-9]+)?\\b|\\[\\]|\\{\\}|[A-Za-z_][A-Za-z0-9_-]*)"), true, defaultValue},
		{lazily(`^(?i)(?:enum|one of|values|allowed values|enum values)\s*[:=]?\s*[({\[]?\s*(.+)$`), true, enumValues},
		{lazily(`^(?i)(?:length |len )?(\d+)\s*(?:\.\.\.?|–|-| to )\s*(\d+)(?: char(?:acter)?s?)?(?:$|[,;)])`), true, func(f *Field, m []string) { f.Min, f.Max = m[1], m[2] }},
		{lazily(`^(?i)(?:max(?:imum)?(?: length)?|up to|<=|≤)\s*[:=]?\s*(\d+)(?: (?:char(?:acter)?s?|bytes))?\b`), true, func(f *Field, m []string) { f.Max = m[1] }},
		{lazily(`^(?i)(?:min(?:imum)?(?: length)?|at least|>=|≥)\s*[:=]?\s*(\d+)(?: char(?:acter)?s?)?\b`), true, func(f *Field, m []string) { f.Min = m[1] }},
		{lazily(`^(?i)(?:>\s*0|positive)\b`), false, func(f *Field, _ []string) { f.Min = "1" }},
		{lazily("^(?i)(?:must )?(?:match(?:es|ing)? )?(?:the )?(?:regex|pattern|regexp)?\\s*:?\\s*`(\\^[^`]*\\$)`"), true, func(f *Field, m []string) {
			f.Checks = append(f.Checks, Check{Expression: f.Name + " ~ " + Literal(m[1])})
		}},
		{lazily(`^(\d+)$`), true, func(f *Field, m []string) { f.Max = m[1] }},
	}
})

func (f *Field) say(optional Said) {
	if f.Optional == Unsaid {
		f.Optional = optional
	}
}

func reference(f *Field, m []string) {
	if len(m) == 5 && m[4] != "" {
		return // planned → active → done
	}
	if len(m) > 3 {
		m[2] += m[3]
	}
	switch word := strings.ToLower(m[1]); {
	case f.Ref != nil, word == "see", word == "null", word == "not":
	case word == "unique": // FK UNIQUE
		f.Unique = true
	case (word == "auth" || word == "public") && m[2] != "": // a schema
		f.Ref = &Reference{Schema: strings.TrimPrefix(word, "public"), Entity: m[2]}
	default:
		f.Ref = &Reference{Entity: m[1], Field: m[2]}
	}
}

var presentTime = lazily(`^current[ _](?:timestamp|date|time|date[ _]?time)(?:\(\))?$`)

func defaultValue(f *Field, m []string) {
	if f.HasDefault {
		return
	}
	f.HasDefault, f.Default = true, strings.Trim(m[1], "`")
	switch lower := strings.ToLower(f.Default); {
	case lower == "now()" || lower == "now" || presentTime.MatchString(lower):
		f.Default = "now()"
	case lower == "true" || lower == "false":
		f.Default = lower
	case lower == "null" || lower == "nil" || lower == "undefined":
		f.HasDefault, f.Default = false, ""
	case strings.HasPrefix(lower, "auto") && strings.Contains(lower, "increment"):
		f.HasDefault, f.Default, f.Identity = false, "", true
	case lower == "uuid()" || lower == "cuid()" || lower == "gen_random_uuid()" || lower == "uuid_generate_v4()" || lower == "uuid" || strings.HasPrefix(lower, "uuidv4") || strings.HasPrefix(lower, "uuid4"):
		f.Default = "gen_random_uuid()"
	case lower == "auto-generated" || lower == "autogenerated" || strings.HasPrefix(lower, "current ") || (lower == "auto" || lower == "generated") && f.Type.Name != "text" && f.Type.Name != "enum" && f.Type.Name != "": // how is not said
		f.HasDefault, f.Default, f.Vague = false, "", f.Default
	case f.Default == "[]" || f.Default == "{}":
		f.Default = Literal(f.Default)
	case strings.HasPrefix(f.Default, `"`):
		f.Default = Literal(strings.Trim(f.Default, `"`))
	case f.Default != "" && (isWord(f.Default[0]) && f.Default[0] > '9') && !strings.Contains(f.Default, "("):
		f.Default = Literal(f.Default)
	}
}

var enumValue = lazily(`^[A-Za-z0-9_][A-Za-z0-9_.:/ +-]*$`)

func enumValues(f *Field, m []string) {
	if values := splitValues(m[1]); len(values) > 0 && len(f.Values) == 0 {
		f.Values = values
	}
}

// splitValues reads a|b, 'a','b' and `a`, `b`. Prose gives nothing.
func splitValues(s string) []string {
	s = strings.TrimSpace(s)
	by := ","
	switch {
	case strings.Contains(s, "|"):
		by = "|"
	case !strings.Contains(s, ",") && strings.Contains(s, " / "):
		by = " / "
	}
	var values []string
	seen := map[string]bool{}
	for value := range strings.SplitSeq(s, by) {
		value = strings.TrimSpace(value)
		if i := strings.IndexAny(value, ")]};"); i >= 0 {
			value = strings.TrimSpace(value[:i])
			s = ""
		}
		value = strings.TrimSpace(strings.Trim(value, "`'\"*"))
		if !enumValue.MatchString(value) || len(value) > 63 || by == "," && strings.Contains(value, " ") {
			return nil
		}
		if !seen[value] {
			seen[value] = true
			values = append(values, value)
		}
		if s == "" {
			break
		}
	}
	return values
}

// Literal quotes a text for SQL.
func Literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

var alternatives = lazily("^[`'\"]?[A-Za-z0-9_-]+[`'\"]?(?:\\s*\\|\\s*[`'\"]?[A-Za-z0-9_-]+[`'\"]?)+$")

var (
	nullWord  = lazily(`^(?i:null)$`)
	noValue   = lazily(`^(?:(?i:null)|None|nil|undefined)$`)
	typeTitle = lazily(`^[A-Z][A-Za-z0-9_]*\??$`)
	allQuoted = lazily(`^(?:'[^']*'|"[^"]*")(?: \| (?:'[^']*'|"[^"]*"))*$`)
)

// withoutNull takes null out of alternatives, where it is not part of something in brackets. None, nil and undefined
// mean it beside a single type, or beside texts in quotes; elsewhere they are values that many enums have.
func withoutNull(text string, isType func(string) bool) (string, bool) {
	if !strings.Contains(text, "|") || strings.ContainsAny(text, "<{[(") {
		return text, false
	}
	all := strings.Split(text, "|")
	for i := range all {
		all[i] = strings.TrimSpace(all[i])
	}
	without := func(word pattern) string {
		return strings.Join(slices.DeleteFunc(slices.Clone(all), word.MatchString), " | ")
	}
	kept := without(noValue)
	if !isType(kept) && !allQuoted.MatchString(kept) {
		kept = without(nullWord)
	}
	if kept == "" || kept == strings.Join(all, " | ") {
		return text, false
	}
	return kept, true
}

func isKnownType(text string) bool {
	_, rest, ok := parseType(text, false)
	return ok && strings.Trim(rest, "? ") == ""
}

// isType tells whether a text may be a type, if types stand where it does.
func isType(text string) bool { return isKnownType(text) || typeTitle.MatchString(text) }

// among reads a | b | null. One alternative to null is no list of values.
func (f *Field) among(text string) {
	kept, found := withoutNull(text, isKnownType)
	if found {
		f.say(Yes)
		f.OrNull = true
	}
	if strings.Contains(kept, "|") {
		f.Values = splitValues(kept)
	}
}

// qualify reads the phrases of a text into a field. It stops at prose and goes on behind the next
// comma, semicolon or parenthesis.
func qualify(f *Field, text string) {
	const most = 200 // phrases of one field
	text = strings.TrimSpace(text)
	for range most {
		text = strings.TrimLeft(text, " \t,;()*·•.")
		if text == "" {
			return
		}
		segment := text
		if i := strings.IndexAny(text, ",;()"); i >= 0 {
			segment = text[:i]
		}
		if values := strings.TrimSpace(segment); alternatives.MatchString(values) && len(f.Values) == 0 {
			f.among(values)
			text = text[len(segment):]
			continue
		}
		if used := phrase(f, text); used > 0 {
			text = text[used:]
			continue
		}
		next := strings.IndexAny(text, ",;()")
		if arrow := strings.IndexAny(text, "→"); arrow >= 0 && (next < 0 || arrow < next) && arrow > 0 {
			next = arrow
		} else if next >= 0 {
			next++
		}
		if next < 0 {
			return
		}
		text = text[next:]
	}
}

// phrase reads one phrase and tells how many bytes it took, or 0.
func phrase(f *Field, text string) int {
	for _, m := range modifiers() {
		found := m.phrase.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		if !m.loose && !endsPhrase(text[len(found[0]):]) {
			continue
		}
		m.apply(f, found)
		return len(found[0])
	}
	return 0
}

// endsPhrase tells a keyword from the first word of a sentence: something else than prose follows.
func endsPhrase(rest string) bool {
	rest = strings.TrimLeft(rest, " \t*")
	if rest == "" || strings.ContainsAny(rest[:1], ",;().|/") || strings.HasPrefix(rest, "→") || strings.HasPrefix(rest, "->") || strings.HasPrefix(rest, "- ") ||
		strings.HasPrefix(rest, "– ") || strings.HasPrefix(rest, "— ") {
		return true
	}
	for _, m := range modifiers() {
		if found := m.phrase.FindString(rest); found != "" {
			return true
		}
	}
	return false
}
