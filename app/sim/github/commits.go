package github

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

type commit struct {
	sha, tree                                    string
	parents                                      []string
	authorName, authorEmail, authorDate          string
	committerName, committerEmail, committerDate string
	message                                      string
}

// commits runs git log with the given arguments.
func (g git) commits(ctx context.Context, dir string, args ...string) ([]commit, error) {
	format := "--format=" + strings.Join([]string{"%H", "%T", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B"}, "%x00") + "%x00%x1e"
	out, err := g.run(ctx, dir, nil, append([]string{"log", format}, append(args, "--")...)...)
	if err != nil {
		return nil, err
	}
	var list []commit
	for record := range strings.SplitSeq(string(out), "\x00\x1e") {
		f := strings.SplitN(strings.TrimLeft(record, "\n"), "\x00", 10)
		if len(f) < 10 {
			continue
		}
		list = append(list, commit{f[0], f[1], strings.Fields(f[2]), f[3], f[4], f[5], f[6], f[7], f[8], strings.TrimRight(f[9], "\n")})
	}
	return list, nil
}

// touched gives for each commit the paths it added (A), removed (D) and modified (M) against its first parent.
func (g git) touched(ctx context.Context, dir string, commits []commit) map[string]map[string][]string {
	var in bytes.Buffer
	for _, c := range commits {
		if len(c.parents) > 0 {
			fmt.Fprintf(&in, "%s %s\n", c.sha, c.parents[0])
		} else {
			fmt.Fprintf(&in, "%s\n", c.sha)
		}
	}
	result := map[string]map[string][]string{}
	if in.Len() == 0 {
		return result
	}
	out, err := g.run(ctx, dir, in.Bytes(), "diff-tree", "-r", "--root", "-z", "--name-status", "--no-renames", "--stdin")
	if err != nil {
		return result
	}
	tokens := strings.Split(string(out), "\x00")
	sha := ""
	for i := 0; i < len(tokens); i++ {
		token := strings.TrimLeft(tokens[i], "\n")
		switch {
		case len(token) >= 40 && isSHA(token[:40]):
			sha = token[:40]
			result[sha] = map[string][]string{}
		case len(token) == 1 && sha != "" && i+1 < len(tokens):
			status := token
			if status == "T" {
				status = "M"
			}
			i++
			result[sha][status] = append(result[sha][status], tokens[i])
		}
	}
	return result
}

func (v repoView) commitJSON(c commit) object {
	person := func(name, email, date string) object { return object{"name": name, "email": email, "date": date} }
	parents := []object{}
	for _, sha := range c.parents {
		parents = append(parents, object{"sha": sha, "url": v.api + "/commits/" + sha, "html_url": v.page + "/commit/" + sha})
	}
	return object{
		"sha": c.sha, "node_id": nodeID("C", v.id), "url": v.api + "/commits/" + c.sha, "html_url": v.page + "/commit/" + c.sha,
		"comments_url": v.api + "/commits/" + c.sha + "/comments", "author": nil, "committer": nil, "parents": parents,
		"commit": object{
			"url": v.api + "/git/commits/" + c.sha, "message": c.message, "comment_count": 0,
			"author": person(c.authorName, c.authorEmail, c.authorDate), "committer": person(c.committerName, c.committerEmail, c.committerDate),
			"tree":         object{"sha": c.tree, "url": v.api + "/git/trees/" + c.tree},
			"verification": object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
		},
	}
}

// diffEntries lists the files that differ between two commits, with their patches.
func (v repoView) diffEntries(ctx context.Context, g git, from, to string) ([]object, error) {
	raw, err := g.run(ctx, v.dir, nil, "diff", "-z", "-M", "--raw", "--numstat", "--no-abbrev", from, to, "--")
	if err != nil {
		return nil, err
	}
	patch, err := g.run(ctx, v.dir, nil, "diff", "-M", "--no-color", "--no-ext-diff", from, to, "--")
	if err != nil {
		return nil, err
	}
	entries := parseRawDiff(string(raw))
	patches := splitPatch(string(patch))
	list := []object{}
	for i, e := range entries {
		sha := e.sha
		if sha == zeroSHA {
			sha = e.oldSHA
		}
		path := pathEscape(e.path)
		o := object{
			"sha": sha, "filename": e.path, "status": e.status, "additions": e.additions, "deletions": e.deletions, "changes": e.additions + e.deletions,
			"blob_url": v.page + "/blob/" + to + "/" + path, "raw_url": v.page + "/raw/" + to + "/" + path,
			"contents_url": v.api + "/contents/" + path + "?ref=" + to,
		}
		if e.previous != "" {
			o["previous_filename"] = e.previous
		}
		if i < len(patches) && patches[i] != "" {
			o["patch"] = patches[i]
		}
		list = append(list, o)
	}
	return list, nil
}

type rawDiff struct {
	status, path, previous string
	oldSHA, sha            string
	additions, deletions   int
}

// parseRawDiff reads `git diff -z --raw --numstat`: first all raw entries, then all counts, in one order.
func parseRawDiff(out string) []rawDiff {
	tokens := strings.Split(out, "\x00")
	var entries []rawDiff
	counted := 0
	names := map[byte]string{'A': "added", 'D': "removed", 'M': "modified", 'R': "renamed", 'C': "copied", 'T': "changed"}
	for i := 0; i < len(tokens); i++ {
		token := tokens[i]
		if f := strings.Fields(token); strings.HasPrefix(token, ":") && len(f) == 5 && i+1 < len(tokens) {
			e := rawDiff{status: names[f[4][0]], oldSHA: f[2], sha: f[3], path: tokens[i+1]}
			i++
			if (e.status == "renamed" || e.status == "copied") && i+1 < len(tokens) {
				i++
				e.previous, e.path = e.path, tokens[i]
			}
			entries = append(entries, e)
			continue
		}
		f := strings.SplitN(token, "\t", 3)
		if len(f) != 3 || counted >= len(entries) {
			continue
		}
		entries[counted].additions, _ = strconv.Atoi(f[0]) // "-" for a binary file: zero
		entries[counted].deletions, _ = strconv.Atoi(f[1])
		counted++
		if f[2] == "" { // a rename: both names follow
			i += 2
		}
	}
	return entries
}

// splitPatch gives each file's hunks, without the headers; empty for a binary file.
func splitPatch(patch string) []string {
	var patches []string
	for file := range strings.SplitSeq("\n"+patch, "\ndiff --git ") {
		if strings.TrimSpace(file) == "" {
			continue
		}
		_, hunks, ok := strings.Cut(file, "\n@@")
		if ok {
			hunks = "@@" + strings.TrimSuffix(hunks, "\n")
		}
		patches = append(patches, hunks)
	}
	return patches
}

func (c *call) getCommit() (answer, error) {
	sha := c.s.git.resolve(c.r.Context(), c.at.dir, c.r.PathValue("ref"))
	if sha == "" {
		return answer{}, fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.r.PathValue("ref"))
	}
	if strings.Contains(c.r.Header.Get("Accept"), "sha") {
		return answer{raw: []byte(sha), contentType: "application/vnd.github.sha; charset=utf-8"}, nil
	}
	one, ok := c.s.git.commit(c.r.Context(), c.at.dir, sha)
	if !ok {
		return answer{}, fmt.Errorf("commit %s: %w", sha, ErrNotFound)
	}
	o, header := c.at.commitJSON(one), http.Header{}
	if len(one.parents) > 0 {
		files, err := c.at.diffEntries(c.r.Context(), c.s.git, one.parents[0], sha)
		if err != nil {
			return answer{}, err
		}
		add, del := 0, 0
		for _, f := range files {
			add, del = add+f["additions"].(int), del+f["deletions"].(int)
		}
		var page []object
		page, header = c.sliceBy(files[:min(len(files), committedFiles)], comparedFiles, comparedFiles)
		o["files"], o["stats"] = page, object{"total": add + del, "additions": add, "deletions": del}
	}
	return answer{body: o, header: header}, nil
}

func (c *call) listCommits() (answer, error) {
	q := c.r.URL.Query()
	rev := q.Get("sha")
	if rev == "" {
		rev = c.at.defaultBranch
	}
	sha := c.s.git.resolve(c.r.Context(), c.at.dir, rev)
	if sha == "" {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	commits, err := c.s.git.commits(c.r.Context(), c.at.dir, "-1000", sha)
	if err != nil {
		return answer{}, err
	}
	list := []object{}
	for _, one := range commits {
		list = append(list, c.at.commitJSON(one))
	}
	return c.page(list)
}

func (c *call) listBranches() (answer, error) {
	refs, err := c.s.git.refs(c.r.Context(), c.at.dir)
	if err != nil {
		return answer{}, err
	}
	list := []object{}
	for _, change := range changedRefs(nil, refs) {
		if name, ok := strings.CutPrefix(change.ref, "refs/heads/"); ok {
			list = append(list, object{
				"name": name, "protected": false, "commit": object{"sha": change.after, "url": c.at.api + "/commits/" + change.after},
			})
		}
	}
	return c.page(list)
}

func (c *call) getBranch() (answer, error) {
	name := c.r.PathValue("branch")
	sha := c.s.git.resolve(c.r.Context(), c.at.dir, "refs/heads/"+name)
	if sha == "" {
		return answer{}, fail(http.StatusNotFound, "Branch not found")
	}
	one, ok := c.s.git.commit(c.r.Context(), c.at.dir, sha)
	if !ok {
		return answer{}, fmt.Errorf("commit %s: %w", sha, ErrNotFound)
	}
	self := c.at.api + "/branches/" + pathEscape(name)
	return answer{body: object{
		"name": name, "commit": c.at.commitJSON(one), "protected": false,
		"_links":         object{"self": self, "html": c.at.page + "/tree/" + pathEscape(name)},
		"protection":     object{"enabled": false, "required_status_checks": object{"enforcement_level": "off", "contexts": []string{}, "checks": []object{}}},
		"protection_url": self + "/protection",
	}}, nil
}

func (c *call) getRef() (answer, error) {
	name := "refs/" + c.r.PathValue("ref")
	sha, err := c.s.git.line(c.r.Context(), c.at.dir, "rev-parse", "--verify", "--quiet", "--end-of-options", name)
	if err != nil || !isSHA(sha) {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	kind, err := c.s.git.line(c.r.Context(), c.at.dir, "cat-file", "-t", sha)
	if err != nil {
		return answer{}, err
	}
	return answer{body: object{
		"ref": name, "node_id": nodeID("REF", c.at.id), "url": c.at.api + "/git/" + pathEscape(name),
		"object": object{"type": kind, "sha": sha, "url": c.at.api + "/git/" + kind + "s/" + sha},
	}}, nil
}

// getGitCommit gives the bare git object.
func (c *call) getGitCommit() (answer, error) {
	sha := c.r.PathValue("commit_sha")
	one, ok := c.s.git.commit(c.r.Context(), c.at.dir, sha)
	if !isSHA(sha) || !ok {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	whole := c.at.commitJSON(one)
	o := whole["commit"].(object)
	delete(o, "comment_count")
	for _, key := range []string{"sha", "node_id", "html_url", "parents"} {
		o[key] = whole[key]
	}
	return answer{body: o}, nil
}

// What GitHub lists of the files of a comparison, and of a commit, a page of which is as large as a comparison.
const (
	comparedFiles  = 300
	committedFiles = 3000
)

func (c *call) compare() (answer, error) {
	ctx := c.r.Context()
	baseName, headName, ok := strings.Cut(c.r.PathValue("basehead"), "...")
	base, head := c.s.git.resolve(ctx, c.at.dir, baseName), c.s.git.resolve(ctx, c.at.dir, headName)
	if !ok || base == "" || head == "" {
		return answer{}, fail(http.StatusNotFound, "Not Found")
	}
	mergeBase, err := c.s.git.line(ctx, c.at.dir, "merge-base", base, head)
	if err != nil {
		return answer{}, fail(http.StatusNotFound, "No common ancestor between "+baseName+" and "+headName+".")
	}
	ahead, err := c.s.git.commits(ctx, c.at.dir, "--reverse", head, "^"+base)
	if err != nil {
		return answer{}, err
	}
	behind, err := c.s.git.line(ctx, c.at.dir, "rev-list", "--count", base, "^"+head)
	if err != nil {
		return answer{}, err
	}
	ends, err := c.s.git.commits(ctx, c.at.dir, "--no-walk=unsorted", base, mergeBase)
	if err != nil || len(ends) == 0 {
		return answer{}, fmt.Errorf("commits of %s: %w", baseName, err)
	}
	files, err := c.at.diffEntries(ctx, c.s.git, mergeBase, head)
	if err != nil {
		return answer{}, err
	}
	list := []object{}
	for _, one := range ahead {
		list = append(list, c.at.commitJSON(one))
	}
	files = files[:min(len(files), comparedFiles)]
	header := http.Header{}
	if q := c.r.URL.Query(); q.Has("page") || q.Has("per_page") { // without, up to 250 commits come at once
		list, header = c.slice(list)
		if number(q.Get("page"), 1, 1<<30) > 1 {
			files = []object{} // the first page has them all
		}
	} else {
		list = list[max(0, len(list)-250):]
	}
	status := map[[2]bool]string{{false, false}: "identical", {true, false}: "ahead", {false, true}: "behind", {true, true}: "diverged"}
	behindBy, _ := strconv.Atoi(behind)
	page := c.at.page + "/compare/" + pathEscape(baseName) + "..." + pathEscape(headName)
	return answer{header: header, body: object{
		"url": c.at.api + "/compare/" + pathEscape(baseName) + "..." + pathEscape(headName), "html_url": page,
		"permalink_url": c.at.page + "/compare/" + base + "..." + head, "diff_url": page + ".diff", "patch_url": page + ".patch",
		"base_commit": c.at.commitJSON(ends[0]), "merge_base_commit": c.at.commitJSON(ends[len(ends)-1]),
		"status": status[[2]bool{len(ahead) > 0, behindBy > 0}], "ahead_by": len(ahead), "behind_by": behindBy,
		"total_commits": len(ahead), "commits": list, "files": files,
	}}, nil
}
