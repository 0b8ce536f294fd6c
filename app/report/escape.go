package report

import (
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// zeroWidthSpace parts what GitHub would turn into a link or a notification.
const zeroWidthSpace = "\u200b"

// Escape makes text of unknown origin safe inside a line of Markdown: the result renders as the
// text on one line, without markup, HTML, images, links, mentions or references.
func Escape(text string) string {
	var b strings.Builder
	for i, r := range oneLine(text) {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case r == '$': // GitHub's mathematics
			b.WriteString("&#36;")
		case r == '@':
			b.WriteString("@" + zeroWidthSpace)
		case r == '#':
			b.WriteString(`\#` + zeroWidthSpace)
		case strings.ContainsRune("\\`*_[]()!|~", r), i == 0 && strings.ContainsRune("-+=", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return unlink(b.String())
}

var bareLink = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)(:)(//)|(www)(\.)|(mailto|xmpp)(:)|(\bgh)(-)`) })

// unlink parts what GitHub links without any markup.
func unlink(text string) string {
	return bareLink().ReplaceAllString(text, "${1}${3}${5}${7}"+zeroWidthSpace+"${2}${4}${6}${8}")
}

// CodeSpan is text as inline code, which GitHub shows as it is; not for cells of a table.
// Empty text gives nothing.
func CodeSpan(text string) string {
	text = oneLine(text)
	if text == "" {
		return ""
	}
	fence := strings.Repeat("`", longestRun(text)+1)
	if strings.HasPrefix(text, "`") || strings.HasSuffix(text, "`") {
		text = " " + text + " "
	}
	return fence + text + fence
}

// codeCell is CodeSpan for a cell of a table, where a bar ends the cell even in code.
func codeCell(text string) string { return strings.ReplaceAll(CodeSpan(text), "|", `\|`) }

// fenced is text as a block of code; the fence is longer than any in the text.
func fenced(language, text string) string {
	fence := strings.Repeat("`", max(3, longestRun(text)+1))
	return fence + language + "\n" + strings.TrimRight(text, "\n") + "\n" + fence + "\n"
}

func longestRun(text string) int {
	longest, run := 0, 0
	for _, r := range text {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// oneLine makes text plain: valid UTF-8 on one line, with single spaces and without invisible
// characters, which could reorder or hide what a person reads.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(visible(text), func(r rune) bool {
		return unicode.IsSpace(r)
	}), " ")
}

// visible drops invisible characters except line ends and tabs.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t', unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return r
		case r == '\r':
			return -1
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
}

// clip bounds text to a number of characters.
func clip(text string, characters int) string {
	if utf8.RuneCountInString(text) <= characters {
		return text
	}
	return strings.TrimRight(string([]rune(text)[:characters-1]), " ") + "…"
}

// clipLines bounds text to a number of bytes, ending after a whole line where there is one, and
// tells whether something was left out.
func clipLines(text string, bytes int) (string, bool) {
	if len(text) <= bytes {
		return text, false
	}
	cut := max(bytes, 0)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	if end := strings.LastIndexByte(text[:cut], '\n'); end >= 0 {
		cut = end + 1
	}
	return text[:cut], true
}

// link is a Markdown link with a text that is already Markdown, or the text alone when the
// address is none that a person should be sent to.
func link(markdown, address string) string {
	if !linkable(address) {
		return markdown
	}
	return "[" + markdown + "](<" + address + ">)"
}

// linkable allows absolute http and https addresses without characters that end a link.
func linkable(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && (parsed.Scheme == "https" || parsed.Scheme == "http") && parsed.Host != "" &&
		parsed.User == nil && len(address) <= 2000 && !strings.ContainsFunc(address, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("<>()[]\\\"'`|@", r)
	})
}
