package secretscan

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // Git's ids
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zlib"
)

// objects reads single objects of a repository without Git, whose start costs more than small changes take: those
// that lie unpacked, as what was staged or committed a moment ago does, and those of packs. What it does not find is
// for Git to read; what it reads has the hash that it was asked for, wherever it was.
type objects struct {
	folder string // "" is none
	size   int    // of an id
}

// objectsOf looks for the folder of objects of the repository that Git would take: no other one's is read, whose owner Git
// may not trust.
func objectsOf(dir string, size int) objects {
	if name := os.Getenv("GIT_DIR"); name != "" { // as in the hooks of a linked working tree
		return objects{filepath.Join(common(within(dir, name)), "objects"), size}
	}
	dir, err := filepath.Abs(dir)
	for ; err == nil; dir = filepath.Dir(dir) {
		name := filepath.Join(dir, ".git")
		if info, err := os.Stat(name); err == nil {
			if info.Mode().IsRegular() {
				name = common(within(dir, content(name, "gitdir: ")))
			}
			return objects{filepath.Join(name, "objects"), size}
		}
		if _, err := os.Stat(filepath.Join(dir, "HEAD")); err == nil { // a bare one
			return objects{filepath.Join(dir, "objects"), size}
		}
		if filepath.Dir(dir) == dir {
			break
		}
	}
	return objects{"", size}
}

// common is the folder that a linked working tree's own one shares with others. Of others it is the same.
func common(folder string) string {
	return within(folder, content(filepath.Join(folder, "commondir"), ""))
}

// content is the path in a file of Git's, as in the ".git" file of a linked working tree or a submodule. If it is no such
// file, nothing is found where this leads.
func content(name, prefix string) string {
	text, _ := os.ReadFile(name) //nolint:gosec // GIT_DIR leads where Git itself was led
	return filepath.FromSlash(strings.TrimRight(strings.TrimPrefix(string(text), prefix), "\r\n"))
}

func within(folder, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, name)
}

// each gives the texts that are there, and lists the objects that are left.
func (o objects) each(ids []oid, give func(id oid, text []byte) error) (left []oid, err error) {
	for i, id := range ids {
		if text, ok := o.loose(id); ok {
			if err := give(id, text); err != nil {
				return nil, err
			}
			continue
		}
		if left = append(left, id); len(left) > maxMissed { // they are packed
			return append(left, ids[i+1:]...), nil
		}
	}
	if o.folder == "" || o.size != idSize || len(left) == 0 || len(left) > maxPicked {
		return left, nil
	}
	packs := pickersOf(filepath.Join(o.folder, "pack"))
	defer packs.close()
	rest := left[:0]
	for _, id := range left {
		text, ok := packs.text(id)
		if !ok || !o.hasID(id, text) {
			rest = append(rest, id)
		} else if err := give(id, text); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

const (
	// maxMissed is after how many objects that are not there no more are looked for: each costs a call of the system.
	maxMissed = 200
	// maxPicked is how many objects are picked out of packs. Of more, Git is faster: it remembers what others are
	// built from.
	maxPicked = 64
)

// loose reads an unpacked object.
func (o objects) loose(id oid) (text []byte, ok bool) {
	if o.folder == "" {
		return nil, false
	}
	name := id.text(o.size)
	file, err := os.Open(filepath.Join(o.folder, name[:2], name[2:]))
	if err != nil {
		return nil, false
	}
	defer file.Close()
	packed, err := zlib.NewReader(file)
	if err != nil {
		return nil, false
	}
	defer packed.Close()
	unpacked := bufio.NewReader(packed)
	var size int
	start, err := unpacked.ReadSlice(0) // no further than the buffer is long
	if err != nil {
		return nil, false
	}
	if n, err := fmt.Sscanf(string(start), "blob %d\x00", &size); n != 1 || err != nil || size < 0 || size > maxText {
		return nil, false
	}
	text = make([]byte, size)
	if _, err := io.ReadFull(unpacked, text); err != nil {
		return nil, false
	}
	return text, o.hasID(id, text)
}

// hasID reports whether a blob's text has the hash that it should have.
func (o objects) hasID(id oid, text []byte) bool {
	sum := sha256.New()
	if o.size == sha1.Size {
		sum = sha1.New() //nolint:gosec // Git's ids
	}
	fmt.Fprintf(sum, "blob %d\x00", len(text))
	_, _ = sum.Write(text)
	return string(sum.Sum(nil)) == string(id[:o.size])
}
