package codegen

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// specsFolder is where the features' contracts lie.
const specsFolder = "specs"

var (
	featureName = regexp.MustCompile(`^(\d{3})-[A-Za-z0-9][A-Za-z0-9._-]*$`)
	finderCopy  = regexp.MustCompile(` \d+(\.[A-Za-z]+)?$`) // "openapi 2.yaml", as macOS names copies
)

// features finds the contracts and data models of all features, in order.
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
		if slices.Contains(in.targets, drizzle) {
			if err := in.dataModel(fsys, folder.Name()); err != nil {
				return err
			}
		}
	}
	if len(in.documents)+len(in.models) == 0 {
		return fmt.Errorf("no feature in %s has a data-model.md, or an OpenAPI document or a JSON Schema in its contracts folder", specsFolder)
	}
	return nil
}

// contracts reads a feature's contracts. openapi.yaml gives a file that is named after the feature, any
// other document one in a folder that is.
func (in *Inputs) contracts(fsys fs.FS, feature string) error {
	folder := path.Join(specsFolder, feature, "contracts")
	requirements, err := in.requirements(fsys, path.Join(specsFolder, feature, "spec.md"))
	if err != nil {
		return err
	}
	taken := map[string]string{}
	err = fs.WalkDir(fsys, folder, func(source string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && source == folder {
			return fs.SkipAll
		}
		ext := path.Ext(source)
		if err != nil || !entry.Type().IsRegular() || ext != ".yaml" && ext != ".yml" && ext != ".json" || finderCopy.MatchString(entry.Name()) {
			return err
		}
		data, err := readBounded(fsys, source)
		if err != nil || !looksLikeContract(data) {
			return err
		}
		stem := feature
		if base := strings.TrimSuffix(strings.TrimPrefix(source, folder+"/"), ext); base != "openapi" {
			stem = path.Join(stem, base)
		}
		if other, ok := taken[stem]; ok {
			return fmt.Errorf("%s and %s would get the same names: rename one", other, source)
		}
		taken[stem] = source
		in.documents = append(in.documents, document{source: source, stem: stem, data: data, requirements: requirements})
		return nil
	})
	if err != nil {
		return fmt.Errorf("specs: %w", err)
	}
	return nil
}

// requirements reads a feature's spec.md, if it has one.
func (in *Inputs) requirements(fsys fs.FS, name string) ([]spec.Requirement, error) {
	if _, err := fs.Stat(fsys, name); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	data, err := readBounded(fsys, name)
	if err != nil {
		return nil, err
	}
	requirements, notes := spec.Requirements(name, data)
	in.notes = append(in.notes, notes...)
	return requirements, nil
}

var contractKey = regexp.MustCompile(`(?m)^\s*["']?(openapi|swagger|\$schema)["']?\s*:|[{,]\s*"(openapi|swagger|\$schema)"\s*:`)

// looksLikeContract tells OpenAPI documents and JSON Schemas from the other files that contracts hold,
// such as lists of MCP tools. A damaged one counts, so that it is reported.
func looksLikeContract(data []byte) bool {
	return contractKey.Match(data[:min(len(data), 64<<10)])
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
