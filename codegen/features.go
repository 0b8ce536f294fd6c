package codegen

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// Where a feature's contracts lie, and where what is made of them goes.
const (
	specsFolder   = "specs"
	schemasFolder = "src/schemas"
)

var (
	featureName = regexp.MustCompile(`^(\d{3})-[A-Za-z0-9][A-Za-z0-9._-]*$`)
	finderCopy  = regexp.MustCompile(` \d+(\.[A-Za-z]+)?$`) // "openapi 2.yaml", as macOS names copies
)

// features finds the OpenAPI documents of all features, in order.
func (in *Inputs) features(fsys fs.FS) error {
	folders, err := fs.ReadDir(fsys, specsFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no folder %s", specsFolder)
	}
	if err != nil {
		return fmt.Errorf("specs: %w", err)
	}
	numbers := map[string]string{}
	for _, folder := range folders {
		m := featureName.FindStringSubmatch(folder.Name())
		if m == nil || !folder.IsDir() {
			continue
		}
		if other, ok := numbers[m[1]]; ok {
			in.notes = append(in.notes, spec.Problem{File: path.Join(specsFolder, folder.Name()), Line: 1, Column: 1, Message: "the number is also that of " + other})
		}
		numbers[m[1]] = folder.Name()
		if err := in.contracts(fsys, folder.Name()); err != nil {
			return err
		}
	}
	if len(in.documents) == 0 {
		return fmt.Errorf("no feature in %s has an OpenAPI document in its contracts folder", specsFolder)
	}
	return nil
}

func (in *Inputs) contracts(fsys fs.FS, feature string) error {
	folder := path.Join(specsFolder, feature, "contracts")
	entries, err := fs.ReadDir(fsys, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("specs: %w", err)
	}
	taken := map[string]string{}
	for _, entry := range entries {
		name := entry.Name()
		ext := path.Ext(name)
		if !entry.Type().IsRegular() || ext != ".yaml" && ext != ".yml" && ext != ".json" || finderCopy.MatchString(name) {
			continue
		}
		source := path.Join(folder, name)
		data, err := readBounded(fsys, source)
		if err != nil {
			return err
		}
		if !looksLikeOpenAPI(data) {
			continue
		}
		stem := path.Join(schemasFolder, feature)
		if base := strings.TrimSuffix(name, ext); base != "openapi" {
			stem += "." + base
		}
		if other, ok := taken[stem]; ok {
			return fmt.Errorf("%s and %s would both become %s.ts: rename one", other, source, stem)
		}
		taken[stem] = source
		in.documents = append(in.documents, document{source: source, stem: stem, data: data})
	}
	return nil
}

var openAPIKey = regexp.MustCompile(`(?m)^\s*["']?(openapi|swagger)["']?\s*:|[{,]\s*"(openapi|swagger)"\s*:`)

// looksLikeOpenAPI tells an OpenAPI document from the other files that contracts hold, such as JSON
// Schemas. A damaged one counts, so that it is reported.
func looksLikeOpenAPI(data []byte) bool {
	return openAPIKey.Match(data[:min(len(data), 64<<10)])
}

// maxFile is the largest input file; formats have smaller limits of their own.
const maxFile = 64 << 20

// readBounded reads a file without taking in more than an input may have.
func readBounded(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read the specs: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	if info.Size() > maxFile {
		return nil, spec.Problems{{File: name, Line: 1, Column: 1, Message: fmt.Sprintf("the file is larger than %d MB", maxFile>>20)}}
	}
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("read the specs: %w", err)
	}
	return data, nil
}
