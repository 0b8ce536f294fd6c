package repoconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/flaresmith/flaresmith/app/preview"
)

// field reads one value; name is its full key, such as "preview.ttl".
type field func(n *yaml.Node, name string)

// fields is what a mapping may hold.
type fields map[string]field

const (
	maxText = 128
	maxPath = 255
	maxList = 50
)

func (p *parser) section(known fields) field {
	return func(n *yaml.Node, name string) { p.mapping(n, name, known) }
}

func (p *parser) mapping(n *yaml.Node, name string, known fields) {
	if n.Kind != yaml.MappingNode {
		p.wrongType(n, name, "a mapping")
		return
	}
	prefix := ""
	if name != "" {
		prefix = name + "."
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			continue // structure has said so
		}
		if read, ok := known[key.Value]; ok {
			read(value, prefix+key.Value)
			continue
		}
		p.at(key, suggest(key.Value, slices.Sorted(maps.Keys(known))), "The key %q is unknown.", shorten(prefix+key.Value))
	}
}

func (p *parser) boolean(into *bool) field {
	return func(n *yaml.Node, name string) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
			p.wrongType(n, name, "true or false")
			return
		}
		*into = strings.EqualFold(n.Value, "true")
	}
}

func (p *parser) integer(into *int, least, most int) field {
	return func(n *yaml.Node, name string) {
		want := fmt.Sprintf("a whole number from %d to %d", least, most)
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" {
			p.wrongType(n, name, want)
			return
		}
		value, err := strconv.Atoi(n.Value)
		if err != nil || value < least || value > most {
			p.at(n, "", "%s is %s and must be %s.", name, shorten(n.Value), want)
			return
		}
		*into = value
	}
}

