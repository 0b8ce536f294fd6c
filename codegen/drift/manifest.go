package drift

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// ManifestPath is where the manifest lies, next to what it lists.
const ManifestPath = ".flaresmith.json"

// Manifest says which files were generated, and out of what. It is committed with them.
type Manifest struct {
	Head
	Promises Promises `json:"promises,omitempty"` // what people rely on
}

// Head is a manifest without its promises, which are nearly all of it: enough to tell that nothing changed.
type Head struct {
	Generation int              `json:"generation"` // of the generator
	Inputs     string           `json:"inputs"`     // hash of everything that was read, and of what was asked for
	Files      map[string]Entry `json:"files"`      // by path
}

// Entry is a file as it was generated. One that is written once may be anything since.
type Entry struct {
	Target string `json:"target"`
	SHA256 string `json:"sha256"`
	Once   bool   `json:"once,omitempty"`
}

// File is one generated file.
type File struct {
	Path    string
	Target  string
	Content []byte
	Once    bool // it is the user's from then on: written where nothing is there, and never again
}

// Hash returns the SHA-256 of a content, in hexadecimal digits.
func Hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// ReadManifest reads the manifest. Where there is none, it is empty.
func ReadManifest(disk fs.FS) (Manifest, error) {
	data, err := readManifest(disk)
	if err != nil {
		return Manifest{}, err
	}
	return parseManifest(data)
}

// ReadHead reads the manifest's head in a fraction of the time. It refuses what ReadManifest refuses, except promises that are
// JSON of some other form.
func ReadHead(disk fs.FS) (Head, error) {
	data, err := readManifest(disk)
	if err != nil {
		return Head{}, err
	}
	var h Head
	head, rest, found := bytes.Cut(data, []byte(",\n  \"promises\": ")) // as Bytes writes it; no JSON text holds a line's end
	promises, ends := bytes.CutSuffix(bytes.TrimRight(rest, " \t\r\n"), []byte("}"))
	if found && ends && json.Valid(promises) && decode(append(slices.Clip(head), '}'), &h) == nil && h.Files != nil {
		return h, h.local()
	}
	m, err := parseManifest(data)
	return m.Head, err
}

func readManifest(disk fs.FS) ([]byte, error) {
	data, err := fs.ReadFile(disk, ManifestPath)
	if errors.Is(err, fs.ErrNotExist) {
		return []byte("{}"), nil
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return data, nil
}

func parseManifest(data []byte) (Manifest, error) {
	var m Manifest
	err := decode(data, &m)
	if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
		var older struct {
			Head
			Promises map[string][]string `json:"promises"`
		}
		if decode(data, &older) == nil {
			m, err = Manifest{older.Head, listed(older.Promises)}, nil
		}
	}
	if err != nil {
		return Manifest{}, fmt.Errorf("%s is damaged (%w): restore it, or delete it", ManifestPath, err)
	}
	return m, m.local()
}

// local makes sure that all files are below the manifest's folder.
func (h Head) local() error {
	for path := range h.Files {
		if !filepath.IsLocal(path) {
			return fmt.Errorf("%s lists %q, which is outside its folder", ManifestPath, path)
		}
	}
	return nil
}

func decode(data []byte, manifest any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(manifest); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something is behind its end")
	}
	return nil
}

// Next makes the manifest of a run. Files of targets that the run did not ask for stay listed.
func (m Manifest) Next(generation int, inputs string, targets []string, files []File) Manifest {
	next := Manifest{Head: Head{Generation: generation, Inputs: inputs, Files: make(map[string]Entry, len(files))}}
	for path, entry := range m.Files {
		if !slices.Contains(targets, entry.Target) {
			next.Files[path] = entry
		}
	}
	for _, f := range files {
		old, known := m.Files[f.Path]
		if known && old.Once && f.Once {
			next.Files[f.Path] = old // the hash of what was written then tells whether it was touched
			continue
		}
		next.Files[f.Path] = Entry{Target: f.Target, SHA256: Hash(f.Content), Once: f.Once}
	}
	return next
}

var errTouched = errors.New("not as it was generated")

// Intact tells whether the disk holds exactly what the manifest lists. Of files that are written once it
// is enough that they are there.
func (h Head) Intact(disk fs.FS) bool {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for path, entry := range h.Files {
		group.Go(func() error { return entry.intact(disk, path) })
	}
	return group.Wait() == nil && len(h.Files) > 0
}

// intact reads a file piece by piece: memory for all of it would take longer to get than its hash.
func (e Entry) intact(disk fs.FS, path string) error {
	if e.Once {
		_, err := fs.Stat(disk, path)
		return err
	}
	file, err := disk.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != e.SHA256 {
		return errTouched
	}
	return nil
}

var (
	seal = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\A//[^\n]*\n// flaresmith \d+ sha256:([0-9a-f]{64})\n`)
	})
	sealJSON = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\A\{\n  "_meta": \{ "generator": "flaresmith \d+", "source": [^\n]*, "sha256": "([0-9a-f]{64})" \},\n`)
	})
)

// Seal puts a head before TypeScript that says where it comes from and carries the body's hash. The body's memory is used for both, where there is room: to get
// some for many megabytes takes longer than to move them.
func Seal(generation int, source string, body []byte) []byte {
	source = strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) { // it could end the line
			return '?'
		}
		return r
	}, source)
	head := fmt.Sprintf("// Generated by Flaresmith from %s. Change that file and run spec-apply; changes made here are in its way.\n// flaresmith %d sha256:%s\n", source, generation, Hash(body))
	return slices.Insert(body, 0, []byte(head)...)
}

// SealJSON does the same for a JSON object, whose first line the body lacks.
func SealJSON(generation int, source string, body []byte) ([]byte, error) {
	quoted, err := json.Marshal(source)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	head := fmt.Sprintf("{\n  \"_meta\": { \"generator\": \"flaresmith %d\", \"source\": %s, \"sha256\": \"%s\" },\n", generation, quoted, Hash(body))
	return slices.Insert(body, 0, []byte(head)...), nil
}

// Body is what follows a generated file's head, and all of any other file.
func Body(content []byte) []byte {
	if m := findSeal(content); m != nil {
		return content[m[1]:]
	}
	return content
}

// sealed tells whether a file is as it was generated, by its own head.
func sealed(content []byte) bool {
	m := findSeal(content)
	return m != nil && Hash(content[m[1]:]) == string(content[m[2]:m[3]])
}

// findSeal is where a generated file's head and the hash in it are, or nil.
func findSeal(content []byte) []int {
	if m := seal().FindSubmatchIndex(content); m != nil {
		return m
	}
	return sealJSON().FindSubmatchIndex(content)
}
