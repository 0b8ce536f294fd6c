package collection

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/flaresmith/flaresmith/app/postmanfile"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Config says where the files go.
type Config struct {
	Dir    string       // folder of our own, made if missing; required
	Logger *slog.Logger // default: none
}

// Provider writes Postman collections and environments as files. It is safe for concurrent use.
// It holds the folder open as long as it lives and needs no end.
type Provider struct {
	root   *os.Root
	logger *slog.Logger
	mu     sync.Mutex // one writer at a time: a pass takes milliseconds
}

// New prepares the folder and removes what a killed server left half done.
func New(config Config) (*Provider, error) {
	if config.Dir == "" {
		return nil, errors.New("collections: no folder is named")
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(config.Dir, 0o755); err != nil { //nolint:gosec // the files are for people
		return nil, fmt.Errorf("collections folder: %w", err)
	}
	root, err := os.OpenRoot(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("collections folder: %w", err)
	}
	if err := tidy(root); err != nil {
		return nil, errors.Join(fmt.Errorf("collections folder: %w", err), root.Close())
	}
	return &Provider{root: root, logger: config.Logger}, nil
}

func checkName(name string) error {
	if !preview.NamePattern.MatchString(name) {
		return fmt.Errorf("%.80q is not the name of a preview", name)
	}
	return nil
}

// render computes every file of the preview's folder, by name. It touches no disk.
func render(ctx context.Context, r preview.Resource, in preview.Inputs) (map[string][]byte, error) {
	set, err := postmanfile.Render(ctx, r, in)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, c := range set.Collections {
		files[c.File] = c.Content
	}
	environment, err := postmanfile.EnvironmentFile(r.Name, set.Variables)
	if err != nil {
		return nil, err
	}
	files[r.Name+postmanfile.EnvironmentSuffix] = environment
	return files, nil
}

// Observe implements reconcile.Provider. The digest is empty when a file was removed by somebody.
func (p *Provider) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	if err := errors.Join(checkName(r.Name), ctx.Err()); err != nil {
		return preview.Observed{}, err
	}
	m, err := readMark(p.root, r.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return preview.Observed{}, nil
	}
	if err != nil {
		return preview.Observed{}, fmt.Errorf("observe collection %s: %w", r.Name, err)
	}
	if m.Owner != r.Mark {
		return preview.Observed{Exists: true}, nil
	}
	observed := preview.Observed{Exists: true, Owned: true, Digest: m.Digest, Outputs: preview.Outputs{Files: m.Files}}
	for _, file := range m.Files {
		if info, err := p.root.Lstat(r.Name + "/" + file); err != nil || !info.Mode().IsRegular() {
			observed.Digest = ""
		}
	}
	return observed, nil
}

// Apply implements reconcile.Provider. Outputs.Files are names in the preview's folder, in order.
func (p *Provider) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	if err := errors.Join(checkName(r.Name), ctx.Err()); err != nil {
		return preview.Outputs{}, err
	}
	files, err := render(ctx, r, in)
	if err == nil {
		err = p.put(ctx, r, files)
	}
	if err != nil {
		return preview.Outputs{}, fmt.Errorf("apply collection %s: %w", r.Name, err)
	}
	return preview.Outputs{Files: names(files)}, nil
}

// put makes the folder hold exactly these files. While it does, no digest is in force.
func (p *Provider) put(ctx context.Context, r preview.Resource, files map[string][]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	m, err := readMark(p.root, r.Name)
	if errors.Is(err, fs.ErrNotExist) {
		m = mark{Owner: r.Mark}
		err = claim(p.root, r.Name, r.Mark)
	}
	if err != nil {
		return err
	}
	if m.Owner != r.Mark {
		return preview.ErrConflict
	}
	writes, removals, err := changes(p.root, r.Name, files)
	if err != nil {
		return err
	}
	if m.Digest != "" && len(writes)+len(removals) > 0 {
		m.Digest = ""
		if err := writeMark(p.root, r.Name, m); err != nil {
			return err
		}
	}
	for _, name := range writes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := replace(p.root, r.Name, name, files[name]); err != nil {
			return err
		}
	}
	for _, name := range removals {
		if err := p.root.Remove(r.Name + "/" + name); err != nil {
			return err
		}
	}
	finished := mark{Owner: r.Mark, Digest: r.Digest, Files: names(files)}
	if m.Digest == finished.Digest && slices.Equal(m.Files, finished.Files) {
		return nil
	}
	p.logger.DebugContext(ctx, "collections written", "provider", "collection", "name", r.Name, "written", len(writes), "removed", len(removals))
	return writeMark(p.root, r.Name, finished)
}

// Delete implements reconcile.Provider.
func (p *Provider) Delete(ctx context.Context, r preview.Resource) error {
	if err := errors.Join(checkName(r.Name), ctx.Err()); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m, err := readMark(p.root, r.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && m.Owner != r.Mark {
		err = preview.ErrConflict
	}
	if err == nil {
		err = discard(p.root, r.Name)
	}
	if err != nil {
		return fmt.Errorf("delete collection %s: %w", r.Name, err)
	}
	return nil
}

// List implements reconcile.Provider.
func (p *Provider) List(ctx context.Context) ([]preview.Found, error) {
	folders, err := entries(p.root, ".")
	if err != nil {
		return nil, fmt.Errorf("list collections: %w", err)
	}
	var found []preview.Found
	for _, name := range folders {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if checkName(name) != nil {
			continue
		}
		m, err := readMark(p.root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list collections: %s: %w", name, err)
		}
		if m.Owner != (preview.Mark{}) {
			found = append(found, preview.Found{Kind: preview.KindCollection, Name: name, Mark: m.Owner})
		}
	}
	return found, nil
}
