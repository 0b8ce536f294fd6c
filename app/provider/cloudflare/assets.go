package cloudflare

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"path"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// uploadAssets brings the static files to Cloudflare and gives the token that the script is uploaded with; empty: there are
// none. Only what Cloudflare lacks is sent.
func (p *Workers) uploadAssets(ctx context.Context, name string, a *preview.Assets, source fs.FS) (token string, err error) {
	if a == nil {
		return "", nil
	}
	if source == nil {
		return "", errors.New("static files: no source is given")
	}
	manifest, byHash := map[string]file{}, map[string]preview.Asset{}
	for _, asset := range a.Files {
		hash := assetHash(asset)
		manifest[asset.Path], byHash[hash] = file{Hash: hash, Size: asset.Size}, asset
	}
	session, err := p.api.assetSession(ctx, name, manifest)
	if err != nil || len(session.Buckets) == 0 {
		return session.JWT, err
	}
	as, err := p.api.as(preview.Secret(session.JWT))
	if err != nil {
		return "", err
	}
	for _, bucket := range session.Buckets {
		body, err := encodeAssets(bucket, byHash, a.Directory, source)
		if err != nil {
			return "", err
		}
		given, err := p.api.uploadAssets(ctx, as, body)
		if err != nil {
			return "", err
		}
		if given != "" {
			token = given
		}
	}
	if token == "" {
		return "", preview.Transient(errors.New("cloudflare has all static files and gives no token for them"))
	}
	return token, nil
}

// assetHash is what Cloudflare knows a static file by in the account: of the content, and of what tells its type.
func assetHash(a preview.Asset) string {
	const bytes = 16
	sum := sha256.Sum256([]byte(a.Hash + path.Ext(a.Path)))
	return hex.EncodeToString(sum[:bytes])
}

// encodeAssets makes the form of one bucket.
func encodeAssets(bucket []string, byHash map[string]preview.Asset, directory string, source fs.FS) (*form, error) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, hash := range bucket {
		asset, ok := byHash[hash]
		if !ok {
			return nil, preview.Transient(errors.New("cloudflare asks for a static file that there is not"))
		}
		content, err := readAsset(source, path.Join(directory, asset.Path), asset)
		if err == nil {
			err = addPart(w, hash, hash, contentType(asset.Path), []byte(base64.StdEncoding.EncodeToString(content)))
		}
		if err != nil {
			return nil, fmt.Errorf("static file %q: %w", asset.Path, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return &form{contentType: w.FormDataContentType(), content: body.Bytes()}, nil
}

func readAsset(source fs.FS, name string, asset preview.Asset) ([]byte, error) {
	in, err := source.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	content, err := io.ReadAll(io.LimitReader(in, asset.Size+1))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(content); int64(len(content)) != asset.Size || hex.EncodeToString(sum[:]) != asset.Hash {
		return nil, errors.New("the content is not what the bundle says")
	}
	return content, nil
}

// contentType goes by the ending, for what Go does not know on every system by our own list. Cloudflare sends none
// where it is told application/null.
func contentType(name string) string {
	ending := strings.ToLower(path.Ext(name))
	known := map[string]string{
		".csv": "text/csv; charset=utf-8", ".ico": "image/vnd.microsoft.icon", ".map": "application/json", ".md": "text/markdown; charset=utf-8",
		".mp3": "audio/mpeg", ".mp4": "video/mp4", ".otf": "font/otf", ".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8",
		".webm": "video/webm", ".webmanifest": "application/manifest+json", ".woff": "font/woff", ".woff2": "font/woff2",
	}
	if t := known[ending]; t != "" {
		return t
	}
	if t := mime.TypeByExtension(ending); t != "" {
		return t
	}
	return "application/null"
}
