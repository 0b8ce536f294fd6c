package secretscan

import (
	"bytes"
	"encoding/binary"
	"io"
	"iter"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zip"
)

// Bounds of unpacking.
const (
	maxText    = 64 << 20 // one file
	maxEntries = 2000
	maxUnpack  = 128 << 20 // out of one archive
)

// piece is a text of a file: the file itself, or what is packed in it.
type piece struct {
	name string // within the archive; empty for the file itself
	text []byte
}

// piecesOf gives the texts of a file, one after the other. UTF-16 becomes UTF-8; archives are unpacked, within
// bounds and one level deep; everything else is searched as it is, with whatever bytes it holds.
func piecesOf(raw []byte) iter.Seq[piece] {
	return func(yield func(piece) bool) {
		switch {
		case bytes.HasPrefix(raw, []byte("PK\x03\x04")):
			if unzip(raw, yield) {
				return
			}
		case bytes.HasPrefix(raw, []byte{0x1f, 0x8b, 8}):
			if text := gunzip(raw); len(text) > 0 {
				yield(piece{"gzip", fromUTF16(text)})
				return
			}
		}
		yield(piece{"", fromUTF16(raw)})
	}
}

// unzip gives what is in an archive, and reports whether that was anything.
func unzip(raw []byte, yield func(piece) bool) (some bool) {
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return false // no zip after all: searched as it is
	}
	budget := int64(maxUnpack)
	for _, file := range archive.File[:min(len(archive.File), maxEntries)] {
		if file.FileInfo().IsDir() || budget <= 0 {
			continue
		}
		content, err := file.Open()
		if err != nil {
			continue // an unknown compression or a broken entry: the others still count
		}
		text, _ := io.ReadAll(io.LimitReader(content, min(budget, maxText)))
		content.Close()
		budget -= int64(len(text))
		some = true
		if !yield(piece{file.Name, fromUTF16(text)}) {
			break
		}
	}
	return some
}

func gunzip(raw []byte) []byte {
	content, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(content, maxText))
	return text
}

// fromUTF16 gives UTF-8 for a text that is UTF-16 by its mark, or by every other byte of its start being
// zero; others are returned as they are.
func fromUTF16(raw []byte) []byte {
	if len(raw) < 4 || bytes.IndexByte(raw[:min(len(raw), 512)], 0) < 0 && raw[0] < 0xfe {
		return raw
	}
	var order binary.ByteOrder
	switch even, odd := zeros(raw); {
	case raw[0] == 0xff && raw[1] == 0xfe || odd > 3*even && odd*5 > min(len(raw), 512):
		order = binary.LittleEndian
	case raw[0] == 0xfe && raw[1] == 0xff || even > 3*odd && even*5 > min(len(raw), 512):
		order = binary.BigEndian
	default:
		return raw
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = order.Uint16(raw[2*i:])
	}
	text := make([]byte, 0, len(raw)/2)
	for _, r := range utf16.Decode(units) {
		text = utf8.AppendRune(text, r)
	}
	return bytes.TrimPrefix(text, []byte("\ufeff"))
}

func zeros(raw []byte) (even, odd int) {
	for i, b := range raw[:min(len(raw), 512)] {
		if b == 0 && i%2 == 0 {
			even++
		} else if b == 0 {
			odd++
		}
	}
	return even, odd
}