var wholeHours = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([1-9][0-9]{0,3})h$`) })

func (p *parser) hours(into *time.Duration, least, most int) field {
	return func(n *yaml.Node, name string) {
		want := fmt.Sprintf("whole hours from %dh to %dh", least, most)
		text, ok := p.scalar(n, name, want)
		if !ok {
			return
		}
		m := wholeHours().FindStringSubmatch(text)
		if m == nil {
			p.at(n, fmt.Sprintf("Write for example %dh.", 3*least), "%s is %q and must be %s.", name, shorten(text), want)
			return
		}
		count, _ := strconv.Atoi(m[1]) // at most four digits
		if count < least || count > most {
			p.at(n, "", "%s is %s and must be %s.", name, text, want)
			return
		}
		*into = time.Duration(count) * time.Hour
	}
}

func (p *parser) text(into *string, check func(string) error) field {
	return func(n *yaml.Node, name string) {
		text, ok := p.scalar(n, name, "text")
		if !ok {
			return
		}
		if err := check(text); err != nil {
			p.at(n, "", "%s %s.", name, err)
			return
		}
		*into = text
	}
}

func (p *parser) list(into *[]string, check func(string) error) field {
	return func(n *yaml.Node, name string) {
		if n.Kind != yaml.SequenceNode {
			p.wrongType(n, name, "a list of texts")
			return
		}
		if len(n.Content) > maxList {
			p.at(n, "", "%s has more than %d entries.", name, maxList)
			return
		}
		values := make([]string, len(n.Content))
		for i, item := range n.Content {
			p.text(&values[i], check)(item, fmt.Sprintf("%s[%d]", name, i))
		}
		*into = values
	}
}

// patterns is a list of patterns with at least one entry.
func (p *parser) patterns(into *[]string) field {
	return func(n *yaml.Node, name string) {
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			p.at(n, `Write "**" for every branch.`, "%s is empty, so no branch would match.", name)
			return
		}
		p.list(into, checkPattern)(n, name)
	}
}

func choice[T ~string](p *parser, into *T, allowed ...T) field {
	return func(n *yaml.Node, name string) {
		names := make([]string, len(allowed))
		for i, a := range allowed {
			names[i] = string(a)
		}
		want := strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
		text, ok := p.scalar(n, name, want)
		if !ok {
			return
		}
		if !slices.Contains(names, text) {
			p.at(n, suggest(text, names), "%s is %q and must be %s.", name, shorten(text), want)
			return
		}
		*into = T(text)
	}
}

// scalar is the text of a node that YAML reads as text.
func (p *parser) scalar(n *yaml.Node, name, want string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		p.wrongType(n, name, want)
		return "", false
	}
	return n.Value, true
}

func (p *parser) wrongType(n *yaml.Node, name, want string) {
	if name == "" {
		name = "The file"
	}
	hint := ""
	found := "text"
	switch {
	case n.Kind == yaml.AliasNode:
		return // structure has said so
	case n.Kind == yaml.MappingNode:
		found = "a mapping"
	case n.Kind == yaml.SequenceNode:
		found = "a list"
	case n.ShortTag() == "!!null":
		p.at(n, "Give it a value or leave the key out.", "%s is empty and must be %s.", name, want)
		return
	case n.ShortTag() == "!!bool":
		found, hint = "true or false", "Put it in quotes if it should be text."
	case n.ShortTag() == "!!int", n.ShortTag() == "!!float", n.ShortTag() == "!!timestamp":
		found, hint = "a number", "Put it in quotes if it should be text."
	}
	if want != "text" && !strings.HasPrefix(want, "whole hours") {
		hint = ""
	}
	p.at(n, hint, "%s is %s and must be %s.", name, found, want)
}

func orEmpty(check func(string) error) func(string) error {
	return func(text string) error {
		if text == "" {
			return nil
		}
		return check(text)
	}
}

func checkText(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("is empty")
	case utf8.RuneCountInString(text) > maxText:
		return fmt.Errorf("is longer than %d characters", maxText)
	case hasControl(text):
		return errors.New("has control characters")
	}
	return nil
}

func checkBinding(text string) error {
	if err := checkText(text); err != nil {
		return err
	}
	if !preview.ValidAllow(text) {
		var kinds []string
		for _, kind := range preview.BindingKinds() {
			kinds = append(kinds, string(kind))
		}
		return fmt.Errorf("is %q: write the kind, a colon and the id or name, as in \"kv:0f1e2d\"; kinds are %s", text, strings.Join(kinds, ", "))
	}
	return nil
}

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("is empty")
	case utf8.RuneCountInString(path) > maxPath:
		return fmt.Errorf("is longer than %d characters", maxPath)
	case path == ".", !fs.ValidPath(path), !filepath.IsLocal(path), strings.Contains(path, `\`), hasControl(path):
		return errors.New("must be a path inside the repository, such as a/b, with forward slashes and without . or .. elements")
	}
	return nil
}

var identifier = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`) })

func checkIdentifier(name string) error {
	if !identifier().MatchString(name) {
		return errors.New("must be letters, digits and _, not beginning with a digit, at most 64 characters")
	}
	return nil
}

// checkWorkerName says what is wrong with the name of a Worker, which becomes part of a host name and the
// name of a variable in the Postman environment.
func checkWorkerName(name string) error {
	switch {
	case !preview.ValidWorkerName(name):
		return fmt.Errorf("must be small letters, digits and single hyphens between them, beginning with a letter, at most %d characters", preview.MaxWorkerName)
	case name == "base":
		return errors.New("is taken: baseUrl is the address of the first Worker in the Postman environment")
	}
	return nil
}

// checkEnvironmentName takes what a Worker may be called, too.
func checkEnvironmentName(name string) error {
	if !preview.ValidWorkerName(name) {
		return fmt.Errorf("must be small letters, digits and single hyphens between them, beginning with a letter, at most %d characters", preview.MaxWorkerName)
	}
	return nil
}

func checkOneOf(allowed ...string) func(string) error {
	return func(text string) error {
		if !slices.Contains(allowed, text) {
			return fmt.Errorf("is %q and must be one of %s", shorten(text), strings.Join(allowed, ", "))
		}
		return nil
	}
}

func hasControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }
