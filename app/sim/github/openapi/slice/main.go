// Command slice cuts the operations and webhooks that the stand-in serves out of GitHub's OpenAPI
// description, with every schema that they reach, and writes them as compressed JSON.
//
//	go run ./openapi/slice -out openapi/slice.json.zst [-package DIR]
//
// DIR is the unpacked npm package; without it, npm fetches the pinned version.
package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

const (
	source      = "@octokit/openapi@23.0.2"
	description = "generated/api.github.com.json"
)

func main() {
	out := flag.String("out", "openapi/slice.json.zst", "file to write")
	dir := flag.String("package", "", "folder of the unpacked npm package")
	flag.Parse()
	if err := run(*dir, *out); err != nil {
		log.Fatal(err)
	}
}

func run(dir, out string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	raw, err := read(ctx, dir)
	if err != nil {
		return err
	}
	var whole map[string]any
	if err := json.Unmarshal(raw, &whole); err != nil {
		return fmt.Errorf("%s: %w", description, err)
	}
	part, err := cut(whole, github.Operations(), github.Webhooks())
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(part) // sorts by key, so the same input gives the same file
	if err != nil {
		return err
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	compressed := encoder.EncodeAll(encoded, nil)
	fmt.Printf("%s: %d bytes of JSON, %d compressed\n", out, len(encoded), len(compressed))
	return os.WriteFile(out, compressed, 0o644)
}

// read gives the description, from the package's folder or from a fresh `npm pack`.
func read(ctx context.Context, dir string) ([]byte, error) {
	if dir != "" {
		return os.ReadFile(filepath.Join(dir, description))
	}
	temp, err := os.MkdirTemp("", "slice")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", temp, source)
	cmd.Stderr = os.Stderr
	name, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("npm pack %s: %w", source, err)
	}
	return fromArchive(filepath.Join(temp, strings.TrimSpace(string(name))))
}

func fromArchive(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if err != nil {
			return nil, fmt.Errorf("%s in %s: %w", description, source, err)
		}
		if header.Name == "package/"+description {
			return io.ReadAll(io.LimitReader(archive, 64<<20))
		}
	}
}

// cut keeps the operations ("GET /path"), the webhooks' schemas ("push", "pull-request-opened") and what they refer to.
func cut(whole map[string]any, operations, webhooks []string) (map[string]any, error) {
	s := slicer{whole: whole, components: map[string]any{}}
	paths, hooks := map[string]any{}, map[string]any{}
	for _, operation := range operations {
		method, path, _ := strings.Cut(operation, " ")
		item, ok := at(whole, "paths", path).(map[string]any)
		op, found := item[strings.ToLower(method)].(map[string]any)
		if !ok || !found {
			return nil, fmt.Errorf("%s is not in the description", operation)
		}
		kept, ok := paths[path].(map[string]any)
		if !ok {
			kept = map[string]any{}
			paths[path] = kept
		}
		kept[strings.ToLower(method)] = s.clean(op)
	}
	for _, name := range webhooks {
		schema, ok := at(whole, "x-webhooks", name, "post", "requestBody", "content", "application/json", "schema").(map[string]any)
		if !ok {
			return nil, fmt.Errorf("webhook %s is not in the description", name)
		}
		hooks[name] = s.clean(schema)
	}
	if err := s.follow(); err != nil {
		return nil, err
	}
	schemas, _ := s.components["schemas"].(map[string]any)
	for name, schema := range hooks {
		schemas["webhook."+name] = schema
	}
	return map[string]any{
		"openapi": whole["openapi"], "paths": paths, "components": s.components,
		"info": map[string]any{
			"title": "A slice of GitHub's REST API description", "version": at(whole, "info", "version"),
			"license":     map[string]any{"name": "MIT", "url": "https://spdx.org/licenses/MIT"},
			"description": "Cut from " + description + " of npm " + source + ", Copyright (c) 2020 Octokit contributors, under the MIT license.",
		},
	}, nil
}

func at(value any, keys ...string) any {
	for _, key := range keys {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

// slicer collects the components that are referred to.
type slicer struct {
	whole      map[string]any
	components map[string]any
	pending    []string
}

// clean copies a value without what validation does not need, and notes its references.
func (s *slicer) clean(value any) any {
	switch v := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, inner := range v {
			if dropped(key, inner) {
				continue
			}
			if ref, ok := inner.(string); ok && key == "$ref" {
				s.pending = append(s.pending, ref)
			}
			if userOrEnterprise(key, inner) {
				key = "anyOf"
			}
			kept[key] = s.clean(inner)
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i, inner := range v {
			kept[i] = s.clean(inner)
		}
		return kept
	}
	return value
}

// userOrEnterprise finds the one mistake of the description that matters here: the account of a listed
// installation is said to be a user and an enterprise at once, where a single installation's is one of both.
func userOrEnterprise(key string, value any) bool {
	list, _ := value.([]any)
	return key == "allOf" && len(list) == 2 && at(list[0], "title") == "Simple User" && at(list[1], "title") == "Enterprise"
}

// dropped tells the keys of documentation from properties that happen to have their names.
func dropped(key string, value any) bool {
	_, isText := value.(string)
	_, isObject := value.(map[string]any)
	_, isList := value.([]any)
	switch {
	case strings.HasPrefix(key, "x-"):
		return true
	case key == "discriminator": // GitHub maps an array with one, which validators cannot follow; oneOf says enough
		return isObject && at(value, "propertyName") != nil
	case key == "description", key == "summary", key == "title":
		return isText
	case key == "example":
		return !isObject || at(value, "type") == nil
	case key == "examples":
		return isList || isObject && at(value, "type") == nil
	case key == "externalDocs", key == "tags":
		return isList || isObject && at(value, "type") == nil
	}
	return false
}

// follow copies every component that is referred to, until nothing new turns up.
func (s *slicer) follow() error {
	for len(s.pending) > 0 {
		ref := s.pending[0]
		s.pending = s.pending[1:]
		parts := strings.Split(strings.TrimPrefix(ref, "#/components/"), "/")
		if len(parts) != 2 {
			return errors.New("unknown reference " + ref)
		}
		kind, name := parts[0], parts[1]
		kept, ok := s.components[kind].(map[string]any)
		if !ok {
			kept = map[string]any{}
			s.components[kind] = kept
		}
		if _, done := kept[name]; done {
			continue
		}
		original := at(s.whole, "components", kind, name)
		if original == nil {
			return errors.New("dangling reference " + ref)
		}
		kept[name] = map[string]any{} // it may refer to itself
		kept[name] = s.clean(original)
	}
	return nil
}
