package onboard

import (
	"bytes"
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
)

// manual is where every key of the file is explained.
const manual = "https://github.com/flaresmith/flaresmith#configuration-of-a-repository"

// Proposal is one pull request.
type Proposal struct {
	File []byte // .github/flaresmith.yml
	Body string // Markdown
}

// Proposal words what was found. The file names only what differs from the defaults.
func (f Found) Proposal() (Proposal, error) {
	file, err := f.file()
	if err != nil {
		return Proposal{}, fmt.Errorf("proposed configuration: %w", err)
	}
	if _, problems := repoconfig.Parse(file); len(problems) > 0 {
		return Proposal{}, fmt.Errorf("proposed configuration: %w", &preview.InvalidError{What: "it is not valid", Problems: problems})
	}
	return Proposal{File: file, Body: f.body(file)}, nil
}

const header = `# Flaresmith gives every pull request a preview of its own. What is not written here has its default; all keys:
# ` + manual + "\n"

func (f Found) file() ([]byte, error) {
	if len(f.Workers) == 0 {
		return nil, errors.New("no Worker")
	}
	standard := repoconfig.Default().Layout
	layout := &yaml.Node{Kind: yaml.MappingNode}
	if len(f.Workers) == 1 {
		f.Workers[0].describe(layout, defaultWorker().WranglerConfig)
	} else {
		workers := &yaml.Node{Kind: yaml.SequenceNode}
		for i, w := range f.Workers {
			comment := "answers at a name of its own"
			if i == 0 {
				comment = "the first one answers at the preview's own name"
			}
			one := &yaml.Node{Kind: yaml.MappingNode}
			set(one, "name", w.Called, comment)
			w.describe(one, "")
			workers.Content = append(workers.Content, one)
		}
		add(layout, "workers", workers)
	}
	if dir := f.dir(); dir != standard.Migrations {
		comment := "applied to the branch of the database"
		if dir == "" {
			comment = "none are applied"
		}
		migrations := &yaml.Node{Kind: yaml.MappingNode}
		set(migrations, "dir", dir, comment)
		add(layout, "migrations", migrations)
	}
	if f.Collections != "" && f.Collections != standard.Collections {
		set(layout, "collections", f.Collections, "Postman collections")
	}
	if len(layout.Content) == 0 {
		return []byte(header), nil
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	add(root, "layout", layout)
	out := bytes.NewBufferString(header)
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// describe adds the keys of a Worker that differ from the defaults.
func (w Worker) describe(mapping *yaml.Node, standard string) {
	if w.Config != standard {
		set(mapping, "wrangler", w.Config, "the Worker's configuration")
	}
	if w.Binding != "" && w.Binding != defaultWorker().DatabaseBinding {
		set(mapping, "database_binding", w.Binding, "the variable that carries the connection string")
	}
}

// set adds a key with a text to a mapping. The comment is ours: what the repository says is quoted by YAML.
func set(mapping *yaml.Node, key, value, comment string) {
	node := &yaml.Node{LineComment: comment}
	node.SetString(value)
	add(mapping, key, node)
}

func add(mapping *yaml.Node, key string, value *yaml.Node) {
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}
