package secretscan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"

	"github.com/klauspost/compress/zlib"
)

// pack is a pack file of Git with its index, of version 2 and SHA-1: what Git writes unless told otherwise.
// Everything else is left to Git.
type pack struct {
	file    *os.File
	index   []byte
	count   int
	entries []entry // in the order of the file
}

// entry is an object in a pack.
type entry struct {
	offset  int64
	length  int32 // in the file, header and all
	size    int32 // unpacked; of a delta, that of the delta
	number  int32 // in the index
	base    int32 // entry that a delta applies to; none, or unknown to this pack
	child   int32 // first entry that applies to this one and is needed, and the next after this one
	sibling int32
	header  uint8
	kind    uint8
	needed  bool
}

const (
	none    = -1
	unknown = -2

	kindBlob     = 3
	kindOfsDelta = 6
	kindRefDelta = 7

	idSize = 20
	fanout = 8
	ids    = fanout + 256*4
)

var errPack = errors.New("not a pack of a form that is read here")

// openIndex reads a pack's index only: it says what is in the pack.
func openIndex(name string) (*pack, error) {
	index, err := os.ReadFile(name + ".idx")
	if err != nil {
		return nil, err
	}
	if len(index) < ids || !bytes.HasPrefix(index, []byte("\xfftOc\x00\x00\x00\x02")) {
		return nil, errPack
	}
	count := int(binary.BigEndian.Uint32(index[ids-4:]))
	if count > 1<<28 || len(index) < ids+count*(idSize+8)+2*idSize {
		return nil, errPack
	}
	return &pack{index: index, count: count}, nil
}

