package github

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// optionalText tells null from nothing at all.
type optionalText struct {
	given bool
	text  string
}

// UnmarshalJSON implements json.Unmarshaler.
func (o *optionalText) UnmarshalJSON(data []byte) error {
	o.given = true
	if string(data) == "null" {
		return nil
	}
	return json.Unmarshal(data, &o.text)
}

// createBlob keeps the content of a file.
func (c *call) createBlob() (answer, error) {
	var in struct{ Content, Encoding string }
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	content := []byte(in.Content)
	if in.Encoding == "base64" {
		var err error
		if content, err = base64.StdEncoding.DecodeString(in.Content); err != nil {
			return answer{}, fail(http.StatusUnprocessableEntity, "content is not valid Base64")
		}
	}
	out, err := c.s.git.run(c.r.Context(), c.at.dir, content, "hash-object", "-w", "--stdin")
	if err != nil {
		return answer{}, err
	}
	sha := strings.TrimSpace(string(out))
	return answer{status: http.StatusCreated, body: object{"url": c.at.api + "/git/blobs/" + sha, "sha": sha}}, nil
}

// createTree makes a tree from another one, or from nothing. Only files with their content, with the id of a blob, or
// that are to go, are served.
func (c *call) createTree() (answer, error) {
	var in struct {
		BaseTree string `json:"base_tree"`
		Tree     []struct {
			Path, Mode, Type string
			Content          *string
			SHA              optionalText
		} `json:"tree"`
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if len(in.Tree) == 0 {
		return answer{}, fail(http.StatusUnprocessableEntity, "Invalid tree info")
	}
	var entries []treeEntry
	for _, e := range in.Tree {
		if e.Path == "" || e.Mode != "100644" || (e.Content == nil) != e.SHA.given {
			return answer{}, fail(http.StatusUnprocessableEntity, "tree.mode or tree.content is not supported")
		}
		entry := treeEntry{mode: e.Mode, name: e.Path}
		switch {
		case e.SHA.given && e.SHA.text == "": // null: the file goes
			if !c.s.git.is(c.r.Context(), c.at.dir, in.BaseTree+":"+e.Path, "blob") {
				return answer{}, fail(http.StatusUnprocessableEntity, "GitRPC::BadObjectState")
			}
			entry.mode, entry.sha = "0", zeroSHA
		case e.SHA.given:
			entry.sha = e.SHA.text
		default:
			sha, err := c.s.git.run(c.r.Context(), c.at.dir, []byte(*e.Content), "hash-object", "-w", "--stdin")
			if err != nil {
				return answer{}, err
			}
			entry.sha = strings.TrimSpace(string(sha))
		}
		entries = append(entries, entry)
	}
	tree, err := c.s.git.writeTree(c.r.Context(), c.at.dir, in.BaseTree, entries)
	if err != nil {
		return answer{}, fail(http.StatusUnprocessableEntity, "base_tree is not a valid tree oid")
	}
	c.r.SetPathValue("tree_sha", tree)
	a, err := c.getTree()
	a.status = http.StatusCreated
	return a, err
}

// getTag gives an annotated tag by its object. Of a tag without one there is nothing to give.
func (c *call) getTag() (answer, error) {
	ctx, g, sha := c.r.Context(), c.s.git, c.r.PathValue("tag_sha")
	if !isSHA(sha) || !g.is(ctx, c.at.dir, sha, "tag") {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	text, err := g.run(ctx, c.at.dir, nil, "cat-file", "tag", sha)
	if err != nil {
		return answer{}, err
	}
	head, message, _ := strings.Cut(string(text), "\n\n")
	said := map[string]string{}
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		said[name] = value
	}
	name, rest, _ := strings.Cut(said["tagger"], " <")
	email, when, _ := strings.Cut(rest, "> ")
	seconds, _, _ := strings.Cut(when, " ")
	at, _ := strconv.ParseInt(seconds, 10, 64) // of long ago: no tagger is told
	return answer{body: object{
		"node_id": nodeID("TAG", c.at.id), "tag": said["tag"], "sha": sha, "url": c.at.api + "/git/tags/" + sha, "message": message,
		"tagger":       object{"name": name, "email": email, "date": time.Unix(at, 0).UTC().Format(time.RFC3339)},
		"object":       object{"type": said["type"], "sha": said["object"], "url": c.at.api + "/git/" + said["type"] + "s/" + said["object"]},
		"verification": object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
	}}, nil
}

// maxBlob is GitHub's limit.
const maxBlob = 100 << 20

// getBlob gives a file's content by its id: as it is where the caller asks for that, else as JSON.
func (c *call) getBlob() (answer, error) {
	ctx, g, sha := c.r.Context(), c.s.git, c.r.PathValue("file_sha")
	if !isSHA(sha) || !g.is(ctx, c.at.dir, sha, "blob") {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	data, err := g.run(ctx, c.at.dir, nil, "cat-file", "blob", sha)
	switch {
	case err != nil:
		return answer{}, err
	case len(data) > maxBlob:
		return answer{}, fail(http.StatusForbidden, "This API returns blobs up to 100 MB in size. The requested blob is too large to fetch via the API.")
	}
	if strings.Contains(c.r.Header.Get("Accept"), "raw") {
		return answer{raw: data, contentType: "application/vnd.github.raw+json; charset=utf-8"}, nil
	}
	return answer{body: object{"sha": sha, "node_id": nodeID("B", c.at.id), "size": len(data), "url": c.at.api + "/git/blobs/" + sha,
		"content": base64.StdEncoding.EncodeToString(data), "encoding": "base64"}}, nil
}

// writeTree puts entries into a copy of a tree and gives the new tree.
func (g git) writeTree(ctx context.Context, dir, base string, entries []treeEntry) (string, error) {
	scratch, err := os.MkdirTemp(dir, "index-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	index := "GIT_INDEX_FILE=" + filepath.Join(scratch, "index")
	if base != "" {
		if !isSHA(base) {
			return "", fmt.Errorf("tree %q: %w", base, ErrNotFound)
		}
		if _, err := g.runWith(ctx, dir, []string{index}, nil, "read-tree", base); err != nil {
			return "", err
		}
	}
	var lines strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&lines, "%s %s\t%s\x00", e.mode, e.sha, e.name)
	}
	if _, err := g.runWith(ctx, dir, []string{index}, []byte(lines.String()), "update-index", "-z", "--index-info"); err != nil {
		return "", err
	}
	tree, err := g.runWith(ctx, dir, []string{index}, nil, "write-tree")
	return strings.TrimSpace(string(tree)), err
}

// createCommit makes a commit that no branch has yet. Its author is the App's bot, whatever is asked.
func (c *call) createCommit() (answer, error) {
	ctx, g := c.r.Context(), c.s.git
	var in struct {
		Message, Tree string
		Parents       []string
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	if !isSHA(in.Tree) || !g.is(ctx, c.at.dir, in.Tree, "tree") {
		return answer{}, fail(http.StatusUnprocessableEntity, "Tree SHA does not exist")
	}
	args := []string{"commit-tree", in.Tree, "-m", in.Message}
	for _, parent := range in.Parents {
		if !isSHA(parent) || !g.is(ctx, c.at.dir, parent, "commit") {
			return answer{}, fail(http.StatusUnprocessableEntity, "Parent SHA does not exist or is not a commit object")
		}
		args = append(args, "-p", parent)
	}
	c.s.mu.Lock()
	bot := *c.bot()
	c.s.mu.Unlock()
	sha, err := g.runWith(ctx, c.at.dir, []string{"GIT_AUTHOR_NAME=" + bot.Login,
		fmt.Sprintf("GIT_AUTHOR_EMAIL=%d+%s@users.noreply.github.com", bot.ID, bot.Login)}, nil, args...)
	if err != nil {
		return answer{}, err
	}
	c.r.SetPathValue("commit_sha", strings.TrimSpace(string(sha)))
	a, err := c.getGitCommit()
	a.status = http.StatusCreated
	return a, err
}

// is reports whether an object is there and of that kind.
func (g git) is(ctx context.Context, dir, sha, kind string) bool {
	got, err := g.line(ctx, dir, "cat-file", "-t", sha)
	return err == nil && got == kind
}

var branchRef = regexp.MustCompile(`^refs/(heads|tags)/[^\x00-\x20~^:?*\[\\]+$`)

// createRef makes a branch or a tag, and does what a push of it does.
func (c *call) createRef() (answer, error) {
	ctx, g := c.r.Context(), c.s.git
	var in struct{ Ref, SHA string }
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	switch {
	case !branchRef.MatchString(in.Ref):
		return answer{}, fail(http.StatusUnprocessableEntity, "Reference name must start with 'refs/'.")
	case !isSHA(in.SHA) || !g.is(ctx, c.at.dir, in.SHA, "commit"):
		return answer{}, fail(http.StatusUnprocessableEntity, "Object does not exist")
	}
	err := c.s.write(c.at.owner+"/"+c.at.name, c.s.BotLogin(), func(ctx context.Context, r *repository, _ *User) error {
		if _, err := g.line(ctx, r.dir, "rev-parse", "--verify", "--quiet", "--end-of-options", in.Ref); err == nil {
			return fail(http.StatusUnprocessableEntity, "Reference already exists")
		}
		if _, err := g.run(ctx, r.dir, nil, "update-ref", in.Ref, in.SHA, zeroSHA); err != nil {
			return fail(http.StatusUnprocessableEntity, "Reference cannot be created")
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	c.r.SetPathValue("ref", strings.TrimPrefix(in.Ref, "refs/"))
	a, err := c.getRef()
	a.status = http.StatusCreated
	return a, err
}

// updateRef moves a branch forward, and does what a push of it does.
func (c *call) updateRef() (answer, error) {
	g := c.s.git
	var in struct {
		SHA   string
		Force bool
	}
	if err := c.decode(&in); err != nil {
		return answer{}, err
	}
	name := "refs/" + c.r.PathValue("ref")
	switch {
	case !branchRef.MatchString(name):
		return answer{}, fail(http.StatusUnprocessableEntity, "Reference does not exist")
	case !isSHA(in.SHA) || !g.is(c.r.Context(), c.at.dir, in.SHA, "commit"):
		return answer{}, fail(http.StatusUnprocessableEntity, "Object does not exist")
	case in.Force:
		return answer{}, fail(http.StatusUnprocessableEntity, "force is not served by the stand-in")
	}
	err := c.s.write(c.at.owner+"/"+c.at.name, c.s.BotLogin(), func(ctx context.Context, r *repository, _ *User) error {
		before, err := g.line(ctx, r.dir, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
		if err != nil {
			return fail(http.StatusUnprocessableEntity, "Reference does not exist")
		}
		if _, err := g.run(ctx, r.dir, nil, "merge-base", "--is-ancestor", before, in.SHA); err != nil {
			return fail(http.StatusUnprocessableEntity, "Update is not a fast forward")
		}
		if _, err := g.run(ctx, r.dir, nil, "update-ref", name, in.SHA, before); err != nil {
			return fail(http.StatusUnprocessableEntity, "Reference cannot be updated")
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return c.getRef()
}
