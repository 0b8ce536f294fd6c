package secretscan

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zip"
)

// Bounds of unpacking, of all that comes out of one file together; of a single one of these it is maxText.
const (
	maxEntries = 2000
	maxUnpack  = 128 << 20
	maxLevels  = 3       // of archives within archives
	maxListed  = 100_000 // files in an archive's list, of which all is in memory
	maxName    = 1000    // bytes of a file's name; one with a longer one is called by its number
)

// piece is a text of a file: the file itself, or what is packed in it.
type piece struct {
	name string // within the archive; empty for the file itself
	text []byte
}

// unpacking is what is left of the bounds while a file is unpacked.
type unpacking struct {
	give    func(piece)
	entries int
	size    int64
	cut     bool // there is more than the bounds allow
	broken  int  // files that can't be unpacked, or not to their end
}

// eachPiece gives the texts of a file, one after the other. UTF-16 becomes UTF-8; archives, and those in them, are
// unpacked within bounds; everything else is given as it is, with whatever bytes it holds. left says what was left out;
// mostly it is "".
func eachPiece(raw []byte, give func(piece)) (left string) {
	u := &unpacking{give: give, entries: maxEntries, size: maxUnpack}
	u.open(piece{text: raw}, maxLevels)
	return u.left()
}

// open gives the texts of a file.
func (u *unpacking) open(p piece, levels int) {
	unpack := u.unzip
	switch {
	case isZip(p.text):
	case isGzip(p.text):
		unpack = u.gunzip
	case isTar(p.text):
		unpack = u.untar
	default:
		if isPacked(p.text) {
			u.broken++
		}
		u.give(piece{p.name, fromUTF16(p.text)})
		return
	}
	if levels == 0 {
		u.cut = true
	}
	if levels == 0 || !unpack(p, levels-1) {
		u.give(p)
	}
}

func isZip(raw []byte) bool { return bytes.HasPrefix(raw, []byte("PK\x03\x04")) }

func isGzip(raw []byte) bool { return bytes.HasPrefix(raw, []byte{0x1f, 0x8b, 8}) }

// isTar looks at the first header, by its checksum: old ones have no mark.
func isTar(raw []byte) bool {
	if len(raw) < tarBlock || raw[0] == 0 {
		return false
	}
	sum, want := int64(8*' '), strings.Trim(string(raw[148:156]), " \x00")
	for i, b := range raw[:tarBlock] {
		if i < 148 || i >= 156 {
			sum += int64(b)
		}
	}
	said, err := strconv.ParseInt(want, 8, 64)
	return err == nil && said == sum
}

const tarBlock = 512

// isPacked tells what is packed in ways that are not read: 7-Zip, bzip2, LZ4, RAR, xz and Zstandard.
func isPacked(raw []byte) bool {
	for _, start := range []string{"7z\xbc\xaf\x27\x1c", "\x04\x22\x4d\x18", "Rar!\x1a\x07", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd"} {
		if bytes.HasPrefix(raw, []byte(start)) {
			return true
		}
	}
	return len(raw) > 10 && string(raw[:3]) == "BZh" && string(raw[4:10]) == "1AY&SY"
}

// untar gives the files in an archive, which are parts of its text and need no bounds, and then what is between and
// after them.
func (u *unpacking) untar(p piece, levels int) bool {
	from := bytes.NewReader(p.text)
	at := func() int { return len(p.text) - from.Len() }
	archive := tar.NewReader(from)
	var rest []byte
	for i, end := 0, 0; ; i++ {
		header, err := archive.Next()
		start := at()
		if err != nil {
			if !errors.Is(err, io.EOF) || len(bytes.TrimLeft(p.text[start:], "\x00")) > 0 {
				u.broken++
			}
			u.give(piece{p.name, append(rest, p.text[end:]...)})
			return true
		}
		size := int(min(header.Size, int64(len(p.text)-start)))
		if header.Typeflag != tar.TypeReg || isSparse(header) {
			size = 0 // what there is of it is searched as it is
		}
		rest = append(rest, p.text[end:start]...)
		end = start + size
		name := header.Name
		if len(name) > maxName {
			name = fmt.Sprintf("#%d", i+1)
		}
		if size > 0 {
			u.open(piece{inside(p.name, name), p.text[start:end:end]}, levels)
		}
	}
}

