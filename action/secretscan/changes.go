package secretscan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// scanStaged scans what the next commit would bring.
func scanStaged(ctx context.Context, request Request) ([]Finding, error) {
	list, err := staged(ctx, request.Dir, "HEAD")
	if err != nil && isUnborn(ctx, request.Dir) {
		var empty []byte
		if empty, err = git(ctx, request.Dir, "hash-object", "-t", "tree", os.DevNull); err == nil {
			list, err = staged(ctx, request.Dir, strings.TrimSpace(string(empty)))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	if !slices.ContainsFunc(list, func(c change) bool { return c.now != oid{} }) { // usual commits need not ask
		if bare, err := git(ctx, request.Dir, "rev-parse", "--is-bare-repository"); err != nil || strings.TrimSpace(string(bare)) == "true" {
			return nil, errors.Join(fmt.Errorf("%w: nothing can be staged in a bare repository", ErrNotScanned), err)
		}
	}
	return scanChanges(ctx, request, list, nil)
}

// staged lists what the index has and a commit or tree has not.
func staged(ctx context.Context, dir, base string) (list []change, err error) {
	err = runLog(ctx, dir, func(logged) {}, func(c change) { list = append(list, c) },
		"diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-relative", base, "--")
	return list, err
}

// isUnborn reports whether there is no commit yet.
func isUnborn(ctx context.Context, dir string) bool {
	_, err := git(ctx, dir, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
	return err != nil
}

// scanRange scans what the commits of a range brought, each compared with all its parents, so that also
// what a later commit removed and what only a merge holds is found, and their messages.
func scanRange(ctx context.Context, request Request) ([]Finding, error) {
	from, to, ok := strings.Cut(request.Range, "..")
	if !ok || !isName(from) || !isName(to) {
		return nil, fmt.Errorf("%w: range %q: want A..B", ErrNotScanned, Shown(request.Range))
	}
	var list []change
	var commits []oid // of list
	var current oid
	var roots []oid
	var newest logged
	said := messages{request: request}
	err := runLog(ctx, request.Dir, func(c logged) {
		if newest.size == 0 {
			newest = c
		}
		if current = c.id; !c.hasParent {
			roots = append(roots, c.id)
		}
		said.scan(c)
	}, func(c change) {
		list, commits = append(list, c), append(commits, current)
	}, RangeLog(from, to)...)
	if err != nil {
		if why := unresolved(ctx, request.Dir, from, to); why != nil {
			err = why
		}
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	if err := notCut(ctx, request.Dir, roots); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	found, err := scanChanges(ctx, request, list, commits)
	more, messagesErr := said.findings(ctx, request.Dir)
	tags, tagsErr := scanPushedTag(ctx, request, to, newest.id)
	return slices.Concat(found, more, tags), errors.Join(err, messagesErr, tagsErr)
}

// RangeLog is the command of Git that tells what a range's commits changed.
func RangeLog(from, to string) []string {
	return logArgs("--topo-order", to+"^{commit}", "^"+from+"^{commit}", "--")
}

// RangeFiles lists the objects of files that a scan of the range reads, in what RangeLog's command prints.
func RangeFiles(log io.Reader) (ids []string, err error) {
	files, size := newTexts(), idSize
	err = readLog(log, func(c logged) { size = c.size }, func(c change) {
		for _, id := range append(c.was, c.now) {
			files.add(id, c.path)
		}
	})
	for _, id := range files.ids {
		ids = append(ids, id.text(size))
	}
	return ids, err
}

// isName reports whether Git can take a text for one revision at most: not for an option, for what to leave out, or
// for another range.
func isName(text string) bool {
	return text != "" && !strings.HasPrefix(text, "-") && !strings.HasPrefix(text, "^") && !strings.HasPrefix(text, ".") && !strings.Contains(text, "..")
}

// unresolved tells what is wrong with a range that Git refused, if that is its names.
func unresolved(ctx context.Context, dir string, names ...string) error {
	if _, err := git(ctx, dir, "rev-parse", "--git-dir"); err != nil {
		return err // no repository, or one of somebody else's
	}
	for _, name := range names {
		if _, err := git(ctx, dir, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}"); err != nil {
			return fmt.Errorf("%s is no commit of this repository; fetch more of its history", Shown(name))
		}
	}
	return nil
}

// notCut fails if commits without parents have theirs outside a shallow clone.
func notCut(ctx context.Context, dir string, roots []oid) error {
	if len(roots) == 0 { // usual ranges need not ask
		return nil
	}
	cut, err := shallow(ctx, dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(roots, func(id oid) bool { return cut[id] }) {
		return errors.New("the history is cut off inside the range; fetch more of it")
	}
	return nil
}

// shallow lists the commits whose parents a shallow clone lacks.
func shallow(ctx context.Context, dir string) (map[oid]bool, error) {
	name, err := git(ctx, dir, "rev-parse", "--path-format=absolute", "--git-path", "shallow")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(strings.TrimRight(string(name), "\r\n"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // an empty map: nothing is cut
	} else if err != nil {
		return nil, err
	}
	cut := map[oid]bool{}
	for line := range strings.FieldsSeq(string(text)) {
		if id, ok := parseOID([]byte(line)); ok {
			cut[id] = true
		}
	}
	return cut, nil
}

// scanChanges scans files as changes left them and drops what the same files, or others of the changes,
// held before: a moved secret is an old one. commits, if there are any, are those of the changes, the
// newest first.
func scanChanges(ctx context.Context, request Request, list []change, commits []oid) ([]Finding, error) {
	size := sizeOfIDs(list)
	before := objectsBefore(list, commits)
	fresh, old := newTexts(), newTexts()
	for _, c := range list {
		if before[c.now] {
			old.add(c.now, c.path)
		} else {
			fresh.add(c.now, c.path)
		}
		for _, was := range c.was {
			if before[was] {
				old.add(was, c.path)
			}
		}
	}
	byBlob, held := map[oid][]Finding{}, 0
	scanErr := scanBlobs(ctx, request, size, fresh, func(id oid, some []Finding) {
		if held += len(some); request.more.fullScan(held / 4) { // those in several versions of a file become one

			for _, f := range some {
				request.more.count(f.Tier)
			}
			return
		}
		byBlob[id] = some
	})
	if len(byBlob) == 0 { // usual changes: what was there before has no say
		return nil, scanErr
	}
	known := map[string]bool{}
	past := request
	past.more = newMore()
	oldErr := scanBlobs(ctx, past, size, old, func(_ oid, some []Finding) {
		for _, f := range some {
			known[f.Same()] = true
		}
	})
	if past.more.error() != nil {
		request.Note("the changed files held more findings than are kept of a file, so that some of these are told again as new")
	}
	byFile := map[file][]Finding{}
	for id, found := range byBlob {
		for _, f := range found {
			if at := (file{id, fresh.paths[id][f.place]}); !known[f.Same()] {
				byFile[at] = append(byFile[at], f)
			}
		}
	}
	var found []Finding
	at := map[string]int{} // rule, fingerprint and path: index in found
	spans := [][2]int{}    // oldest and newest commit of each finding
	for i, c := range list {
		for _, f := range byFile[file{c.now, c.path}] {
			key := f.Rule + f.Fingerprint + f.Path
			if j, ok := at[key]; ok {
				if commits != nil && spans[j][0] != i { // an older commit: the finding is where it was first
					found[j], spans[j][0] = f, i
				}
			} else {
				at[key] = len(found)
				found, spans = append(found, f), append(spans, [2]int{i, i})
			}
		}
	}
	var err error
	if commits != nil {
		err = attribute(ctx, request.Dir, found, func(i int) (first, last string) {
			return commits[spans[i][0]].text(size), commits[spans[i][1]].text(size)
		})
	}
	return found, errors.Join(scanErr, oldErr, err)
}

// objectsBefore are those that were there before the changes: that a change replaced or removed, and no
// older one had brought.
func objectsBefore(list []change, commits []oid) map[oid]bool {
	before, brought := map[oid]bool{}, map[oid]bool{}
	for end := len(list); end > 0; {
		start := end - 1
		for start > 0 && (commits == nil || commits[start-1] == commits[end-1]) {
			start--
		}
		for _, c := range list[start:end] {
			for _, old := range c.was {
				before[old] = before[old] || !brought[old]
			}
		}
		for _, c := range list[start:end] {
			brought[c.now] = true
		}
		end = start
	}
	return before
}

// attribute adds the commits of findings.
func attribute(ctx context.Context, dir string, found []Finding, commits func(i int) (first, last string)) error {
	var ids []string
	for i := range found {
		first, last := commits(i)
		ids = append(ids, first, last)
	}
	known, err := describe(ctx, dir, ids)
	if err != nil {
		return err
	}
	for i := range found {
		first, last := commits(i)
		found[i].First, found[i].Last = known[first], known[last]
	}
	return nil
}

// sizeOfIDs is the size of the objects' ids in bytes: 20, or 32 in a SHA-256 repository, where hardly one ends in 12
// zero bytes.
func sizeOfIDs(list []change) int {
	for _, c := range list {
		for _, id := range append(c.was, c.now) {
			if !bytes.Equal(id[idSize:], make([]byte, len(id)-idSize)) {
				return len(id)
			}
		}
	}
	return idSize
}

// hashSize is the same of a repository, as Git says it.
func hashSize(ctx context.Context, dir string) (int, error) {
	format, err := git(ctx, dir, "rev-parse", "--show-object-format")
	if err != nil {
		return 0, err
	}
	if strings.TrimSpace(string(format)) == "sha256" {
		return 32, nil
	}
	return 20, nil
}

// texts are objects to scan, and at which paths they are.
type texts struct {
	ids   []oid
	paths map[oid][]string
	files map[file]bool // that are there
}

// file is an object at a path.
type file struct {
	id   oid
	path string
}

func newTexts() *texts { return &texts{paths: map[oid][]string{}, files: map[file]bool{}} }

// add adds a file, if anything is reported in such a one.
func (t *texts) add(id oid, path string) {
	if id == (oid{}) || t.files[file{id, path}] || defaultMatcher().allowsPath(path) {
		return
	}
	t.files[file{id, path}] = true
	if _, ok := t.paths[id]; !ok {
		t.ids = append(t.ids, id)
	}
	t.paths[id] = append(t.paths[id], path)
}

// nameOf is what errors and notes call an object, which may be several files.
func nameOf(id string, paths []string) string {
	return "object " + id + " (" + printable(paths[0]) + ")"
}

// blob is an object's text on its way to a scanner.
type blob struct {
	id   oid
	text []byte
}

// scanBlobs scans objects, read through Git. done gets what was found, one call at a time.
func scanBlobs(ctx context.Context, request Request, size int, wanted *texts, done func(id oid, found []Finding)) error {
	var lost []error
	var s *searcher // for large ones
	large := map[oid][]Finding{}
	err := eachOf(ctx, request, func(ctx context.Context, give func(blob) error) error {
		packed, err := objectsOf(request.Dir, size).each(wanted.ids, func(id oid, text []byte) error { return give(blob{id, text}) })
		if err != nil {
			return err
		}
		return blobs(ctx, request.Dir, size, packed, func(i int, text []byte, err error) error {
			if err != nil {
				lost = append(lost, fmt.Errorf("%w: object %s: %w", ErrNotScanned, packed[i].text(size), err))
				return nil
			}
			return give(blob{packed[i], text})
		}, func(i int, length int64, text io.Reader) error {
			name := nameOf(packed[i].text(size), wanted.paths[packed[i]])
			if length > maxLarge {
				request.Note(tooLarge(Shown(name)))
				return nil
			}
			if s == nil {
				s = request.searcher()
			}
			some, err := s.large(name, text, wanted.paths[packed[i]], request.Note)
			large[packed[i]] = some
			if err != nil {
				lost = append(lost, err)
			}
			return nil
		})
	}, func(s *searcher, b blob) ([]Finding, error) {
		return s.file(nameOf(b.id.text(size), wanted.paths[b.id]), b.text, wanted.paths[b.id])
	}, func(b blob, some []Finding) { done(b.id, some) })
	for id, some := range large {
		done(id, some)
	}
	return errors.Join(append(lost, err)...)
}
