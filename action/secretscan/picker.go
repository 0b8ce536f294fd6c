package secretscan

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/klauspost/compress/zlib"
)

// picker reads a few objects of a pack, of the form that the type pack is for: of the index only the ids that a
// search compares, and of the pack only what an object is built from. It may find what is not there if the files are
// damaged: whoever asks must look at the hash.
type picker struct {
	index *os.File
	pack  *os.File
	count int
}

// pickers are those of a folder's packs.
type pickers struct {
	list   []*picker
	source *bufio.Reader
	zlib   io.ReadCloser
}

const (
	// maxPickers is how many packs are searched. Where there are more it is left to Git, which may have one index for
	// all of them.
	maxPickers = 16
	// maxChain is of how many deltas an object is built. Git makes 50 of them, and 250 if it is asked to take its time.
	maxChain = 256
)

func pickersOf(folder string) *pickers {
	entries, _ := os.ReadDir(folder)
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasSuffix(e.Name(), ".idx") })
	p := &pickers{}
	if len(entries) > maxPickers {
		return p
	}
	for _, entry := range entries {
		if one, ok := newPicker(filepath.Join(folder, strings.TrimSuffix(entry.Name(), ".idx"))); ok {
			p.list = append(p.list, one)
		}
	}
	return p
}

func newPicker(name string) (*picker, bool) {
	index, err := os.Open(name + ".idx")
	if err != nil {
		return nil, false
	}
	p := &picker{index: index}
	if magic := p.read(0, fanout); bytes.Equal(magic, []byte("\xfftOc\x00\x00\x00\x02")) {
		if p.count = p.uint32(ids - 4); p.count < 1<<28 {
			if p.pack, err = os.Open(name + ".pack"); err == nil {
				return p, true
			}
		}
	}
	_ = index.Close()
	return nil, false
}

func (p *pickers) close() {
	for _, one := range p.list {
		_, _ = one.index.Close(), one.pack.Close()
	}
}

// read reads a piece of the index; what can't be read is zeros.
func (p *picker) read(at, n int) []byte {
	piece := make([]byte, n)
	if _, err := p.index.ReadAt(piece, int64(at)); err != nil {
		clear(piece)
	}
	return piece
}

func (p *picker) uint32(at int) int { return int(binary.BigEndian.Uint32(p.read(at, 4))) }

// find gives where an object is in the pack.
func (p *picker) find(id []byte) (offset int64, ok bool) {
	low, high := 0, min(p.uint32(fanout+4*int(id[0])), p.count)
	if id[0] > 0 {
		low = p.uint32(fanout + 4*int(id[0]) - 4)
	}
	at := low + sort.Search(max(0, high-low), func(i int) bool { return bytes.Compare(p.read(ids+(low+i)*idSize, idSize), id) >= 0 })
	if at >= high || !bytes.Equal(p.read(ids+at*idSize, idSize), id) {
		return 0, false
	}
	small := p.uint32(ids + p.count*(idSize+4) + 4*at)
	if small&0x80000000 == 0 {
		return int64(small), true
	}
	large := binary.BigEndian.Uint64(p.read(ids+p.count*(idSize+8)+8*(small&0x7fffffff), 8))
	return int64(large & (1<<50 - 1)), true
}

// text gives a blob.
func (p *pickers) text(id oid) ([]byte, bool) {
	for _, one := range p.list {
		if offset, ok := one.find(id[:idSize]); ok {
			if text, ok := p.build(one, offset); ok {
				return text, true
			}
		}
	}
	return nil, false
}

// build gives the blob at a place of a pack.
func (p *pickers) build(one *picker, offset int64) ([]byte, bool) {
	var deltas [][]byte
	for total := uint64(0); len(deltas) <= maxChain; {
		h, text, ok := p.inflate(one.pack, offset)
		if total += h.size; !ok || total > maxText {
			return nil, false
		}
		switch h.kind {
		case kindBlob:
			for _, delta := range slices.Backward(deltas) {
				var err error
				if text, _, err = applyDelta(text, delta, nil); err != nil {
					return nil, false
				}
			}
			return text, true
		case kindOfsDelta:
			offset -= h.back
		case kindRefDelta:
			if offset, ok = one.find(h.base); !ok {
				return nil, false
			}
		default:
			return nil, false
		}
		deltas = append(deltas, text)
	}
	return nil, false
}

// inflate gives the data of the entry at a place of a pack.
func (p *pickers) inflate(pack io.ReaderAt, offset int64) (h header, data []byte, ok bool) {
	const all = 1 << 60
	from := io.NewSectionReader(pack, offset, all-offset)
	if p.source == nil {
		p.source = bufio.NewReader(from)
	}
	p.source.Reset(from)
	raw, _ := p.source.Peek(headerBytes) // less at the end of the file
	h, err := parseHeader(raw)
	if err != nil || h.size > maxText {
		return h, nil, false
	}
	h.base = bytes.Clone(h.base) // what was peeked at changes
	_, _ = p.source.Discard(int(h.length))
	if p.zlib == nil {
		p.zlib, err = zlib.NewReader(p.source)
	} else {
		err = p.zlib.(zlib.Resetter).Reset(p.source, nil)
	}
	if err != nil {
		p.zlib = nil
		return h, nil, false
	}
	data = make([]byte, h.size)
	_, err = io.ReadFull(p.zlib, data)
	return h, data, err == nil
}
