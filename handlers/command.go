package handlers

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	commandPrefix = "/flaresmith"
	maxArgument   = 100 // characters
	maxIndent     = 3   // spaces; with four, Markdown shows code
)

// ParseCommand reads a slash command from the first line of a comment: "/flaresmith verb argument".
// Letter case does not matter in the prefix and the verb; a bare "/flaresmith" asks for help. ok is
// false when the line is none, as a quoted one. A verb that we do not have is VerbUnknown, with all
// that was typed after the prefix as its argument. The argument has at most 100 characters and no
// control characters; it is hostile text all the same.
func ParseCommand(body string) (verb preview.Verb, argument string, ok bool) {
	line, _, _ := strings.Cut(body, "\n")
	bare := strings.TrimLeft(line, " ")
	if len(line)-len(bare) > maxIndent || len(bare) < len(commandPrefix) || !strings.EqualFold(bare[:len(commandPrefix)], commandPrefix) {
		return "", "", false
	}
	rest := bare[len(commandPrefix):]
	if first, _ := utf8.DecodeRuneInString(rest); rest != "" && !unicode.IsSpace(first) {
		return "", "", false
	}
	rest = strings.TrimSpace(printable(rest))
	if rest == "" {
		return preview.VerbHelp, "", true
	}
	word, argument := rest, ""
	if end := strings.IndexFunc(rest, unicode.IsSpace); end >= 0 {
		word, argument = rest[:end], strings.TrimSpace(rest[end:])
	}
	switch verb = preview.Verb(strings.ToLower(word)); verb {
	case preview.VerbHelp, preview.VerbStatus, preview.VerbRebuild, preview.VerbResetDB, preview.VerbExtend,
		preview.VerbDestroy, preview.VerbPreview, preview.VerbApprove, preview.VerbSpec:
		return verb, truncated(argument), true
	}
	return preview.VerbUnknown, truncated(rest), true
}

// printable drops what no person types: control and format characters, and bytes that are no text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

func truncated(s string) string {
	if utf8.RuneCountInString(s) <= maxArgument {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:maxArgument]))
}
