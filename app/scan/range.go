package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flaresmith/flaresmith/action/secretscan"
	"github.com/flaresmith/flaresmith/app/preview"
)

// between looks at what the commits that head has and base lacks brought, each compared with all its parents.
func (l *look) between(ctx context.Context, c *secretscan.Contents, base, head string) error {
	comparison, err := l.GitHub.Compare(ctx, l.project, base, head, maxCommits)
	if err != nil {
		return err
	}
	if !comparison.Whole || len(comparison.Commits) > maxCommits {
		return notScanned("there are more than %d commits. Scan them with the action", maxCommits)
	}
	within := map[string]bool{}
	for _, commit := range comparison.Commits {
		within[commit.SHA] = true
	}
	r := &changes{look: l, contents: c, base: comparison.MergeBase, within: within}
	for _, commit := range comparison.Commits {
		if err := r.commit(ctx, commit); err != nil {
			return err
		}
	}
	l.result.take(c, r.found)
	return nil
}

// changes is one range of commits.
type changes struct {
	*look
	contents *secretscan.Contents
	base     string          // where the range begins
	within   map[string]bool // its commits
	files    int
	found    []found
	old      map[string]map[string]bool // by blob: what it held, see secretscan.Finding.Same
	texts    map[string][]byte          // by blob: what was read last, see read
	kept     int                        // bytes of texts
}

// commit looks at one commit: its message, and the files that it changed.
func (r *changes) commit(ctx context.Context, commit preview.Commit) error {
	if err := r.text(r.contents, fmt.Sprintf("the message of commit %.7s", commit.SHA), commit.Message); err != nil {
		return err
	}
	done := r.contents.Key(commit.SHA, "\x00commit") // no path has a zero byte
	known, err := r.Store.Clean(ctx, r.project.ID, [][32]byte{done})
	if err != nil || known[done] {
		return err
	}
	files, err := r.changed(ctx, commit)
	if err != nil {
		return err
	}
	if r.files += len(files); r.files > maxFiles {
		return notScanned("the commits change more than %d files. Scan them with the action", maxFiles)
	}
	keys := make([][32]byte, len(files))
	for i, file := range files {
		keys[i] = r.contents.Key(file.Blob, file.Path)
	}
	if known, err = r.Store.Clean(ctx, r.project.ID, keys); err != nil {
		return err
	}
	clean := true
	for i, file := range files {
		if file.Removed || known[keys[i]] || r.contents.Skips(file.Path) {
			continue
		}
		content, err := r.blob(ctx, file, keys[i])
		if absent(err) {
			clean, err = false, r.submodule(ctx, commit, file)
		}
		if err != nil {
			return err
		}
		r.result.leave(content.left...)
		r.result.over = r.result.over || content.over
		clean = clean && len(content.left) == 0 && len(content.found) == 0
		for _, f := range content.found {
			fresh, err := r.fresh(ctx, commit, files, file, f)
			if err != nil {
				return err
			}
			if fresh {
				r.found = append(r.found, found{Finding: f, commit: commit.SHA})
			}
		}
	}
	if clean {
		r.clean = append(r.clean, done)
	}
	return nil
}

// changed lists what a commit changed against all of its parents; of one with more files than GitHub lists, by
// comparing the trees.
func (r *changes) changed(ctx context.Context, commit preview.Commit) ([]preview.ChangedFile, error) {
	if len(commit.Parents) == 0 {
		return r.bytrees(ctx, commit)
	}
	whole, err := r.GitHub.Commit(ctx, r.project, commit.SHA)
	if err != nil {
		return nil, err
	}
	if !whole.Whole {
		return r.bytrees(ctx, commit)
	}
	files := whole.Files
	for _, parent := range commit.Parents[1:] { // what is as in any parent was not made by the merge
		other, all, err := r.GitHub.Difference(ctx, r.project, parent, commit.SHA)
		if err != nil {
			return nil, err
		}
		if !all {
			return r.bytrees(ctx, commit)
		}
		differs := map[string]bool{}
		for _, file := range other {
			differs[file.Path] = true
		}
		files = slices.DeleteFunc(files, func(f preview.ChangedFile) bool { return !differs[f.Path] })
	}
	return files, nil
}

// bytrees compares all files of a commit with all files of its parents.
func (r *changes) bytrees(ctx context.Context, commit preview.Commit) ([]preview.ChangedFile, error) {
	now, err := r.wholeTree(ctx, commit.SHA)
	if err != nil {
		return nil, err
	}
	var parents []map[string]string
	for _, parent := range commit.Parents {
		tree, err := r.wholeTree(ctx, parent)
		if err != nil {
			return nil, err
		}
		parents = append(parents, tree)
	}
	var files []preview.ChangedFile
	for path, blob := range now {
		if !slices.ContainsFunc(parents, func(tree map[string]string) bool { return tree[path] == blob }) {
			files = append(files, preview.ChangedFile{Path: path, Blob: blob})
		}
	}
	slices.SortFunc(files, func(a, b preview.ChangedFile) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	return files, nil
}

func (r *changes) wholeTree(ctx context.Context, commit string) (map[string]string, error) {
	tree, err := r.tree(ctx, commit)
	if err == nil && tree[leftOut] != "" {
		err = notScanned("commit %.7s has more files than GitHub lists. Scan it with the action", commit)
	}
	return tree, err
}

// leftOut marks a tree of which GitHub listed a part; no path is like it.
const leftOut = "\x00"

// maxTrees bounds the memory of trees.
const maxTrees = 4

// tree is the files of a commit.
func (l *look) tree(ctx context.Context, commit string) (map[string]string, error) {
	if tree, ok := l.trees[commit]; ok {
		return tree, nil
	}
	if err := l.spent(); err != nil {
		return nil, err
	}
	list, whole, err := l.GitHub.Tree(ctx, l.project, commit)
	if err != nil {
		return nil, err
	}
	tree := make(map[string]string, len(list))
	for _, file := range list {
		tree[file.Path] = file.Blob
	}
	if !whole {
		tree[leftOut] = leftOut
	}
	if l.trees == nil || len(l.trees) >= maxTrees {
		l.trees = map[string]map[string]string{}
	}
	l.trees[commit] = tree
	return tree, nil
}

// spent says whether the time of this look is over.
func (l *look) spent() error {
	if time.Now().After(l.until) {
		return errSpent
	}
	return nil
}

// content is what a search of a file's content gave.
type content struct {
	found []secretscan.Finding
	left  []string // what was not searched, or is not listed
	over  bool     // something that is not listed reaches the bar
}

// contentOf searches a text.
func contentOf(c *secretscan.Contents, name, path string, text []byte) (content, error) {
	found, left, err := c.Scan(name, path, text)
	more, cut := secretscan.Cut(err)
	if cut {
		err = nil
	}
	return content{found, left, more[secretscan.Certain]+more[secretscan.Likely] > 0}, err
}

// blob searches a file's content.
func (r *changes) blob(ctx context.Context, file preview.ChangedFile, key [32]byte) (c content, err error) {
	if c, ok := r.seen[key]; ok {
		return c, nil
	}
	if err := r.spent(); err != nil {
		return c, err
	}
	if c, err = r.searched(ctx, r.contents, file); err != nil {
		return c, err
	}
	r.seen[key] = c
	if len(c.found) == 0 && len(c.left) == 0 {
		r.clean = append(r.clean, key)
	}
	return c, nil
}

// searched is blob without what is known of it.
func (r *changes) searched(ctx context.Context, by *secretscan.Contents, file preview.ChangedFile) (c content, err error) {
	text, err := r.read(ctx, file.Blob)
	switch {
	case errors.Is(err, preview.ErrTooLarge):
		c.left = []string{fmt.Sprintf("%s is larger than %d MiB and was not scanned", by.Shown(file.Path), maxBlob>>20)}
	case err != nil:
		return c, err
	default:
		if c, err = contentOf(by, file.Path, file.Path, text); err != nil {
			return c, notScanned("object %.12s could not be searched", file.Blob)
		}
	}
	return c, nil
}

// maxTexts bounds the memory of contents, in bytes.
const maxTexts = 16 << 20

// read asks for a content, once where many files have the same: each is searched by its own path.
func (r *changes) read(ctx context.Context, blob string) ([]byte, error) {
	if text, ok := r.texts[blob]; ok {
		return text, nil
	}
	text, err := r.GitHub.Blob(ctx, r.project, blob, maxBlob)
	if err != nil {
		return nil, err
	}
	if r.kept += len(text); r.texts == nil || r.kept > maxTexts {
		r.texts, r.kept = map[string][]byte{}, len(text)
	}
	r.texts[blob] = text
	return text, nil
}

// submodule makes sure that what is no blob is a submodule, whose id is that of a commit of another repository.
func (r *changes) submodule(ctx context.Context, commit preview.Commit, file preview.ChangedFile) error {
	tree, err := r.wholeTree(ctx, commit.SHA)
	if err == nil && tree[file.Path] == file.Blob {
		err = preview.Transient(fmt.Errorf("object %.12s of %s is in a commit and can't be read", file.Blob, r.project.FullName()))
	}
	return err
}

// fresh reports whether a finding was not there before: in the file as the commit found it, in the file from
// which it was renamed, or in one that the commit removed.
func (r *changes) fresh(ctx context.Context, commit preview.Commit, files []preview.ChangedFile, file preview.ChangedFile, f secretscan.Finding) (bool, error) {
	places := []string{r.base}
	for _, parent := range commit.Parents {
		if !r.within[parent] && parent != r.base {
			places = append(places, parent)
		}
	}
	for _, place := range places {
		tree, err := r.tree(ctx, place)
		if err != nil {
			return true, err
		}
		paths := []string{file.Path, file.Previous}
		for _, other := range files {
			if other.Removed && len(paths) < 22 {
				paths = append(paths, other.Path)
			}
		}
		for _, path := range paths {
			if blob := tree[path]; path != "" && blob != "" {
				held, err := r.held(ctx, blob, path)
				if err != nil || held[f.Same()] {
					return false, err
				}
			}
		}
	}
	return true, nil
}

// held is what a content from before the range holds. It leaves no less room for what is new, and has room whatever else was
// there before.
func (r *changes) held(ctx context.Context, blob, path string) (map[string]bool, error) {
	if held, ok := r.old[blob+path]; ok {
		return held, nil
	}
	if err := r.spent(); err != nil {
		return nil, err
	}
	held := map[string]bool{}
	content, err := r.searched(ctx, r.contents.Apart(), preview.ChangedFile{Path: path, Blob: blob})
	if err != nil && !absent(err) {
		return nil, err
	}
	for _, f := range content.found {
		held[f.Same()] = true
	}
	if r.old == nil {
		r.old = map[string]map[string]bool{}
	}
	r.old[blob+path] = held
	return held, nil
}

// text searches what is in no file.
func (l *look) text(c *secretscan.Contents, what, text string) error {
	list, over, err := l.search(c, what, text)
	l.result.over = l.result.over || over
	l.result.take(c, list)
	return err
}

// search is text without what follows from it. over says that something that is not listed reaches the bar.
func (l *look) search(c *secretscan.Contents, what, text string) (list []found, over bool, err error) {
	content, err := contentOf(c, what, "", []byte(text))
	if err != nil {
		return nil, false, notScanned("%s could not be searched", what)
	}
	l.result.leave(content.left...)
	for _, f := range content.found {
		list = append(list, found{Finding: f, text: what})
	}
	return list, content.over, nil
}
