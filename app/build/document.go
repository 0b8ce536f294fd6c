package build

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"github.com/tailscale/hujson"

	"github.com/flaresmith/flaresmith/app/preview"
)

// maxConfigBytes bounds a configuration file. It also bounds how deep its brackets can nest,
// which the parsers follow by recursion.
const maxConfigBytes = 128 << 10

// document is a JSON (with comments) or TOML file as plain values, which remembers where each
// key stands.
type document struct {
	path   string
	values map[string]any
	at     map[string]place // by dotted key, e.g. "build.command", "rules.0"; the first occurrence counts
}

type place struct{ line, column int }

// parseDocument reads data by the ending of name; a failure is one problem with its line.
func parseDocument(name string, data []byte) (*document, *preview.Problem) {
	d := &document{path: name, at: map[string]place{}}
	if len(data) > maxConfigBytes {
		return nil, d.problem("", fmt.Sprintf("the file is larger than %d bytes", maxConfigBytes), "")
	}
	var problem *preview.Problem
	if path.Ext(name) == ".toml" {
		data, problem = d.readTOML(data)
	} else {
		data, problem = d.readJSON(data)
	}
	if problem != nil {
		return nil, problem
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&d.values); err != nil || d.values == nil {
		return nil, d.problem("", "the file holds no object", "")
	}
	return d, nil
}

// problem points at key, or at its nearest parent that is known.
func (d *document) problem(key, message, hint string) *preview.Problem {
	p := preview.Problem{Path: d.path, Message: message, Hint: hint}
	for ; key != ""; key = key[:max(strings.LastIndexByte(key, '.'), 0)] {
		if at, ok := d.at[key]; ok {
			p.Line, p.Column = at.line, at.column
			break
		}
	}
	return &p
}

func (d *document) mark(key string, at place) {
	if _, ok := d.at[key]; !ok {
		d.at[key] = at
	}
}

func (d *document) readJSON(data []byte) ([]byte, *preview.Problem) {
	root, err := hujson.Parse(data)
	if err != nil {
		p := d.problem("", "the file is no valid JSON: "+err.Error(), "")
		// hujson says where in its text only.
		if n, _ := fmt.Sscanf(err.Error(), "hujson: line %d, column %d:", &p.Line, &p.Column); n == 2 {
			_, rest, _ := strings.Cut(strings.TrimPrefix(err.Error(), "hujson: "), ": ")
			p.Message = "the file is no valid JSON: " + rest
		}
		return nil, p
	}
	d.markJSON(newLines(data), "", root.Value)
	root.Standardize()
	return root.Pack(), nil
}

func (d *document) markJSON(lines lines, prefix string, v hujson.ValueTrimmed) {
	if list, ok := v.(*hujson.Array); ok {
		for i, element := range list.Elements {
			key := fmt.Sprintf("%s%d", prefix, i)
			d.mark(key, lines.place(element.StartOffset)) // and no deeper: nested lists would cost the square of their depth
		}
		return
	}
	object, ok := v.(*hujson.Object)
	if !ok {
		return
	}
	for _, member := range object.Members {
		name, ok := member.Name.Value.(hujson.Literal)
		if !ok {
			continue
		}
		key := prefix + name.String()
		d.mark(key, lines.place(member.Name.StartOffset))
		d.markJSON(lines, key+".", member.Value.Value)
	}
}

func (d *document) readTOML(data []byte) ([]byte, *preview.Problem) {
	var values map[string]any
	if err := toml.Unmarshal(data, &values); err != nil {
		p := d.problem("", "the file is no valid TOML: "+err.Error(), "")
		var decode *toml.DecodeError
		if errors.As(err, &decode) {
			p.Line, p.Column = decode.Position()
		}
		return nil, p
	}
	d.markTOML(data)
	if values == nil {
		values = map[string]any{}
	}
	standard, err := json.Marshal(values)
	if err != nil {
		return nil, d.problem("", "the file holds a value that JSON can't express", "")
	}
	return standard, nil
}

func (d *document) markTOML(data []byte) {
	parser := unstable.Parser{}
	parser.Reset(data)
	lines := newLines(data)
	table, entries := "", map[string]int{}
	for parser.NextExpression() {
		expression := parser.Expression()
		key, at := table, place{}
		if expression.Kind != unstable.KeyValue {
			key = ""
		}
		for it := expression.Key(); it.Next(); {
			if at.line == 0 {
				at = lines.place(int(it.Node().Raw.Offset))
			}
			key = strings.TrimPrefix(key+"."+string(it.Node().Data), ".")
			d.mark(key, at)
		}
		if expression.Kind == unstable.Table || expression.Kind == unstable.ArrayTable {
			table = key
		}
		if expression.Kind == unstable.ArrayTable {
			table = fmt.Sprintf("%s.%d", key, entries[key])
			entries[key]++
			d.mark(table, at)
		}
	}
}

// lines turns byte offsets into places.
type lines []int

func newLines(data []byte) lines {
	starts := lines{0}
	for i, b := range data {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func (l lines) place(offset int) place {
	low, high := 0, len(l)
	for high-low > 1 {
		if mid := (low + high) / 2; l[mid] <= offset {
			low = mid
		} else {
			high = mid
		}
	}
	return place{line: low + 1, column: offset - l[low] + 1}
}
