package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	whatAssets     = "the static assets can't be used"
	assetsIgnore   = ".assetsignore"
	maxAssetRules  = 100 // patterns of run_worker_first, as on Cloudflare
	maxIgnoreBytes = 64 << 10
)

// assetReader lists the static files of a Worker.
type assetReader struct {
	ctx    context.Context // of the one build that the reader lives for
	src    fs.FS
	dir    string
	limits Limits
	ignore ignoreList

	files        []preview.Asset
	total, paths int64 // bytes of content, of names
	seen         int   // files and folders, ignored ones too
	problems     []preview.Problem
}

// readAssets fills in the files of wanted, which may be nil. Files whose name begins with a dot are
// left out, so that no .env is ever served; ".well-known" is not.
func readAssets(ctx context.Context, src fs.FS, config *wrangler, limits Limits) (*preview.Assets, error) {
	wanted := config.static
	if wanted == nil {
		return nil, nil //nolint:nilnil // most Workers have none
	}
	invalid := func(p preview.Problem) error { return preview.Invalid(whatAssets, p) }
	info, err := fs.Stat(src, wanted.Directory)
	if err != nil || !info.IsDir() {
		return nil, invalid(preview.Problem{Path: config.path,
			Message: fmt.Sprintf("the folder %q of the static assets is not in the repository, and no build command is run for a preview", wanted.Directory),
			Hint:    "commit the folder, or name one that is in the repository"})
	}
	r := &assetReader{ctx: ctx, src: src, dir: wanted.Directory, limits: limits}
	data, err := readLimited(src, path.Join(r.dir, assetsIgnore), maxIgnoreBytes)
	if err == nil {
		r.ignore, err = parseIgnore(string(data))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, invalid(preview.Problem{Path: path.Join(r.dir, assetsIgnore), Message: readMessage(err)})
	}
	if err := r.folder(""); err != nil {
		return nil, err
	}
	if len(r.problems) > 0 {
		return nil, &preview.InvalidError{What: whatAssets, Problems: r.problems[:min(len(r.problems), maxProblems)]}
	}
	slices.SortFunc(r.files, func(a, b preview.Asset) int { return strings.Compare(a.Path, b.Path) })
	assets := *wanted
	assets.Files = r.files
	return &assets, nil
}

// folder reads the files of one folder, whose path inside is empty or ends in a slash.
func (r *assetReader) folder(inside string) error {
	entries, err := fs.ReadDir(r.src, path.Join(r.dir, inside))
	if err != nil {
		return fmt.Errorf("read the static assets: %w", err)
	}
	for _, entry := range entries {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if r.seen++; r.seen > r.limits.Files {
			return r.tooMany(fmt.Sprintf("the folder holds more than %d files and folders", r.limits.Files))
		}
		name := inside + entry.Name()
		if (strings.HasPrefix(entry.Name(), ".") && name != ".well-known") || r.ignore.match(name, entry.IsDir()) {
			continue
		}
		switch {
		case entry.IsDir():
			err = r.folder(name + "/")
		case entry.Type().IsRegular():
			err = r.file(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unsupportedAsset says what Cloudflare would make of a file that is no mere asset.
func unsupportedAsset(name string) string {
	switch name {
	case "_redirects", "_headers":
		return "the rules of a " + name + " file are not supported in a preview"
	case "_worker.js":
		return "a _worker.js of Cloudflare Pages is not supported: it would be served as a file"
	}
	return ""
}

// file adds one file. What is wrong with it is collected; too much of everything ends the walk.
func (r *assetReader) file(name string) error {
	if message := unsupportedAsset(name); message != "" {
		r.add(name, message, "remove it, or name it in "+path.Join(r.dir, assetsIgnore))
		return nil
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) || c == '\\' }) {
		r.add(name, "the name holds a character that can't be in a URL's path", "")
		return nil
	}
	size, hash, err := r.sum(name)
	switch {
	case errors.Is(err, errTooLarge):
		r.add(name, fmt.Sprintf("the file is larger than %d bytes, which no static asset may be", r.limits.AssetBytes), "")
		return nil
	case err != nil:
		return fmt.Errorf("read the static asset %q: %w", name, err)
	}
	r.files = append(r.files, preview.Asset{Path: "/" + name, Size: size, Hash: hash})
	r.total += size
	r.paths += int64(len(name))
	switch {
	case len(r.files) > r.limits.Assets:
		return r.tooMany(fmt.Sprintf("there are more than %d static assets", r.limits.Assets))
	case r.total > r.limits.AssetsBytes:
		return r.tooMany(fmt.Sprintf("the static assets are larger than %d bytes together", r.limits.AssetsBytes))
	case r.paths > maxAssetPaths:
		return r.tooMany(fmt.Sprintf("the paths of the static assets are longer than %d bytes together", maxAssetPaths))
	}
	return nil
}

// sum reads a file in a stream: it may be large.
func (r *assetReader) sum(name string) (int64, string, error) {
	f, err := r.src.Open(path.Join(r.dir, name))
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(f, r.limits.AssetBytes+1))
	if err == nil && n > r.limits.AssetBytes {
		err = errTooLarge
	}
	return n, hex.EncodeToString(sum.Sum(nil)), err
}

func (r *assetReader) add(name, message, hint string) {
	r.problems = append(r.problems, preview.Problem{Path: path.Join(r.dir, name), Message: message, Hint: hint})
}

func (r *assetReader) tooMany(message string) error {
	return preview.Invalid(whatAssets, preview.Problem{Path: r.dir, Message: message, Hint: "leave files out with " + path.Join(r.dir, assetsIgnore)})
}
