package handlers

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/app/preview"
)

func TestParseCommand(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		body     string
		verb     preview.Verb // empty: no command
		argument string
	}{
		{"verb", "/flaresmith status", preview.VerbStatus, ""},
		{"argument", "/flaresmith extend 24h", preview.VerbExtend, "24h"},
		{"spaces", "  /flaresmith   extend \t 24h  ", preview.VerbExtend, "24h"},
		{"case", "/FlareSmith Reset-DB", preview.VerbResetDB, ""},
		{"argument keeps its case", "/flaresmith approve ABCdef", preview.VerbApprove, "ABCdef"},
		{"windows line end", "/flaresmith destroy\r\nthanks", preview.VerbDestroy, ""},
		{"bare", "/flaresmith", preview.VerbHelp, ""},
		{"bare with windows line end", "/flaresmith\r\n", preview.VerbHelp, ""},
		{"unknown", "/flaresmith make coffee", preview.VerbUnknown, "make coffee"},
		{"unknown is the product's own word", "/flaresmith unknown", preview.VerbUnknown, "unknown"},
		{"control characters", "/flaresmith extend 2\x004\u202eh", preview.VerbExtend, "24h"},
		{"no break space", "/flaresmith\u00a0status", preview.VerbStatus, ""},
		{"long argument", "/flaresmith approve " + strings.Repeat("ä", 150), preview.VerbApprove, strings.Repeat("ä", 100)},
		{"second line", "hello\n/flaresmith destroy", "", ""},
		{"after an empty line", "\n/flaresmith destroy", "", ""},
		{"quoted", "> /flaresmith destroy", "", ""},
		{"inside a line", "try /flaresmith destroy", "", ""},
		{"code by indent", "    /flaresmith destroy", "", ""},
		{"code by backticks", "`/flaresmith destroy`", "", ""},
		{"longer word", "/flaresmithy destroy", "", ""},
		{"path", "/flaresmith/destroy", "", ""},
		{"empty", "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			verb, argument, ok := ParseCommand(tt.body)
			if verb != tt.verb || argument != tt.argument || ok != (tt.verb != "") {
				t.Errorf("ParseCommand(%q) = %q, %q, %v; want %q, %q", tt.body, verb, argument, ok, tt.verb, tt.argument)
			}
		})
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, seed := range []string{"/flaresmith extend 24h", "/flaresmith\r\n", "> /flaresmith", "/FLARESMITH \xff\x00x", "/flareſmith status"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		verb, argument, ok := ParseCommand(body)
		if !ok {
			if verb != "" || argument != "" {
				t.Fatalf("no command, and yet %q %q", verb, argument)
			}
			return
		}
		if utf8.RuneCountInString(argument) > maxArgument || !utf8.ValidString(argument) {
			t.Fatalf("argument %q is too long or no text", argument)
		}
		if strings.ContainsFunc(argument, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }) {
			t.Fatalf("argument %q has control characters", argument)
		}
		first, _, _ := strings.Cut(body, "\n")
		if again, sameArgument, ok := ParseCommand(first); !ok || again != verb || sameArgument != argument {
			t.Fatalf("later lines of %q changed the command", body)
		}
		if !strings.HasPrefix(strings.ToLower(strings.TrimLeft(first, " ")), commandPrefix) {
			t.Fatalf("%q does not begin with the prefix", body)
		}
	})
}
