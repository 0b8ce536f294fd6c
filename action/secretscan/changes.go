package secretscan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// scanStaged scans what the next commit would bring.
func scanStaged(ctx context.Context, request Request) ([]Finding, error) {
	base := "HEAD"
	if _, err := git(ctx, request.Dir, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"); err != nil {
		empty, err := git(ctx, request.Dir, "hash-object", "-t", "tree", os.DevNull)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
		}
		base = strings.TrimSpace(string(empty))
	}
	var list []change
	err := runLog(ctx, request.Dir, func(oid) {}, func(c change) { list = append(list, c) },
		"diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", base, "--")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	return scanChanges(ctx, request, list, nil)
}

// scanRange scans what the commits of a range brought, each compared with all its parents, so that also
// what a later commit removed and what only a merge holds is found.
func scanRange(ctx context.Context, request Request) ([]Finding, error) {
	from, to, ok := strings.Cut(request.Range, "..")
	if !ok || from == "" || to == "" || strings.HasPrefix(to, ".") || strings.HasPrefix(from, "-") || strings.HasPrefix(to, "-") {
		return nil, fmt.Errorf("%w: range %q: want A..B", ErrNotScanned, request.Range)
	}
	ends := make([]string, 2)
	for i, name := range []string{from, to} {
		id, err := git(ctx, request.Dir, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
		if err != nil {
			return nil, fmt.Errorf("%w: %s is no commit of this repository; fetch more of its history", ErrNotScanned, name)
		}
		ends[i] = strings.TrimSpace(string(id))
	}
	cut, err := shallow(ctx, request.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	var list []change
	var commits []oid // of list
	var current oid
	var missing error
	err = runLog(ctx, request.Dir, func(id oid) {
		if current = id; cut[id] {
			missing = fmt.Errorf("%w: the history is cut off inside the range; fetch more of it", ErrNotScanned)
		}
	}, func(c change) {
		list, commits = append(list, c), append(commits, current)
	}, logArgs("--topo-order", ends[1], "^"+ends[0], "--")...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	if missing != nil {
		return nil, missing
	}
	return scanChanges(ctx, request, list, commits)
}

// shallow lists the commits whose parents a shallow clone lacks.
func shallow(ctx context.Context, dir string) (map[oid]bool, error) {
	name, err := git(ctx, dir, "rev-parse", "--path-format=absolute", "--git-path", "shallow")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(strings.TrimSpace(string(name)))
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
	size, err := hashSize(ctx, request.Dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	// Each object is read once, those from before the changes for comparison.
	before := objectsBefore(list, commits)
	paths := map[oid][]string{}
	var ids []oid
	want := func(id oid, path string) {
		if id == (oid{}) || defaultMatcher().allowsPath(path) {
			return
		}
		if _, ok := paths[id]; !ok {
			ids = append(ids, id)
		}
		if !slices.Contains(paths[id], path) {
			paths[id] = append(paths[id], path)
		}
	}
	for _, c := range list {
		want(c.now, c.path)
		for _, old := range c.was {
			if before[old] {
				want(old, c.path)
			}
		}
	}
	byBlob, scanErr := scanBlobs(ctx, request, size, ids, paths)
	known := map[string]bool{}
	for id, found := range byBlob {
		if before[id] {
			for _, f := range found {
				known[f.Rule+f.Fingerprint] = true
			}
		}
	}
	var found []Finding
	at := map[string]int{} // rule, fingerprint and path: index in found
	spans := [][2]int{}    // oldest and newest commit of each finding
	for i, c := range list {
		for _, f := range byBlob[c.now] {
			if paths[c.now][f.place] != c.path || known[f.Rule+f.Fingerprint] {
				continue
			}
			key := f.Rule + f.Fingerprint + f.Path
			if j, ok := at[key]; ok {
				if commits != nil { // an older commit: the finding is where it was first
					found[j], spans[j][0] = f, i
				}
			} else {
				at[key] = len(found)
				found, spans = append(found, f), append(spans, [2]int{i, i})
			}
		}
	}
	if commits != nil {
		err = attribute(ctx, request.Dir, found, func(i int) (first, last string) {
			return commits[spans[i][0]].text(size), commits[spans[i][1]].text(size)
		})
	}
	return found, errors.Join(scanErr, err)
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

// hashSize is the size of an object id in bytes: 20, or 32 in a SHA-256 repository.
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

// blob is an object's text on its way to a scanner.
type blob struct {
	id   oid
	text []byte
}

// scanBlobs scans objects, read through Git.
func scanBlobs(ctx context.Context, request Request, size int, ids []oid, paths map[oid][]string) (map[oid][]Finding, error) {
	found := map[oid][]Finding{}
	var lost []error
	err := eachOf(ctx, func(ctx context.Context, give func(blob) error) error {
		return blobs(ctx, request.Dir, size, ids, func(i int, text []byte, err error) error {
			switch {
			case errors.Is(err, errTooLarge):
				request.Note(fmt.Sprintf("object %s is larger than %d MiB and was not scanned", ids[i].text(size), maxText>>20))
				return nil
			case err != nil:
				lost = append(lost, fmt.Errorf("%w: object %s: %w", ErrNotScanned, ids[i].text(size), err))
				return nil
			}
			return give(blob{ids[i], text})
		})
	}, func(s *searcher, b blob) ([]Finding, error) {
		return s.file("object "+b.id.text(size), b.text, paths[b.id])
	}, func(b blob, some []Finding) { found[b.id] = some })
	return found, errors.Join(append(lost, err)...)
}
