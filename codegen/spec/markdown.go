package spec

import (
	"fmt"
	"sort"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// line is a line of Markdown, without its end, and where it begins in the file.
type line struct {
	text string
	at   int
}

// item is an item of a list, with the lists below it.
type item struct {
	line
	items []item
}

// block is a run of prose, a list or a fence; exactly one is set.
type block struct {
	prose []line
	list  []item
	fence *fence
}

type fence struct {
	line            // all of its text
	language string // as the fence says it, in small letters
}

// section is a heading and what stands before the next one.
type section struct {
	title  line
	level  int
	above  []string // the titles of the headings above, without the file's own
	parent *section
	blocks []block
}

// modelReader collects what the notations say.
type modelReader struct {
	file   string
	source []byte
	starts []int
	model  *DataModel
}

func newModelReader(file string, data []byte) *modelReader {
	r := &modelReader{file: file, source: data, starts: []int{0}, model: &DataModel{File: file}}
	for i, c := range data {
		if c == '\n' {
			r.starts = append(r.starts, i+1)
		}
	}
	return r
}

func (r *modelReader) place(at int) Place {
	i := sort.SearchInts(r.starts, at+1) - 1
	return Place{Line: i + 1, Column: at - r.starts[i] + 1}
}

func (r *modelReader) note(at int, format string, args ...any) {
	if len(r.model.Notes) > 10_000 {
		return
	}
	p := r.place(at)
	r.model.Notes = append(r.model.Notes, Problem{File: r.file, Line: p.Line, Column: p.Column, Message: fmt.Sprintf(format, args...)})
}

// sections splits the file by its headings. Only blocks are parsed: what stands within a line is read
// by the notations.
func (r *modelReader) sections() []*section {
	p := parser.NewParser(parser.WithBlockParsers(parser.DefaultBlockParsers()...))
	document := p.Parse(text.NewReader(r.source))
	current := &section{}
	all := []*section{current}
	var within []*section // the headings that are open, each deeper than the one before
	open := func(title line, level int) {
		for len(within) > 0 && within[len(within)-1].level >= level {
			within = within[:len(within)-1]
		}
		current = &section{title: title, level: level}
		if len(within) > 0 {
			current.parent = within[len(within)-1]
		}
		for above := current.parent; above != nil; above = above.parent {
			if above.level > 1 {
				current.above = append(current.above, above.title.text)
			}
		}
		within, all = append(within, current), append(all, current)
	}
	for n := document.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			open(r.firstLine(n), n.Level)
		case *ast.Paragraph:
			lines := r.lines(n)
			if title, ok := boldTitle(lines); ok {
				open(title, 7)
				continue
			}
			current.blocks = append(current.blocks, block{prose: lines})
		case *ast.List:
			current.blocks = append(current.blocks, block{list: r.items(n)})
		case *ast.FencedCodeBlock:
			current.blocks = append(current.blocks, block{fence: r.fence(n)})
		}
	}
	return all
}

var boldName = lazily("^(?:\\*\\*|__)`?([A-Z][A-Za-z0-9]*|[a-z][a-z0-9]*_[a-z0-9_]*)`?(?:\\*\\*|__)$")

// boldTitle takes a paragraph that is one bold name for a heading, unless it is a label such as "Fields".
func boldTitle(lines []line) (line, bool) {
	if len(lines) != 1 {
		return line{}, false
	}
	m := boldName.FindStringSubmatch(lines[0].text)
	if m == nil || labelOf(m[1]) != noLabel {
		return line{}, false
	}
	return line{m[1], lines[0].at + 2}, true
}

func (r *modelReader) firstLine(n ast.Node) line {
	if lines := r.lines(n); len(lines) > 0 {
		return lines[0]
	}
	return line{}
}

func (r *modelReader) lines(n ast.Node) []line {
	segments := n.Lines()
	lines := make([]line, 0, segments.Len())
	for i := range segments.Len() {
		s := segments.At(i)
		raw := string(r.source[s.Start:s.Stop])
		trimmed := strings.TrimLeft(raw, " \t")
		lines = append(lines, line{strings.TrimRight(trimmed, " \t\r\n"), s.Start + len(raw) - len(trimmed)})
	}
	return lines
}

func (r *modelReader) items(list *ast.List) []item {
	var all []item
	for n := list.FirstChild(); n != nil; n = n.NextSibling() {
		var one item
		for child := n.FirstChild(); child != nil; child = child.NextSibling() {
			switch child := child.(type) {
			case *ast.TextBlock, *ast.Paragraph:
				lines := r.lines(child)
				for i, l := range lines {
					if one.text == "" {
						one.line = l
					} else if i > 0 {
						one.text += " " + l.text
					}
				}
			case *ast.List:
				one.items = append(one.items, r.items(child)...)
			}
		}
		if one.text != "" {
			all = append(all, one)
		}
	}
	return all
}

func (r *modelReader) fence(n *ast.FencedCodeBlock) *fence {
	f := &fence{language: strings.ToLower(string(n.Language(r.source)))}
	if segments := n.Lines(); segments.Len() > 0 {
		f.at = segments.At(0).Start
		f.text = string(r.source[f.at:segments.At(segments.Len()-1).Stop])
	}
	return f
}

// plain takes the marks of emphasis and code out of a text.
func plain(s string) string {
	for _, mark := range [...]string{"**", "__", "`"} {
		s = strings.ReplaceAll(s, mark, "")
	}
	return strings.TrimSpace(s)
}
