package postman

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/postmanfile"
	"github.com/flaresmith/flaresmith/app/preview"
)

// markKey is the variable that holds an environment's mark. No template can set it.
const markKey = "flaresmith"

// What people read of the mark.
const (
	markDescription       = "How Flaresmith knows this environment. It is overwritten and removed with the pull request or branch that it belongs to."
	collectionDescription = "The requests of this environment, kept by Flaresmith: what is changed here is overwritten by the next push, and all of it is removed with the pull request or branch."
	beginComment          = "<!-- flaresmith "
	endComment            = " -->"
)

// mark is what an environment or a collection says of itself.
type mark struct {
	preview.Mark

	Digest     string `json:"digest,omitempty"`     // environments: of the last finished Apply
	Collection string `json:"collection,omitempty"` // environments: the uid of the collection; empty: none
}

// text is the mark as JSON, which escapes < and > and so ends no comment.
func (m mark) text() string {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // made of strings
	}
	return string(text)
}

func parseMark(text string) mark {
	var m mark
	if json.Unmarshal([]byte(text), &m) != nil || m.Project == "" {
		return mark{} // an unreadable mark is a foreign one
	}
	return m
}

// marked is the values with the mark behind them.
func marked(values []postmanfile.Variable, m mark) []variable {
	all := make([]variable, 0, len(values)+1)
	for _, v := range values {
		all = append(all, variable{Variable: v})
	}
	return append(all, variable{Variable: postmanfile.Variable{Key: markKey, Value: m.text(), Type: "default"}, Description: markDescription})
}

// markOf takes the mark out of an environment's values.
func markOf(all []variable) (values []postmanfile.Variable, m mark) {
	for _, v := range all {
		if v.Key == markKey {
			m = parseMark(v.Value)
			continue
		}
		values = append(values, v.Variable)
	}
	return values, m
}

// withoutMarkKey drops what a template calls as the mark is called.
func withoutMarkKey(values []postmanfile.Variable) []postmanfile.Variable {
	return slices.DeleteFunc(values, func(v postmanfile.Variable) bool { return v.Key == markKey })
}

// describe is a collection's description with the mark in a comment, which Postman does not show.
func describe(m preview.Mark) string {
	return collectionDescription + "\n\n" + beginComment + mark{Mark: m}.text() + endComment
}

// markOfCollection reads the mark from a description, which Postman gives as a text or as an object.
func markOfCollection(body object) mark {
	info, _ := body["info"].(object)
	text, _ := info["description"].(string)
	if described, ok := info["description"].(object); ok {
		text, _ = described["content"].(string)
	}
	at := strings.LastIndex(text, beginComment)
	if at < 0 {
		return mark{}
	}
	text, _, _ = strings.Cut(text[at+len(beginComment):], endComment)
	return parseMark(text)
}
