package repoconfig

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Limits of a file.
const (
	maxSize     = 64 << 10
	maxDepth    = 12
	maxProblems = 50 // also GitHub's number of annotations in one request
)

// Read reads the file of a checkout, as far as tells Parse that it is too large.
func Read(checkout fs.FS) (data []byte, found bool, err error) {
	file, err := checkout.Open(Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("configuration: %w", err)
	}
	defer file.Close()
	if data, err = io.ReadAll(io.LimitReader(file, maxSize+1)); err != nil {
		return nil, false, fmt.Errorf("configuration: %w", err)
	}
	return data, true, nil
}

// Parse takes one file. It returns every problem found, in order of their places, at most 50;
// with any problem the Config is the default and must not be used. An empty file is valid.
func Parse(data []byte) (Config, []preview.Problem) {
	p := &parser{}
	config := Default()
	if root := p.document(data); root != nil {
		p.structure(root, 0)
		p.config(root, &config)
	}
	if len(p.problems) == 0 {
		return config, nil
	}
	slices.SortStableFunc(p.problems, func(a, b preview.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	p.problems = slices.Compact(p.problems)
	return Default(), p.problems[:min(len(p.problems), maxProblems)]
}

// parser collects problems.
type parser struct {
	problems []preview.Problem
}

func (p *parser) add(line, column int, hint, format string, args ...any) {
	p.problems = append(p.problems, preview.Problem{
		Path: Path, Line: line, Column: column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (p *parser) at(n *yaml.Node, hint, format string, args ...any) {
	p.add(n.Line, n.Column, hint, format, args...)
}

// document is the root of the only document, or nil when the file is empty or no YAML.
func (p *parser) document(data []byte) *yaml.Node {
	switch {
	case len(data) > maxSize:
		p.add(1, 1, "Remove what is not needed.", "The file is larger than 64 kB.")
		return nil
	case !utf8.Valid(data):
		p.add(1, 1, "Save the file as UTF-8.", "The file is not UTF-8.")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		p.syntax(err)
		return nil
	}
	switch err := decoder.Decode(&next); {
	case err == nil:
		p.at(&next, "Remove the --- line and what follows it.", "The file has more than one document.")
	case !errors.Is(err, io.EOF):
		p.syntax(err)
	}
	if len(doc.Content) != 1 {
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" && root.Anchor == "" {
		return nil
	}
	return root
}

var yamlError = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`) })

// syntax records what the YAML reader said, without its prefix. An empty file is no error.
func (p *parser) syntax(err error) {
	if errors.Is(err, io.EOF) {
		return
	}
	line, text := 1, err.Error()
	if m := yamlError().FindStringSubmatch(strings.SplitN(text, "\n", 2)[0]); m != nil {
		text = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			line = n
		}
	}
	p.add(line, 0, "Check the indentation and quotes around this line.", "The file is not valid YAML: %s.", shorten(text))
}

// structure refuses, anywhere in the tree, what YAML offers and this file has no use for. It
// looks at each node once: aliases are not followed.
func (p *parser) structure(n *yaml.Node, depth int) {
	if depth > maxDepth {
		p.at(n, "", "The file is nested deeper than %d levels.", maxDepth)
		return
	}
	if n.Anchor != "" {
		p.at(n, "Write the value out.", "Anchors (&%s) are not supported.", shorten(n.Anchor))
	}
	switch n.Kind {
	case yaml.AliasNode:
		p.at(n, "Quote the text if it should begin with *.", "Aliases (*%s) are not supported.", shorten(n.Value))
		return
	case yaml.MappingNode:
		p.keys(n)
	case yaml.ScalarNode:
		if n.Style&yaml.TaggedStyle != 0 {
			p.at(n, "Remove the tag.", "Tags (%s) are not supported.", shorten(n.Tag))
		}
	}
	for _, child := range n.Content {
		p.structure(child, depth+1)
	}
}

// keys refuses doubled keys and keys that are not plain text.
func (p *parser) keys(n *yaml.Node) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode:
			p.at(key, "", "A key must be plain text.")
		case key.ShortTag() == "!!merge":
			p.at(key, "Write the keys out.", "Merge keys (<<) are not supported.")
		case first[key.Value] > 0:
			p.at(key, "Remove one of them.", "The key %q is already set on line %d.", shorten(key.Value), first[key.Value])
		default:
			first[key.Value] = key.Line
		}
	}
}

// shorten bounds a text that a message quotes.
func shorten(text string) string {
	const limit = 60
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + "…"
}
