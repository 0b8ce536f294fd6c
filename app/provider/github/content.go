package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"regexp"
	"time"

	gh "github.com/google/go-github/v62/github"
	"github.com/palantir/go-githubapp/appconfig"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	configPath      = ".github/flaresmith.yml"
	ownerRepo       = ".github"        // the owner's repository of defaults
	ownerConfigPath = "flaresmith.yml" // in there
	maxFile         = 1 << 20          // bytes; GitHub inlines no larger file either
	maxArchive      = 256 << 20        // bytes, compressed
	archiveTimeout  = 5 * time.Minute
)

// File is the content of one file at a ref, at most 1 MiB. A folder is preview.ErrNotFound.
func (a *App) File(ctx context.Context, p preview.Project, ref, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("file %s of %s", clip(path, 200), p.FullName())
	if !fs.ValidPath(path) {
		return nil, fmt.Errorf("%s: %w", what, preview.ErrNotFound)
	}
	file, _, _, err := a.client(p, scopeRead).Repositories.GetContents(ctx, p.Owner, p.Name, path, &gh.RepositoryContentGetOptions{Ref: ref})
	switch {
	case err != nil:
		return nil, classify(err, what)
	case file == nil || file.GetType() != "file":
		return nil, fmt.Errorf("%s: %w", what, preview.ErrNotFound)
	case file.GetSize() > maxFile || file.GetEncoding() == "none":
		return nil, preview.Invalid("a file is too large", preview.Problem{Path: path, Message: "The file is larger than 1 MB."})
	}
	text, err := file.GetContent()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return []byte(text), nil
}

// ConfigFile is .github/flaresmith.yml of the repository at ref, or else flaresmith.yml of the
// owner's .github repository at its default branch. A file can't refer to another one.
func (a *App) ConfigFile(ctx context.Context, p preview.Project, ref string) (data []byte, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	data, found, err = loadConfig(ctx, a.client(p, scopeRead), p.Owner, p.Name, ref, configPath)
	if err != nil || found {
		return data, found, err
	}
	// The token above reaches one repository, so the owner's needs another one.
	return loadConfig(ctx, a.client(p, scopeOwner), p.Owner, ownerRepo, "", ownerConfigPath)
}

func loadConfig(ctx context.Context, client *gh.Client, owner, name, ref, path string) ([]byte, bool, error) {
	loader := appconfig.NewLoader([]string{path}, appconfig.WithRemoteRefParser(nil), appconfig.WithOwnerDefault("", nil))
	config, err := loader.LoadConfig(ctx, client, owner, name, ref)
	if err != nil {
		return nil, false, classify(err, fmt.Sprintf("configuration of %s/%s", owner, name))
	}
	return config.Content, !config.IsUndefined(), nil
}

var fullSHA = regexp.MustCompile(`^[0-9a-f]{40}$`)

// Archive is the repository at a full commit id as a gzip tar; the caller closes it. Reading
// fails with an *preview.InvalidError beyond 256 MiB, and after five minutes.
func (a *App) Archive(ctx context.Context, p preview.Project, sha string) (io.ReadCloser, error) {
	what := fmt.Sprintf("archive of %s at %s", p.FullName(), clip(sha, 40))
	if !fullSHA.MatchString(sha) {
		return nil, fmt.Errorf("%s: not a full commit id", what)
	}
	ctx, cancel := context.WithTimeout(ctx, archiveTimeout)
	body, err := a.openArchive(ctx, p, sha)
	if err != nil {
		cancel()
		return nil, classify(err, what)
	}
	return &archive{body: body, what: what, left: maxArchive, cancel: cancel}, nil
}

// openArchive asks for the link with the token, and follows it without one; see hostGuard.
func (a *App) openArchive(ctx context.Context, p preview.Project, sha string) (io.ReadCloser, error) {
	client := a.client(p, scopeRead)
	request, err := client.NewRequest(http.MethodGet,
		fmt.Sprintf("repos/%s/%s/tarball/%s", url.PathEscape(p.Owner), url.PathEscape(p.Name), sha), nil)
	if err != nil {
		return nil, err
	}
	response, err := a.archiveClient(client).Do(request.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if err := gh.CheckResponse(response); err != nil {
		_ = response.Body.Close()
		return nil, err
	}
	return response.Body, nil
}

// archiveClient shares the token of client and follows a few redirects, never from https to http.
func (a *App) archiveClient(client *gh.Client) *http.Client {
	shared := client.Client()
	shared.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		switch {
		case len(via) >= 5:
			return errors.New("too many redirects")
		case next.URL.Scheme != "https" && a.api.Scheme == "https":
			return errors.New("redirect to an address that is not https")
		}
		return nil
	}
	return shared
}

// archive bounds the body of an answer in size, and ends its time with Close.
type archive struct {
	body   io.ReadCloser
	what   string
	left   int64
	cancel context.CancelFunc
}

// Read implements io.Reader.
func (r *archive) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return 0, preview.Invalid("the repository is too large", preview.Problem{
			Message: "The repository's archive is larger than 256 MB.", Hint: "Remove large files from the branch."})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = classify(err, r.what)
	}
	return n, err
}

// Close implements io.Closer.
func (r *archive) Close() error {
	defer r.cancel()
	return r.body.Close()
}
