package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/app/spelling"
)

// ownPrefix is what variables begin with that are the product's alone, and testPrefix those of its tests.
const ownPrefix, testPrefix = "FLARESMITH_", "FLARESMITH_TEST_"

// warnings are what keeps nothing from starting and is hardly meant.
func (c Config) warnings(variables map[string]string) []string {
	var list []string
	if len(c.AllowedOrgs) == 0 && len(c.Tenants) == 0 {
		list = append(list, "FLARESMITH_ALLOWED_ORGS: is empty: nobody gets a preview")
	}
	return append(list, misspelt(variables)...)
}

// misspelt names the variables that look like the server's and are not: those with its own prefix, and others that are nearly
// one that is not set.
func misspelt(variables map[string]string) []string {
	var list []string
	known := names(reflect.TypeFor[Config]())
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if strings.HasPrefix(name, testPrefix) || slices.Contains(known, name) {
			continue
		}
		text := name + ": is no variable of this server"
		switch meant, ok := spelling.Nearest(name, known); {
		case ok && (strings.HasPrefix(name, ownPrefix) || variables[meant] == ""):
			list = append(list, text+fmt.Sprintf("; did you mean %s?", meant))
		case strings.HasPrefix(name, ownPrefix):
			list = append(list, text)
		}
	}
	return list
}

// names are the variables of a struct's fields, and of those in it.
func names(t reflect.Type) []string {
	var list []string
	for i := range t.NumField() {
		field := t.Field(i)
		if name, ok := field.Tag.Lookup("env"); ok && name != "-" {
			list = append(list, name)
		}
		if field.Type.Kind() == reflect.Struct {
			list = append(list, names(field.Type)...)
		}
	}
	return list
}

// shapes say what a variable of a Go type holds.
func shapes() map[string]string {
	return map[string]string{
		"int": "a whole number", "int64": "a whole number", "float64": "a number", "bool": "true or false",
		"time.Duration": "a duration, such as 90s or 15m", "slog.Level": "debug, info, warn or error",
	}
}

// shape is what a value of the type looks like, for the message about one that does not.
func shape(t reflect.Type) string {
	if words, ok := shapes()[t.String()]; ok {
		return words
	}
	return "a valid " + t.String()
}

// form says what a value is made of, and nothing of the value itself: "2 digits".
func form(value string) string {
	what := "character"
	all := func(is func(rune) bool) bool {
		return !strings.ContainsFunc(value, func(r rune) bool { return !is(r) })
	}
	switch {
	case all(unicode.IsDigit):
		what = "digit"
	case all(unicode.IsLetter):
		what = "letter"
	}
	n := utf8.RuneCountInString(value)
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
