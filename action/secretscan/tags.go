package secretscan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tag is an annotated tag: an object with a message.
type tag struct {
	id     oid
	of     oid    // what it is a tag of
	kind   string // of that
	name   string
	tagger Commit // with the tag's own id
	text   []byte // the message, with a signature if there is one
}

const (
	// maxTagged is how many tags may be tags of one another. Each takes a call of Git.
	maxTagged = 16
	// maxTagName is how many characters are told of a tag's name.
	maxTagName = 100
)

// tagsOf lists the annotated tags among the refs.
func tagsOf(ctx context.Context, request Request) (ids []oid, err error) {
	out, err := git(ctx, request.Dir, "for-each-ref", "--format=%(objecttype) %(objectname) %(refname)")
	for line := range strings.Lines(string(out)) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		id, name, _ := strings.Cut(rest, " ")
		object, ok := parseOID([]byte(id))
		switch {
		case !ok || kind == "commit":
		case kind == "tag":
			ids = append(ids, object)
		default:
			request.Note(fmt.Sprintf("%s is of a %s and not of a commit, and was not scanned", printable(Shown(name)), kind))
		}
	}
	return ids, err
}

// scanHistoryTags scans the messages of the tags that refs are of. They are few and change without any commit, so that
// no cache has them.
func scanHistoryTags(ctx context.Context, request Request) ([]Finding, error) {
	ids, err := tagsOf(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	return scanTags(ctx, request, ids)
}

// scanPushedTag scans the message of a revision, if that is an annotated tag. newest is the commit that it leads to, if
// that is known.
func scanPushedTag(ctx context.Context, request Request, revision string, newest oid) ([]Finding, error) {
	if id, ok := parseOID([]byte(revision)); revision == "HEAD" || ok && id == newest {
		return nil, nil // usual ranges need not ask
	}
	out, err := git(ctx, request.Dir, "rev-parse", "--verify", "--quiet", "--end-of-options", revision)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotScanned, err)
	}
	id, ok := parseOID(bytes.TrimSpace(out))
	if !ok || id == newest {
		return nil, nil
	}
	return scanTags(ctx, request, []oid{id})
}

// scanTags scans the messages of annotated tags, and of those that they are tags of. Other objects are passed over.
func scanTags(ctx context.Context, request Request, ids []oid) ([]Finding, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	size := sizeOfIDs([]change{{was: ids}})
	s := request.searcher()
	said := taggedFindings{at: map[string]int{}}
	var faults []error
	seen := map[oid]bool{}
	fresh := func(id oid) bool {
		again := seen[id]
		seen[id] = true
		return !again
	}
	ids = slices.DeleteFunc(ids, func(id oid) bool { return !fresh(id) }) // several refs may be of one tag
	for depth := 0; len(ids) > 0; depth++ {
		if depth == maxTagged {
			return said.list, errors.Join(append(faults, fmt.Errorf("%w: more than %d tags are tags of one another", ErrNotScanned, maxTagged))...)
		}
		var next []oid
		err := blobs(ctx, request.Dir, size, ids, func(i int, text []byte, err error) error {
			if err != nil {
				faults = append(faults, fmt.Errorf("%w: object %s: %w", ErrNotScanned, ids[i].text(size), err))
				return nil
			}
			t, ok := parseTag(ids[i], text, size)
			if !ok {
				return nil
			}
			if err := said.add(s, t); err != nil {
				faults = append(faults, err)
			}
			switch {
			case t.kind == "commit" || !fresh(t.of):
			case t.kind == "tag":
				next = append(next, t.of)
			default:
				request.Note(fmt.Sprintf("tag %.10s is of a %s and not of a commit, which was not scanned", t.tagger.ID, printable(t.kind[:min(len(t.kind), len("blob"))])))
			}
			return nil
		}, func(i int, _ int64, _ io.Reader) error {
			faults = append(faults, fmt.Errorf("%w: object %s is larger than %d MiB", ErrNotScanned, ids[i].text(size), maxText>>20))
			return nil
		})
		if err != nil {
			return said.list, errors.Join(append(faults, fmt.Errorf("%w: %w", ErrNotScanned, err))...)
		}
		ids = next
	}
	return said.list, errors.Join(faults...)
}

