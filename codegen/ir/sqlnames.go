package ir

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Snake is a name as SQL writes it: projectId is project_id, MCPTool is mcp_tool.
func Snake(name string) string {
	for _, word := range [...][2]string{{"OAuth", "Oauth"}, {"GitHub", "Github"}, {"GitLab", "Gitlab"}} { // one word each
		name = strings.ReplaceAll(name, word[0], word[1])
	}
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case r == '-' || r == ' ' || r == '.':
			r = '_'
		case unicode.IsUpper(r):
			lowerBefore := i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1]))
			endsCapitals := i > 0 && i+1 < len(runes) && unicode.IsUpper(runes[i-1]) && unicode.IsLower(runes[i+1])
			if lowerBefore || endsCapitals {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Camel is a name as TypeScript writes members: project_id is projectId.
func Camel(name string) string {
	pascal := Pascal(strings.Trim(name, "_"))
	if name == "" || pascal == "" {
		return name
	}
	if strings.ToLower(name) == name {
		return strings.ToLower(pascal[:1]) + pascal[1:]
	}
	head := 0 // URLPath is urlPath
	for head < len(pascal) && unicode.IsUpper(rune(pascal[head])) {
		head++
	}
	if head > 1 && head < len(pascal) {
		head--
	}
	return strings.ToLower(pascal[:max(head, 1)]) + pascal[max(head, 1):]
}

// Plural is the plural of an English noun, as names of tables want it.
func Plural(name string) string {
	last := name[strings.LastIndexByte(name, '_')+1:]
	ends := func(suffixes ...string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
	}
	switch {
	case slices.Contains([]string{"data", "metadata", "series", "news", "media", "people", "children", "information", "settings"}, last):
		return name
	case ends("ay", "ey", "oy", "uy"):
		return name + "s"
	case ends("y"):
		return name[:len(name)-1] + "ies"
	case ends("ss", "x", "ch", "sh", "us", "zz", "is"):
		return name + "es"
	case ends("s"):
		return name
	}
	return name + "s"
}

// Singular undoes Plural for the common cases.
func Singular(name string) string {
	ends := func(suffixes ...string) bool {
		return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(name, s) })
	}
	switch {
	case ends("movies", "cookies", "caches", "ouses", "auses"): // of a word that ends with e
		return name[:len(name)-1]
	case ends("ies") && len(name) > 4 && !ends("series"):
		return name[:len(name)-3] + "y"
	case ends("sses", "xes", "ches", "shes", "uses"):
		return name[:len(name)-2]
	case ends("ss", "us", "is", "news", "series"):
		return name
	}
	return strings.TrimSuffix(name, "s")
}

// limited keeps a name within the 63 bytes that Postgres keeps of it.
func limited(name string) string {
	const most = 63
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:most-9] + "_" + hex.EncodeToString(sum[:4])
}

// sqlWords are names that need quotes in an expression.
var sqlWords = strings.Fields("all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create current_date current_role current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign from grant group having in initially intersect into lateral leading limit localtime localtimestamp not null offset on only or order placing primary references returning select session_user some symmetric system_user table then to trailing true union unique user using variadic when where window with") //nolint:gochecknoglobals // a constant table

// sqlFunctions are the words of expressions that are no columns.
var sqlFunctions = strings.Fields("and or not null true false array any all case when then else end is in between like ilike similar char_length length cardinality array_length now interval lower upper trim coalesce date_trunc jsonb_typeof text int integer numeric boolean timestamptz date abs") //nolint:gochecknoglobals // a constant table

var sqlPiece = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`'(?:[^']|'')*'|"[^"]*"|[A-Za-z_][A-Za-z0-9_]*|[^A-Za-z_'"]+|.`)
})

// expression writes the names of fields in an expression as their columns'. It tells the words that
// are neither columns nor SQL.
func expression(text string, column func(name string) (string, bool)) (sql string, unknown []string) {
	var b strings.Builder
	for _, piece := range sqlPiece().FindAllString(text, -1) {
		first := piece[0]
		if first == '\'' || first == '"' || first != '_' && (first|0x20 < 'a' || first|0x20 > 'z') {
			b.WriteString(piece)
			continue
		}
		lower := strings.ToLower(piece)
		if name, ok := column(piece); ok {
			if slices.Contains(sqlWords, name) {
				name = `"` + name + `"`
			}
			b.WriteString(name)
			continue
		}
		if lower == "regexp" { // as SQLite and MySQL have it
			b.WriteByte('~')
			continue
		}
		if !slices.Contains(sqlFunctions, lower) {
			unknown = append(unknown, piece)
		}
		b.WriteString(piece)
	}
	return strings.TrimSpace(b.String()), unknown
}
