package postmanfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/preview"
)

// What the names of such files end with.
const (
	CollectionSuffix  = ".postman_collection.json"
	EnvironmentSuffix = ".postman_environment.json"
)

const (
	templateName = "preview" + EnvironmentSuffix

	maxFile  = 5 << 20
	maxTotal = 20 << 20
	maxFiles = 100
)

// What InvalidError says of them all.
const invalid = "the Postman files can't be used"

// source is one JSON file of the repository.
type source struct {
	path string // in the repository
	name string // last element of path
	raw  []byte
}

// Set is what one environment gets.
type Set struct {
	Collections []Collection // in the order of the repository's file names
	Variables   []Variable   // of the environment: baseUrl first
}

// Collection is one collection of the repository.
type Collection struct {
	File    string         // a clean name that no other collection of the set has
	Path    string         // in the repository
	Content []byte         // as in the repository; missing ids are filled in, always alike
	Object  map[string]any // the same, decoded; numbers are json.Number
}

// Render reads the folder and computes what the environment called r.Name gets. It writes nothing.
func Render(ctx context.Context, r preview.Resource, in preview.Inputs) (Set, error) {
	if in.Outputs.URL == "" {
		return Set{}, errors.New("the Worker's URL is not given")
	}
	sources, err := readSources(ctx, in.Source, r.Layout.Collections)
	if err != nil {
		return Set{}, err
	}
	var set Set
	var problems []preview.Problem
	var environments []source
	origin := map[string]string{}
	for _, s := range sources {
		if strings.HasSuffix(s.name, EnvironmentSuffix) {
			environments = append(environments, s)
			continue
		}
		name := outputName(s.name)
		if first, taken := origin[strings.ToLower(name)]; taken {
			problems = append(problems, preview.Problem{Path: s.path, Message: fmt.Sprintf("Its name is too much like that of %s.", first)})
			continue
		}
		origin[strings.ToLower(name)] = s.path
		c, problem := collection(s, uuid.NewSHA1(uuid.NameSpaceURL, []byte(r.Name+"/"+name)))
		if problem != nil {
			problems = append(problems, *problem)
			continue
		}
		c.File = name
		set.Collections = append(set.Collections, c)
	}
	var problem *preview.Problem
	if set.Variables, problem = variables(in, template(environments)); problem != nil {
		problems = append(problems, *problem)
	}
	if len(problems) > 0 {
		return Set{}, &preview.InvalidError{What: invalid, Problems: problems}
	}
	return set, nil
}

// template is the environment to start from; the zero source when none is meant.
func template(environments []source) source {
	for _, s := range environments {
		if s.name == templateName {
			return s
		}
	}
	if len(environments) == 1 {
		return environments[0]
	}
	return source{}
}

// readSources reads the JSON files of one folder, in name order. A folder that is not there, or
// not named, holds none.
func readSources(ctx context.Context, repository fs.FS, folder string) ([]source, error) {
	if folder == "" || repository == nil {
		return nil, nil
	}
	folder = path.Clean(folder)
	list, err := fs.ReadDir(repository, folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		if info, statErr := fs.Stat(repository, folder); statErr == nil && !info.IsDir() {
			return nil, preview.Invalid(invalid, preview.Problem{Path: folder, Message: "It is not a folder."})
		}
		return nil, fmt.Errorf("collections of the repository: %w", err)
	}
	var sources []source
	total := 0
	for _, entry := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !entry.Type().IsRegular() || !strings.HasSuffix(entry.Name(), ".json") || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		s := source{path: path.Join(folder, entry.Name()), name: entry.Name()}
		if s.raw, err = readSource(repository, s.path); err != nil {
			return nil, fmt.Errorf("collections of the repository: %w", err)
		}
		total += len(s.raw)
		if len(s.raw) > maxFile || total > maxTotal || len(sources) == maxFiles {
			return nil, preview.Invalid(invalid, preview.Problem{
				Path: s.path, Message: fmt.Sprintf("At most %d files, %d MB each and %d MB together are taken.", maxFiles, maxFile>>20, maxTotal>>20),
			})
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func readSource(repository fs.FS, name string) ([]byte, error) {
	file, err := repository.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}

// outputName is the collection's file name for any name in the repository.
func outputName(name string) string {
	const most = 100
	stem := strings.TrimSuffix(strings.TrimSuffix(name, ".json"), ".postman_collection")
	stem = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("-_. ", r):
			return r
		}
		return '-'
	}, stem)
	stem = strings.Trim(stem, ". ")
	if stem == "" {
		stem = "collection"
	}
	return stem[:min(len(stem), most)] + CollectionSuffix
}

// clip keeps a hostile text from filling a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
