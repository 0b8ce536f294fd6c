package spec

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// value turns a tree into what encoding/json makes of the same document.
func value(n *Node) any {
	switch n.Kind {
	case Object:
		members := map[string]any{}
		for i := range n.Children {
			members[n.Children[i].Key] = value(&n.Children[i])
		}
		return members
	case Array:
		items := []any{}
		for i := range n.Children {
			items = append(items, value(&n.Children[i]))
		}
		return items
	case String:
		return n.Text
	case Number:
		return json.Number(n.Text)
	case Bool:
		return n.True()
	}
	return nil
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, text string
		want             any
	}{
		{"json", "a.json", `{"a": [1, -2.5e3, "x\n\u00e9\ud83d\ude00", true, false, null, {}, []]}`,
			map[string]any{"a": []any{json.Number("1"), json.Number("-2.5e3"), "x\né😀", true, false, nil, map[string]any{}, []any{}}}},
		{"byte order mark", "a.json", "\ufeff{}", map[string]any{}},
		{"yaml", "a.yaml", "a: [1, 0x10, .5, 'text', yes, true, ~, 2024-01-01]\n", map[string]any{"a": []any{json.Number("1"), json.Number("16"), json.Number("0.5"), "text", "yes", true, nil, "2024-01-01"}}},
		{"json in a file without a known name", "a", ` {"a": 1}`, map[string]any{"a": json.Number("1")}},
		{"alias and merge", "a.yaml", "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: *x\n",
			map[string]any{
				"x": map[string]any{"a": json.Number("1"), "b": json.Number("2")},
				"y": map[string]any{"a": json.Number("1"), "b": json.Number("3")},
				"z": map[string]any{"a": json.Number("1"), "b": json.Number("2")}}},
		{"numeric keys are texts", "a.yaml", "200: {}\n", map[string]any{"200": map[string]any{}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			root, problems := Parse(tt.file, []byte(tt.text))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if diff := cmp.Diff(tt.want, value(root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"a.json", "a.yaml"} {
		root, problems := Parse(file, []byte("{\"a\": 1,\n  \"b\": {\n    \"c\": \"x\" } }"))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		c := root.Get("b").Get("c")
		if got, want := fmt.Sprintf("%d:%d", c.Line, c.Column), "3:10"; got != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
}

// TestRefused also bounds the time that hostile input takes.
func TestRefused(t *testing.T) {
	t.Parallel()
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d]\n", i+1, i+1, i)
	}
	tests := []struct{ name, file, text, want string }{
		{"ends early", "a.json", `{"a": [1,`, "a.json:1:10: the document ends too early"},
		{"something follows", "a.json", "{}\n x", "a.json:2:2: there is something after the end"},
		{"no value", "a.json", `{"a": nope}`, "a.json:1:7: here should be a value"},
		{"no comma", "a.json", `[1 2]`, "a.json:1:4: here should be a comma or the end of the list"},
		{"trailing comma", "a.json", `{"a": 1,}`, "a.json:1:9: here should be a key in quotes"},
		{"doubled key", "a.json", `{"a": 1, "a": 2}`, `has the key "a" twice`},
		{"doubled key in yaml", "a.yaml", "a: 1\na: 2\n", `the key "a" twice`},
		{"half a surrogate pair", "a.json", `["\ud800"]`, "half of a surrogate pair"},
		{"bad number", "a.json", `[01]`, "no number: 01"},
		{"control character", "a.json", "[\"a\nb\"]", "control characters"},
		{"deep json", "a.json", strings.Repeat("[", 1_000_000), "nested deeper"},
		{"deep yaml", "a.yaml", strings.Repeat("[", 1_000_000), "nested deeper"},
		{"deep block yaml", "a.yaml", strings.Repeat("- ", 100_000) + "x", "exceeded max depth"},
		{"yaml bomb", "a.yaml", bomb, "aliases lead to too many values"},
		{"alias of itself", "a.yaml", "a: &a [*a]\n", "the alias contains itself"},
		{"two documents", "a.yaml", "a: 1\n---\nb: 2\n", "more than one document"},
		{"not UTF-8", "a.json", "{\n\"a\": \"\xff\"}", "a.json:2:7: the file is not UTF-8"},
		{"too large", "a.yaml", strings.Repeat("#", maxYAMLSize+1), "larger than 16 MB"},
		{"too many in a list", "a.json", "[1" + strings.Repeat(",1", maxSeparators) + "]", "more than 1200000 values"},
		{"too many lists", "a.json", "[[]" + strings.Repeat(",[]", maxSeparators/2) + "]", "more than 1200000 values"},
		{"too many in a list of yaml", "a.yaml", "[1" + strings.Repeat(",1", maxSeparators) + "]", "more than 1200000 values"},
		{"too many in a block", "a.yaml", strings.Repeat("- 1\n", maxSeparators/2+1), "more than 1200000 values"},
		{"too many blocks", "a.yaml", strings.Repeat(strings.Repeat("- ", 150)+"1\n", maxSeparators/150), "more than 1200000 values"},
		{"too many keys", "a.yaml", strings.Repeat("k:\n", maxSeparators/2+1), "more than 1200000 values"},
		{"too many by a line's end of Unicode", "a.yaml", strings.Repeat("-\u2028", maxSeparators+1), "more than 1200000 values"},
		{"empty", "a.yaml", "", "a.yaml:1:1: the file is empty"},
		{"bad yaml", "a.yaml", "a: 1\nb: [\n", "no valid YAML"},
		{"not a number", "a.yaml", "a: .nan\n", "no number: .nan"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			done := make(chan Problems, 1)
			go func() {
				_, problems := Parse(tt.file, []byte(tt.text))
				done <- problems
			}()
			select {
			case problems := <-done:
				if !strings.Contains(problems.Error(), tt.want) {
					t.Errorf("got %q, want %q", problems.Error(), tt.want)
				}
			case <-time.After(time.Minute):
				t.Fatal("it takes too long")
			}
		})
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	root, problems := Parse("a.json", []byte(`{"a/b": {"c~d": [{"e": 1}]}, "per cent": 2,
		"default": {"$anchor": "data"},
		"schemas": {"default": {"allOf": [{"$anchor": "here", "title": 3}]}, "x": {"$anchor": "twice"}, "y%": {"$dynamicAnchor": "twice"}},
		"properties": {"$anchor": {"type": "string"}}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d := NewDocument("a.json", root)
	tests := []struct{ ref, want, why string }{
		{"#/a~1b/c~0d/0/e", "1", ""},
		{"#/per%20cent", "2", ""},
		{"#/nope", "", `there is no "nope"`},
		{"#here", "", ""},
		{"#nowhere", "", "no schema has this $anchor"},
		{"#twice", "", "several schemas have this anchor"},
		{"#data", "", "no schema has this $anchor"},
		{"file:///etc/passwd", "", "leaves the document"},
		{"https://example.com/a.json#/a", "", "leaves the document"},
		{"", "", "leaves the document"},
	}
	for _, tt := range tests {
		got, why := d.Resolve(tt.ref)
		if (tt.why == "") != (why == "") || !strings.Contains(why, tt.why) {
			t.Errorf("%s: got %q, want %q", tt.ref, why, tt.why)
		}
		if tt.want != "" && (got == nil || got.Text != tt.want) {
			t.Errorf("%s: got %+v, want %s", tt.ref, got, tt.want)
		}
	}
}

func TestAnchor(t *testing.T) {
	t.Parallel()
	root, problems := Parse("a.json", []byte(`{"schemas": {"a/b": {"$recursiveAnchor": true, "items": {"anyOf": [{"$recursiveRef": "#"}, {"$anchor": "x"}]}}, "c": {"items": {"$recursiveRef": "#"}}, "d": {"$id": "https://a.example/d", "items": {"$recursiveRef": "#"}}}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	d := NewDocument("a.json", root)
	if pointer, why := d.Anchor("x"); pointer != "#/schemas/a~1b/items/anyOf/1" || why != "" {
		t.Errorf("the anchor is at %q, %s", pointer, why)
	}
	items := func(name string) *Node { return root.Get("schemas").Get(name).Get("items") }
	if inside := d.Recursive(items("a/b").Get("anyOf").Children[0].Get("$recursiveRef")); inside != "#/schemas/a~1b" {
		t.Errorf("inside of the anchor: %q", inside)
	}
	if inside := d.Recursive(items("d").Get("$recursiveRef")); inside != "#/schemas/d" {
		t.Errorf("inside of a schema with an $id: %q", inside)
	}
	if outside := d.Recursive(items("c").Get("$recursiveRef")); outside != "#" {
		t.Errorf("outside of the anchor: %q", outside)
	}
}

// TestLongAnchor: names that stand around very many values do not make as many pointers of their length.
func TestLongAnchor(t *testing.T) {
	t.Parallel()
	root, problems := Parse("a.json", []byte(`{"`+strings.Repeat("a", 1<<20)+`": {"b": [{"$anchor": "x"}`+strings.Repeat(`, {"c": 1}`, 20_000)+`]}}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	start := time.Now()
	if pointer, why := NewDocument("a.json", root).Anchor("x"); pointer != "" || !strings.Contains(why, "very long") || time.Since(start) > time.Minute {
		t.Errorf("got %d bytes, %s, after %s", len(pointer), why, time.Since(start))
	}
}

// FuzzJSON holds the reader against encoding/json: what it accepts, it reads alike.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{`{"a": [1, "x\u00e9", null]}`, `[]`, `{"a":{"b":{"c":[1e5]}}}`, `["\ud83d\ude00"]`, `{"a":1,"a":2}`, "[\"\x7f\"]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root, problems := Parse("a.json", append([]byte("["), append(data, ']')...))
		decoder := json.NewDecoder(strings.NewReader("[" + string(data) + "]"))
		decoder.UseNumber()
		var want any
		err := decoder.Decode(&want)
		if len(problems) > 0 {
			return
		}
		if err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if diff := cmp.Diff(want, value(root)); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzYAML(f *testing.F) {
	paths, err := filepath.Glob("../testdata/golden/*/in/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		root, problems := Parse("a.yaml", data)
		if (root == nil) != (len(problems) > 0) {
			t.Fatal("either a tree or problems")
		}
		for _, p := range problems {
			if p.Line < 1 || p.Message == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
	})
}

// TestRefusedInLittleMemory: what is refused for its number of values takes no memory for them.
func TestRefusedInLittleMemory(t *testing.T) {
	for name, text := range map[string]string{"a.json": "[1" + strings.Repeat(",1", 8<<20) + "]", "a.yaml": "[1" + strings.Repeat(",1", 7<<20) + "]"} {
		data := []byte(text)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, problems := Parse(name, data)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; problems == nil || grown > 1<<20 {
			t.Errorf("%s: %v, after %d bytes", name, problems, grown)
		}
	}
}