// parseTag reads a tag's object: lines of a name and a value each, an empty one, and the message.
func parseTag(id oid, object []byte, size int) (t tag, ok bool) {
	head, text, _ := bytes.Cut(object, []byte("\n\n"))
	t = tag{id: id, text: text, tagger: Commit{ID: id.text(size)}}
	for i, line := range strings.Split(string(head), "\n") {
		name, value, _ := strings.Cut(line, " ")
		if want := []string{"object", "type", "tag", "tagger"}; i < len(want) && name != want[i] {
			return t, i > 2 // tags of long ago have no tagger
		}
		switch i {
		case 0:
			t.of, ok = parseOID([]byte(value))
			if !ok {
				return t, false
			}
		case 1:
			t.kind = value
		case 2:
			t.name = value
		case 3:
			t.tagger.Author, t.tagger.Date = parseTagger(value)
		}
	}
	return t, ok
}

// parseTagger reads "Ann <ann@acme.dev> 1700000000 +0100".
func parseTagger(line string) (name string, date time.Time) {
	name, rest, _ := strings.Cut(line, " <")
	_, rest, _ = strings.Cut(rest, "> ")
	seconds, zone, _ := strings.Cut(rest, " ")
	if n, err := strconv.ParseInt(seconds, 10, 64); err == nil {
		date = time.Unix(n, 0).UTC()
		if at, err := time.Parse("-0700", zone); err == nil {
			date = date.In(at.Location())
		}
	}
	return name, reportable(date)
}

// taggedFindings are those in messages of tags: the same secret in several is one finding, placed in the oldest.
type taggedFindings struct {
	list []Finding
	at   map[string]int
}

func (l *taggedFindings) add(s *searcher, t tag) error {
	found, err := s.message(t)
	if len(found) > 0 {
		t.tagger.Author = s.shown(t.tagger.Author)
	}
	for _, f := range found {
		f.First, f.Last = &t.tagger, &t.tagger
		i, ok := l.at[f.Rule+f.Fingerprint]
		if !ok && s.more.fullScan(len(l.list)) {
			s.more.count(f.Tier)
			continue
		} else if !ok {
			l.at[f.Rule+f.Fingerprint] = len(l.list)
			l.list = append(l.list, f)
			continue
		}
		was := &l.list[i]
		first, last := was.First, was.Last
		if t.tagger.Date.Before(first.Date) {
			*was, first = f, f.First
		}
		if t.tagger.Date.After(last.Date) {
			last = f.Last
		}
		was.First, was.Last = first, last
	}
	return err
}

// tagText begins the Text of a finding in a tag's message.
const tagText = "the message of tag "

// message finds the secrets in a tag's message. None of them is in the tag's name as it is told.
func (s *searcher) message(t tag) (found []Finding, err error) {
	s.kept = 0
	s.called = "tag " + t.tagger.ID
	defer s.recovered(&found, &err)
	list := s.matches(t.text, everything(t.text), []string{""})
	if len(list) == 0 {
		return nil, nil
	}
	if len(t.name) > maxName { // Git makes none like that
		t.name = "…"
	}
	found = s.sealed(list, piece{strings.ToValidUTF8(t.name, "?"), t.text}, []string{""})
	for i := range found {
		name := []rune(found[i].Path)
		if len(name) > maxTagName {
			name = append(name[:maxTagName], '…')
		}
		found[i].Text = fmt.Sprintf("%s%s (%.10s)", tagText, string(name), t.tagger.ID)
		found[i].Path = ""
	}
	return found, nil
}
