package github

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

func (c *call) getContents() (answer, error) {
	ctx, g := c.r.Context(), c.s.git
	rev := c.r.URL.Query().Get("ref")
	if rev == "" {
		rev = c.at.defaultBranch
	}
	sha := g.resolve(ctx, c.at.dir, rev)
	if sha == "" {
		return answer{}, fail(http.StatusNotFound, "No commit found for the ref "+rev)
	}
	name := strings.Trim(c.r.PathValue("path"), "/")
	if name != "" && path.Clean(name) != name {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	spec := sha
	if name != "" {
		spec = sha + ":" + name
	}
	entries, err := g.run(ctx, c.at.dir, nil, "ls-tree", "-z", "-l", "--full-tree", spec)
	if err == nil {
		return c.directory(name, sha, string(entries))
	}
	parent := sha
	if dir := path.Dir(name); dir != "." {
		parent = sha + ":" + dir
	}
	entries, err = g.run(ctx, c.at.dir, nil, "ls-tree", "-z", "-l", "--full-tree", parent)
	if err != nil {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	for _, e := range parseTree(string(entries)) {
		if e.name == path.Base(name) && e.kind == "blob" {
			return c.file(name, sha, e)
		}
	}
	return answer{}, fail(http.StatusNotFound, "Not Found")
}

type treeEntry struct {
	mode, kind, sha, name string
	size                  int
}

func parseTree(out string) []treeEntry {
	var entries []treeEntry
	for line := range strings.SplitSeq(out, "\x00") {
		head, name, ok := strings.Cut(line, "\t")
		f := strings.Fields(head)
		if !ok || len(f) != 4 {
			continue
		}
		size, _ := strconv.Atoi(f[3]) // "-" for a folder
		entries = append(entries, treeEntry{f[0], f[1], f[2], name, size})
	}
	return entries
}

// getTree lists a tree, or the tree of a commit or branch, with its folders' content if asked to.
func (c *call) getTree() (answer, error) {
	rev := c.r.PathValue("tree_sha")
	if commit := c.s.git.resolve(c.r.Context(), c.at.dir, rev); commit != "" {
		rev = commit
	}
	if !isSHA(rev) {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	args := []string{"ls-tree", "-z", "-l", "--full-tree"}
	if c.r.URL.Query().Has("recursive") {
		args = append(args, "-r", "-t")
	}
	listing, err := c.s.git.run(c.r.Context(), c.at.dir, nil, append(args, rev)...)
	if err != nil {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	tree, err := c.s.git.line(c.r.Context(), c.at.dir, "rev-parse", "--verify", "--end-of-options", rev+"^{tree}")
	if err != nil {
		return answer{}, err
	}
	list := []object{}
	for _, e := range parseTree(string(listing)) {
		o := object{"path": e.name, "mode": e.mode, "type": e.kind, "sha": e.sha, "url": c.at.api + "/git/" + e.kind + "s/" + e.sha}
		if e.kind == "blob" {
			o["size"] = e.size
		}
		list = append(list, o)
	}
	return answer{body: object{"sha": tree, "url": c.at.api + "/git/trees/" + tree, "tree": list, "truncated": false}}, nil
}

func (c *call) entryJSON(name, commit string, e treeEntry) object {
	escaped := pathEscape(name)
	self := c.at.api + "/contents/" + escaped + "?ref=" + commit
	kind, tree := "file", "blob"
	switch {
	case e.kind == "tree":
		kind, tree = "dir", "tree"
	case e.mode == "120000":
		kind = "symlink"
	}
	gitURL, page := c.at.api+"/git/"+tree+"s/"+e.sha, c.at.page+"/"+tree+"/"+commit+"/"+escaped
	var download any
	if kind != "dir" {
		download = c.at.page + "/raw/" + commit + "/" + escaped
	}
	return object{
		"type": kind, "size": e.size, "name": path.Base(name), "path": name, "sha": e.sha, "url": self, "git_url": gitURL, "html_url": page,
		"download_url": download, "_links": object{"self": self, "git": gitURL, "html": page},
	}
}

func (c *call) directory(name, commit, listing string) (answer, error) {
	list := []object{}
	for _, e := range parseTree(listing) {
		list = append(list, c.entryJSON(path.Join(name, e.name), commit, e))
	}
	return answer{body: list}, nil
}

// inlineLimit is the biggest file that comes as base64; up to 100 MB the raw form still works.
const inlineLimit = 1 << 20

func (c *call) file(name, commit string, e treeEntry) (answer, error) {
	data, err := c.s.git.run(c.r.Context(), c.at.dir, nil, "cat-file", "blob", e.sha)
	if err != nil {
		return answer{}, err
	}
	if strings.Contains(c.r.Header.Get("Accept"), "raw") {
		return answer{raw: data, contentType: "application/vnd.github.raw+json; charset=utf-8"}, nil
	}
	o := c.entryJSON(name, commit, e)
	if o["type"] == "symlink" {
		o["target"] = string(data)
		return answer{body: o}, nil
	}
	o["encoding"], o["content"] = "base64", wrapBase64(data)
	if len(data) > inlineLimit {
		o["encoding"], o["content"] = "none", ""
	}
	return answer{body: o}, nil
}

// wrapBase64 breaks the text after 60 characters, as GitHub does.
func wrapBase64(data []byte) string {
	text := base64.StdEncoding.EncodeToString(data)
	var b strings.Builder
	for len(text) > 60 {
		b.WriteString(text[:60] + "\n")
		text = text[60:]
	}
	if text != "" {
		b.WriteString(text + "\n")
	}
	return b.String()
}

// archiveTicket lets the bearer of a link fetch one archive for some minutes, without other credentials.
type archiveTicket struct {
	repo    repoView
	sha     string
	expires time.Time
}

func (c *call) tarball() (answer, error) {
	ref := c.r.PathValue("ref")
	if ref == "" {
		ref = c.at.defaultBranch
	}
	sha := c.s.git.resolve(c.r.Context(), c.at.dir, ref)
	if sha == "" {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	secret := make([]byte, 16)
	if _, err := rand.Read(secret); err != nil {
		return answer{}, err
	}
	ticket := hex.EncodeToString(secret)
	for key, old := range c.s.archives {
		if old.expires.Before(c.s.now()) {
			delete(c.s.archives, key)
		}
	}
	c.s.archives[ticket] = archiveTicket{c.at, sha, c.s.now().Add(5 * time.Minute)}
	to := fmt.Sprintf("%s%s%s/%s/legacy.tar.gz/%s?token=%s", c.base, archivePrefix, c.at.owner, c.at.name, pathEscape(ref), ticket)
	return answer{status: http.StatusFound, header: http.Header{"Location": {to}}}, nil
}

// archivePrefix stands for GitHub's host of archives.
const archivePrefix = "/_codeload/"

// serveArchive answers the links of tarball.
func (s *Server) serveArchive(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	ticket, ok := s.archives[r.URL.Query().Get("token")]
	s.mu.Unlock()
	at := ticket.repo
	if !ok || ticket.expires.Before(s.now()) || !strings.HasPrefix(r.URL.Path, archivePrefix+at.owner+"/"+at.name+"/legacy.tar.gz/") {
		http.Error(w, "404: Not Found", http.StatusNotFound)
		return
	}
	name := fmt.Sprintf("%s-%s-%s", at.owner, at.name, ticket.sha[:7])
	data, err := s.git.run(r.Context(), at.dir, nil, "archive", "--format=tar.gz", "--prefix="+name+"/", ticket.sha)
	if err != nil {
		s.log.Error("archive", "repo", at.name, "error", err)
		http.Error(w, "500", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-gzip")
	w.Header().Set("Content-Disposition", "attachment; filename="+name+".tar.gz")
	_, _ = w.Write(data) // the caller may have gone
}

// serveRaw answers download_url: a file's bytes, for whoever may read the repository.
func (s *Server) serveRaw(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	repo := s.find(r.PathValue("owner") + "/" + r.PathValue("repo"))
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	t := s.tokens[credential]
	allowed := repo != nil && (!repo.private || (t != nil && t.reaches(repo) && s.now().Before(t.expires)))
	s.mu.Unlock()
	name := r.PathValue("path")
	if !allowed || !isSHA(r.PathValue("sha")) || path.Clean(name) != name {
		http.NotFound(w, r)
		return
	}
	data, err := s.git.run(r.Context(), repo.dir, nil, "cat-file", "blob", r.PathValue("sha")+":"+name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(data) // the caller may have gone
}
