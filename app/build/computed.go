package build

import (
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// esbuild follows an import() or require() whose path is computed from a relative text, such as
//
//	import(`./pages/${name}.js`)
//
// by listing folders on the disk itself, past every plugin, and "../" leads it out of any
// folder. Such calls must therefore never reach the bundler. computedImport finds them, in two
// steps: most files can't hold one by a look at their text; the rest are printed anew by
// esbuild's own parser, without comments, types, escapes and folded constants, which leaves
// exactly one way to write such a call.

// mayCompute reports whether text could hold a computed import. It errs on the side of true.
func mayCompute(text string) bool {
	for rest := text; ; {
		i := strings.Index(rest, "import")
		if i < 0 {
			break
		}
		rest = rest[i+len("import"):]
		after := skipTrivia(rest)
		if after == "" {
			continue
		}
		switch {
		case after[0] == '(' && !literalCall(after):
			return true
		case after[0] == '.' && !strings.HasPrefix(skipTrivia(after[1:]), "meta"):
			return true
		}
	}
	for _, at := range requireWord.FindAllStringIndex(text, -1) {
		if at[0] > 0 && identifierByte(text[at[0]-1]) {
			continue
		}
		rest := text[at[1]:]
		if rest == "" || identifierByte(rest[0]) || literalCall(rest) {
			continue
		}
		return true
	}
	return false
}

// requireWord is "require", each letter as itself or as an escape.
var requireWord = regexp.MustCompile(requirePattern())

func requirePattern() string {
	var b strings.Builder
	for _, code := range []string{"r72", "e65", "q71", "u75", "i69", "r72", "e65"} {
		b.WriteString(`(?:` + code[:1] + `|\\u00` + code[1:] + `|\\u\{0*` + code[1:] + `\})`)
	}
	return b.String()
}

func identifierByte(c byte) bool {
	return c == '_' || c == '$' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// literalCall reports whether s begins with a call whose first argument is one plain text.
func literalCall(s string) bool {
	if s[0] != '(' {
		return false
	}
	s = skipTrivia(s[1:])
	if s == "" || (s[0] != '"' && s[0] != '\'') {
		return false
	}
	end := strings.IndexAny(s[1:], s[:1]+"\\\n\r")
	if end < 0 || s[1+end] != s[0] {
		return false
	}
	s = skipTrivia(s[end+2:])
	return s != "" && (s[0] == ')' || s[0] == ',')
}

// skipTrivia cuts white space and comments; every byte beyond ASCII counts as white space.
func skipTrivia(s string) string {
	for s != "" {
		switch {
		case s[0] <= ' ' || s[0] >= 0x80:
			s = s[1:]
		case strings.HasPrefix(s, "/*"):
			_, after, ok := strings.Cut(s[2:], "*/")
			if !ok {
				return ""
			}
			s = after
		case strings.HasPrefix(s, "//"), strings.HasPrefix(s, "<!--"), strings.HasPrefix(s, "-->"):
			end := strings.IndexAny(s, "\n\r\u2028\u2029")
			if end < 0 {
				return ""
			}
			s = s[end:]
		default:
			return s
		}
	}
	return s
}

// printedCall finds a call whose first argument begins with a text, in what esbuild printed.
var printedCall = regexp.MustCompile("(?:import(?:\\.[a-z]+)?|require)(?:\\?\\.)?\\([\"'`]")

// computedImport reports whether text holds a computed import. Errors of the parser are
// returned as they are: what it does not understand must not go to the bundler either.
func computedImport(text string, loader api.Loader, options api.TransformOptions) (bool, []api.Message) {
	options.Loader = loader
	options.Format = api.FormatESModule
	options.MinifyWhitespace = true
	options.LegalComments = api.LegalCommentsNone
	options.Charset = api.CharsetUTF8
	options.LogLevel = api.LogLevelSilent
	result := api.Transform(text, options)
	if len(result.Errors) > 0 {
		return false, result.Errors
	}
	code := string(result.Code)
	for _, at := range printedCall.FindAllStringIndex(code, -1) {
		if !wholeText(code[at[1]-1:]) {
			return true, nil
		}
	}
	return false, nil
}

// wholeText reports whether s begins with a text literal that is the whole argument.
func wholeText(s string) bool {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == quote:
			return i+1 < len(s) && (s[i+1] == ')' || s[i+1] == ',')
		case quote == '`' && strings.HasPrefix(s[i:], "${"):
			return false
		}
	}
	return false
}
