package workerd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	maxAssets       = 20_000
	maxAssetBytes   = 25 << 20  // of one file
	maxAssetsBytes  = 512 << 20 // of all
	maxWorkerRoutes = 100
	assetTimeout    = 60 * time.Second // for one file to the Worker
	assetsFolder    = "assets"         // in a generation's folder
	assetsService   = "assets"         // in the runtime's configuration
)

var hashPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// noWorker stands in where a bundle has static files only; nothing ever asks it.
const noWorker = `export default { fetch() { return new Response(null, { status: 404 }); } };`

// withWorker gives a bundle of static files alone a Worker, for a generation is a process.
func withWorker(bundle *preview.Bundle) *preview.Bundle {
	if len(bundle.Modules) > 0 {
		return bundle
	}
	whole := *bundle
	whole.MainModule, whole.DatabaseBinding = "worker.js", ""
	whole.Modules = []preview.Module{{Name: whole.MainModule, Type: preview.ModuleES, Content: []byte(noWorker)}}
	return &whole
}

// checkAssets reports what can't be served.
func checkAssets(bundle *preview.Bundle, complain func(string, ...any)) {
	a := bundle.Assets
	if a == nil {
		return
	}
	if !fs.ValidPath(a.Directory) {
		complain("the folder %q of the static files is no path inside the repository", clip(a.Directory))
	}
	_, text := bundle.Vars[a.Binding]
	_, other := bundle.JSONVars[a.Binding]
	if a.Binding != "" && (!validBinding(a.Binding) || a.Binding == bundle.DatabaseBinding || text || other) {
		complain("the binding %q of the static files can't be used", clip(a.Binding))
	}
	if !slices.Contains([]preview.HTMLHandling{preview.HTMLAuto, preview.HTMLForce, preview.HTMLDrop, preview.HTMLNone}, a.HTML) ||
		!slices.Contains([]preview.NotFoundHandling{preview.NotFoundNone, preview.NotFoundPage, preview.NotFoundApp}, a.NotFound) {
		complain("the static files can't be served in the way %q, %q", clip(string(a.HTML)), clip(string(a.NotFound)))
	}
	odd := func(route string) bool { return len(route) > maxNameLength || !utf8.ValidString(route) }
	if len(a.WorkerFirstRoutes) > maxWorkerRoutes || slices.ContainsFunc(a.WorkerFirstRoutes, odd) {
		complain("more than %d paths, or one that is no path, go to the Worker first", maxWorkerRoutes)
	}
	var total int64
	last := ""
	for _, file := range a.Files {
		total += file.Size
		switch name, ok := strings.CutPrefix(file.Path, "/"); {
		case !ok || name == "." || !fs.ValidPath(name):
			complain("the static file %q has no plain path", clip(file.Path))
		case file.Path <= last:
			complain("the static file %q is there twice, or out of order", clip(file.Path))
		case !hashPattern.MatchString(file.Hash) || file.Size < 0 || file.Size > maxAssetBytes:
			complain("the static file %q has no hash, or is larger than %d bytes", clip(file.Path), maxAssetBytes)
		}
		last = file.Path
	}
	if len(a.Files) > maxAssets || total > maxAssetsBytes {
		complain("the static files are more than %d, or larger than %d bytes", maxAssets, maxAssetsBytes)
	}
}

// writeAssets copies the static files out of the repository, each content once, under its hash.
// Only the server reads them.
func (rt *Runtime) writeAssets(ctx context.Context, folder string, assets *preview.Assets, source fs.FS) error {
	if source == nil {
		return errors.New("static files: no source is given")
	}
	folder += "/" + assetsFolder
	if err := rt.root.Mkdir(folder, 0o700); err != nil {
		return err
	}
	written := map[string]bool{}
	for _, asset := range assets.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if written[asset.Hash] {
			continue
		}
		written[asset.Hash] = true
		if err := rt.writeAsset(folder+"/"+asset.Hash, asset, path.Join(assets.Directory, asset.Path), source); err != nil {
			return fmt.Errorf("static file %q: %w", asset.Path, err)
		}
	}
	return nil
}

func (rt *Runtime) writeAsset(to string, asset preview.Asset, name string, source fs.FS) error {
	in, err := source.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := rt.root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, sum), io.LimitReader(in, asset.Size+1))
	if err == nil && (n != asset.Size || hex.EncodeToString(sum.Sum(nil)) != asset.Hash) {
		err = errors.New("the content is not what the bundle says")
	}
	return errors.Join(err, out.Close())
}

// openAsset opens what writeAssets wrote.
func (rt *Runtime) openAsset(folder string) func(hash string) (*os.File, error) {
	return func(hash string) (*os.File, error) { return rt.root.Open(folder + "/" + assetsFolder + "/" + hash) }
}