// open reads the headers of a pack's entries.
func (p *pack) open(name string) (err error) {
	if p.file, err = os.Open(name + ".pack"); err != nil {
		return err
	}
	if err := p.readEntries(); err != nil {
		p.close()
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (p *pack) close() { _ = p.file.Close() }

// id is that of an object by its number in the index.
func (p *pack) id(number int32) (id oid) {
	copy(id[:], p.index[ids+int(number)*idSize:][:idSize])
	return id
}

// find gives the number of an object in the index.
func (p *pack) find(id []byte) (int32, bool) {
	bound := func(i int) int { return min(int(binary.BigEndian.Uint32(p.index[fanout+4*i:])), p.count) }
	low, high := 0, bound(int(id[0]))
	if id[0] > 0 {
		low = bound(int(id[0]) - 1)
	}
	at := low + sort.Search(max(0, high-low), func(i int) bool {
		return bytes.Compare(p.index[ids+(low+i)*idSize:][:idSize], id[:idSize]) >= 0
	})
	if at >= high || !bytes.Equal(p.index[ids+at*idSize:][:idSize], id[:idSize]) {
		return 0, false
	}
	return int32(at), true //nolint:gosec // below count, which is below 1<<28
}

// offset is where an object is in the file, by its number.
func (p *pack) offset(number int) (int64, error) {
	small := binary.BigEndian.Uint32(p.index[ids+p.count*(idSize+4)+4*number:])
	if small&0x80000000 == 0 {
		return int64(small), nil
	}
	at := ids + p.count*(idSize+8) + 8*int(small&0x7fffffff)
	if at+8 > len(p.index)-2*idSize {
		return 0, errPack
	}
	large := binary.BigEndian.Uint64(p.index[at:])
	if large > 1<<50 {
		return 0, errPack
	}
	return int64(large), nil
}

// readEntries reads all headers, forwards through the file.
func (p *pack) readEntries() error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	p.entries = make([]entry, p.count)
	for i := range p.entries {
		offset, err := p.offset(i)
		if err != nil {
			return err
		}
		p.entries[i] = entry{offset: offset, number: int32(i), base: none, child: none, sibling: none}
	}
	slices.SortFunc(p.entries, func(a, b entry) int { return int(a.offset - b.offset) })
	place := make([]int32, p.count) // of an entry by its number
	for i, e := range p.entries {
		place[e.number] = int32(i)
	}
	window := newWindow(p.file, info.Size())
	for i := range p.entries {
		end := info.Size() - idSize
		if i+1 < len(p.entries) {
			end = p.entries[i+1].offset
		}
		e := &p.entries[i]
		length := end - e.offset
		if length <= 0 || length > 1<<30 {
			return errPack
		}
		e.length = int32(length)
		if err := p.readHeader(e, window.at(e.offset), place); err != nil {
			return err
		}
	}
	return nil
}

// readHeader reads what is before an entry's compressed data.
func (p *pack) readHeader(e *entry, raw []byte, place []int32) error {
	h, err := parseHeader(raw)
	if err != nil {
		return err
	}
	e.kind, e.header, e.size = h.kind, h.length, int32(min(h.size, maxText+1))
	switch h.kind {
	case kindOfsDelta:
		i, ok := slices.BinarySearchFunc(p.entries, e.offset-h.back, func(e entry, offset int64) int { return int(e.offset - offset) })
		if !ok {
			return errPack
		}
		e.base = int32(i) //nolint:gosec // below 1<<28
	case kindRefDelta:
		e.base = unknown
		if number, ok := p.find(h.base); ok {
			e.base = place[number]
		}
	}
	return nil
}

// header is what is before an entry's compressed data.
type header struct {
	kind   uint8
	length uint8
	size   uint64 // unpacked
	back   int64  // of a delta: how far before it in the file its base is,
	base   []byte // or the id of its base
}

func parseHeader(raw []byte) (h header, err error) {
	if len(raw) < 2 {
		return h, errPack
	}
	h.kind, h.size = raw[0]>>4&7, uint64(raw[0]&15)
	at := 1
	for shift := 4; raw[at-1]&0x80 != 0; shift += 7 {
		if at >= len(raw) || shift > 32 {
			return h, errPack
		}
		h.size |= uint64(raw[at]&0x7f) << shift
		at++
	}
	switch h.kind {
	case kindOfsDelta:
		for first := true; ; first = false {
			if at >= len(raw) || h.back > 1<<50 {
				return h, errPack
			}
			b := raw[at]
			at++
			if !first {
				h.back++
			}
			h.back = h.back<<7 | int64(b&0x7f)
			if b&0x80 == 0 {
				break
			}
		}
	case kindRefDelta:
		if at+idSize > len(raw) {
			return h, errPack
		}
		h.base = raw[at : at+idSize]
		at += idSize
	}
	h.length = uint8(at)
	return h, nil
}

// window reads small pieces of a file at rising places with few calls.
type window struct {
	file io.ReaderAt
	from int64
	size int64
	text []byte
	all  []byte
}

func newWindow(file io.ReaderAt, size int64) *window {
	return &window{file: file, size: size, all: make([]byte, 1<<16)}
}

const headerBytes = 64

func (w *window) at(offset int64) []byte {
	if offset < w.from || offset+headerBytes > w.from+int64(len(w.text)) {
		n, _ := w.file.ReadAt(w.all, offset) // short at the end of the file
		w.from, w.text = offset, w.all[:n]
	}
	rest := w.text[offset-w.from:]
	return rest[:min(len(rest), headerBytes)]
}

// need marks an entry and all that it is built from, and reports whether that is all here and a blob.
func (p *pack) need(at int32) bool {
	for i, steps := at, 0; ; i, steps = p.entries[i].base, steps+1 {
		switch e := &p.entries[i]; {
		case e.base == unknown || steps > 1<<16 || e.size > maxText:
			return false
		case e.base == none:
			if e.kind != kindBlob {
				return false
			}
		default:
			continue
		}
		break
	}
	for i := at; i >= 0 && !p.entries[i].needed; i = p.entries[i].base {
		p.entries[i].needed = true
	}
	return true
}

// roots links the needed entries to what they are built from and gives those that stand alone.
func (p *pack) roots() []int32 {
	var list []int32
	for i := len(p.entries) - 1; i >= 0; i-- {
		e := &p.entries[i]
		at := int32(i) //nolint:gosec // below 1<<28
		switch {
		case !e.needed:
		case e.base == none:
			list = append(list, at)
		default:
			e.sibling = p.entries[e.base].child
			p.entries[e.base].child = at
		}
	}
	slices.Reverse(list)
	return list
}

// unpacker inflates entries; each worker has its own.
type unpacker struct {
	pack   *pack
	raw    []byte
	source bytes.Reader
	zlib   io.ReadCloser
}

// inflate gives an entry's unpacked data, in the given memory if it is large enough.
func (u *unpacker) inflate(e *entry, into []byte) ([]byte, error) {
	packed := int(e.length) - int(e.header)
	if packed <= 0 || packed > maxText+maxText/8 { // more than any text takes that is read here
		return nil, errPack
	}
	u.raw = slices.Grow(u.raw[:0], packed)[:packed]
	if _, err := u.pack.file.ReadAt(u.raw, e.offset+int64(e.header)); err != nil {
		return nil, err
	}
	u.source.Reset(u.raw)
	if u.zlib == nil {
		reader, err := zlib.NewReader(&u.source)
		if err != nil {
			return nil, err
		}
		u.zlib = reader
	} else if err := u.zlib.(zlib.Resetter).Reset(&u.source, nil); err != nil {
		return nil, err
	}
	text := slices.Grow(into[:0], int(e.size))[:e.size]
	if _, err := io.ReadFull(u.zlib, text); err != nil {
		return nil, err
	}
	var more [1]byte
	if n, err := u.zlib.Read(more[:]); n != 0 || !errors.Is(err, io.EOF) {
		return nil, errPack
	}
	return text, nil
}