func isSparse(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// unzip gives what is in an archive, and reports whether that was anything.
func (u *unpacking) unzip(p piece, levels int) (some bool) {
	if bytes.Count(p.text, []byte("PK\x01\x02")) > maxListed {
		u.cut = true
		return false
	}
	archive, err := zip.NewReader(bytes.NewReader(p.text), int64(len(p.text)))
	if err != nil {
		return false // no zip after all: searched as it is
	}
	for i, file := range archive.File {
		if file.FileInfo().IsDir() {
			continue
		}
		if u.full() {
			break
		}
		const encrypted = 1
		content, err := file.Open()
		if err != nil || file.Flags&encrypted != 0 {
			u.broken++
			continue
		}
		name := strings.ReplaceAll(file.Name, `\`, "/")
		if len(name) > maxName {
			name = fmt.Sprintf("#%d", i+1)
		}
		some = u.read(p, name, content, levels) || some
		content.Close()
	}
	return some
}

// gunzip gives what is in a compressed file, and reports whether that was anything.
func (u *unpacking) gunzip(p piece, levels int) (some bool) {
	content, err := gunzipped(bufio.NewReader(bytes.NewReader(p.text)))
	if err != nil || u.full() {
		return false
	}
	in := bufio.NewReaderSize(content, tarBlock)
	if head, _ := in.Peek(tarBlock); isTar(head) {
		levels++ // the two are one archive
	}
	return u.read(p, "gzip", in, levels)
}

// members are what is in a compressed file, one after the other. Zeros behind each are padding, as gunzip takes them at
// the end.
type members struct {
	from   *bufio.Reader
	member *gzip.Reader
}

func gunzipped(from *bufio.Reader) (*members, error) {
	first, err := gzip.NewReader(from)
	if err != nil {
		return nil, err
	}
	first.Multistream(false)
	return &members{from, first}, nil
}

func (m *members) Read(into []byte) (int, error) {
	for {
		n, err := m.member.Read(into)
		switch {
		case !errors.Is(err, io.EOF):
			return n, err
		case n > 0:
			return n, nil
		}
		if err := m.next(); err != nil {
			return 0, err
		}
	}
}

// next goes to the next member. After the last one it is io.EOF.
func (m *members) next() error {
	first, err := m.from.ReadByte()
	for err == nil && first == 0 {
		first, err = m.from.ReadByte()
	}
	if err == nil {
		err = m.from.UnreadByte()
	}
	if err == nil {
		err = m.member.Reset(m.from)
		m.member.Multistream(false)
	}
	return err
}

// full reports whether nothing more is unpacked.
func (u *unpacking) full() bool {
	full := u.entries == 0 || u.size == 0
	u.cut = u.cut || full
	return full
}

// read gives the texts of a file in an archive, and reports whether there were any.
func (u *unpacking) read(in piece, name string, content io.Reader, levels int) bool {
	most := min(u.size, maxText)
	text, err := io.ReadAll(io.LimitReader(content, most))
	u.entries--
	u.size -= int64(len(text))
	u.cut = u.cut || int64(len(text)) == most
	if err != nil {
		u.broken++
	}
	if len(text) == 0 {
		return false
	}
	u.open(piece{inside(in.name, name), text}, levels)
	return true
}

// left says what was not unpacked.
func (u *unpacking) left() string {
	var list []string
	if u.cut {
		list = append(list, fmt.Sprintf("at most %d files, %d MiB of each and %d MiB of all, in archives within archives %d levels deep", maxEntries, maxText>>20, maxUnpack>>20, maxLevels))
	}
	if u.broken > 0 {
		list = append(list, fmt.Sprintf("not to their end %d files that can't be unpacked, as with a password, or in other forms than zip, gzip and tar", u.broken))
	}
	return strings.Join(list, ", and ")
}
