package codegen

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// specsFolder is where the features' contracts lie.
const specsFolder = "specs"

var (
	// "001-orders", and what versions of spec-kit make of it: "1-orders", "20260131-120000-orders"
	featureName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^(\d{8}-\d{6}|\d{1,8})-[A-Za-z0-9][A-Za-z0-9._-]*$`) })
	finderCopy  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(` \d+(\.[A-Za-z]+)?$`) }) // "openapi 2.yaml", as macOS names copies
)

// features finds the contracts and data models of all features, in order.
func (in *Inputs) features(fsys fs.FS) error {
	folders, err := fs.ReadDir(fsys, specsFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no folder %[1]s, with the folder of a feature in it such as %[1]s/001-shop", specsFolder)
	}
	if err != nil {
		return fmt.Errorf("specs: %w", err)
	}
	slices.SortStableFunc(folders, func(a, b fs.DirEntry) int { return cmp.Compare(featureNumber(a.Name()), featureNumber(b.Name())) })
	numbers := map[int64]string{}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		number := featureNumber(folder.Name())
		if number < 0 {
			in.unnumbered(fsys, folder.Name())
			continue
		}
		if other, ok := numbers[number]; ok {
			in.notes = append(in.notes, spec.Problem{File: path.Join(specsFolder, folder.Name()), Line: 1, Column: 1, Message: "the number is also that of " + other})
		}
		numbers[number] = folder.Name()
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
		return fmt.Errorf("no feature in %s, which is a folder such as 001-orders there, has a data-model.md, or an OpenAPI document or a JSON Schema in its contracts folder", specsFolder)
	}
	return nil
}

// featureNumber is the number that a feature's folder begins with, where 001 is 1, or -1. A time is a number of fourteen digits.
func featureNumber(folder string) int64 {
	if m := featureName().FindStringSubmatch(folder); m != nil {
		if number, err := strconv.ParseInt(strings.ReplaceAll(m[1], "-", ""), 10, 64); err == nil {
			return number
		}
	}
	return -1
}

// unnumbered notes a folder that looks like a feature, and whose name is none.
func (in *Inputs) unnumbered(fsys fs.FS, folder string) {
	for _, name := range []string{"data-model.md", "contracts"} {
		if _, err := fs.Stat(fsys, path.Join(specsFolder, folder, name)); err == nil {
			in.notes = append(in.notes, spec.Problem{File: path.Join(specsFolder, folder), Line: 1, Column: 1, Message: "not read: the name of a feature's folder begins with its number, as 001-orders does"})
			return
		}
	}
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
		if err != nil || !entry.Type().IsRegular() || ext != ".yaml" && ext != ".yml" && ext != ".json" || finderCopy().MatchString(entry.Name()) {
			return err
		}
		if is, err := looksLikeContract(fsys, source); !is {
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
		in.documents = append(in.documents, document{name: source, source: source, stem: stem, requirements: requirements})
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

var contractKey = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)^\s*["']?(openapi|swagger|\$schema)["']?\s*:|[{,]\s*"(openapi|swagger|\$schema)"\s*:`)
})

// looksLikeContract tells OpenAPI documents and JSON Schemas from the other files that contracts hold,
// such as lists of MCP tools. A damaged one counts, so that it is reported. Mostly the start of a file tells; where members are
// sorted, what tells comes behind all components.
func looksLikeContract(fsys fs.FS, name string) (bool, error) {
	file, size, err := openBounded(fsys, name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	const start = 64 << 10
	head, err := io.ReadAll(io.LimitReader(file, start))
	if err != nil {
		return false, fmt.Errorf("read the specs: %w", err)
	}
	if is := contractKey().Match(head); is || size <= start {
		return is, nil
	}
	all, err := readBounded(fsys, name)
	if err != nil {
		return false, err
	}
	holds := func(word string) bool { return bytes.Contains(all, []byte(word)) } // in a hundredth of the time
	return slices.ContainsFunc([]string{"openapi", "swagger", "$schema"}, holds) && contractKey().Match(all), nil
}

// maxFile is the largest input file; formats have smaller limits of their own.
const maxFile = 64 << 20

// openBounded opens a regular file that is not larger than an input may be, and tells its size.
func openBounded(fsys fs.FS, name string) (fs.File, int64, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, 0, fmt.Errorf("read the specs: %w", err)
	}
	if !info.Mode().IsRegular() { // opening it might wait
		return nil, 0, fmt.Errorf("%s is no regular file", name)
	}
	if info.Size() > maxFile {
		return nil, 0, spec.Problems{{File: name, Line: 1, Column: 1, Message: fmt.Sprintf("the file is larger than %d MB", maxFile>>20)}}
	}
	file, err := fsys.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("read the specs: %w", err)
	}
	return file, info.Size(), nil
}

// readBounded reads a file without taking in more than an input may have.
func readBounded(fsys fs.FS, name string) ([]byte, error) {
	file, size, err := openBounded(fsys, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data := make([]byte, size)
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("read the specs: %w", err)
	}
	return data, nil
}
