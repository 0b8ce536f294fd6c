package secretscan

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestPartialClone scans a repository whose blobs were left on the server: it fetches nothing, says so, and
// is never a clean one. Older versions of Git end where newer ones name what is missing.
func TestPartialClone(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	r.write("a.env", "TOKEN="+githubToken(1)+"\n")
	r.commit("a secret")
	r.git("rm", "--quiet", "a.env")
	r.write("b.txt", "nothing\n")
	r.commit("gone")
	r.git("config", "uploadpack.allowFilter", "true")
	partial := newRepository(t)
	partial.git("clone", "--quiet", "--bare", "--filter=blob:none", "file://"+r.dir, filepath.Join(partial.dir, "bare"))
	found, err := Scan(t.Context(), Request{Mode: History, Dir: filepath.Join(partial.dir, "bare"), Note: func(string) {}})
	if len(found) != 0 || err == nil || !strings.Contains(err.Error(), "missing") && !strings.Contains(err.Error(), "partial clone") {
		t.Errorf("found %d, %v", len(found), err)
	}
}

// TestManyBlobs scans a history of many large blobs, of which each one alone fits into memory and all do not: a quarter
// of a gigabyte unpacked, of a file that grows and changes, and of files that have nothing in common.
func TestManyBlobs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: with the race detector it takes minutes")
	}
	const blobs, size, most = 256, 1 << 20, 80 << 20
	r := newRepository(t)
	fastImport(t, r, blobs, size)
	var found []Finding
	var err error
	heap := peakHeap(func() { found, err = Scan(t.Context(), Request{Mode: History, Dir: r.dir}) })
	if err != nil || len(found) != 1 || found[0].Path != fmt.Sprintf("own/%d.txt", blobs-1) {
		t.Errorf("found %v, %v", found, err)
	}
	t.Logf("%d MiB of blobs in %d MiB of heap", blobs*size>>20, heap>>20)
	if heap > most {
		t.Errorf("%d MiB of heap, want at most %d", heap>>20, most>>20)
	}
}

// peakHeap is how much more of the heap something had in use than before.
func peakHeap(do func()) uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	before := stats.HeapInuse
	peak := before
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		var now runtime.MemStats
		for {
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse)
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	do()
	close(done)
	<-stopped
	return peak - before
}

// TestWindows puts a text together again from the windows' own parts, and counts lines and characters anew.
func TestWindows(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 300 {
		alphabet := []string{"ab\n", "aé€😀", "a", "é\n\n"}[i%4]
		text := randomRunes(random, alphabet, random.IntN(400))
		size, around := 1+random.IntN(60), 4+random.IntN(30)
		var whole strings.Builder
		eachWindow(iotest.HalfReader(strings.NewReader(text)), size, around, func(piece []byte, own span, line, column int) {
			at := whole.Len()
			whole.Write(piece[own.from:own.to])
			start := at - own.from // of the piece
			before := text[:start]
			wantLine, wantColumn := strings.Count(before, "\n"), utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
			if line != wantLine || column != wantColumn || text[start:start+len(piece)] != string(piece) {
				t.Errorf("a piece at %d: line %d, column %d, want %d and %d", start, line, column, wantLine, wantColumn)
			}
			if own.from < around && start > 0 && text[start-1] != '\n' && own.from < around-utf8.UTFMax {
				t.Errorf("a piece at %d has %d bytes before what is its own", start, own.from)
			}
		})
		if whole.String() != text {
			t.Fatalf("%q became %q", text, whole.String())
		}
	}
}

func randomRunes(random *rand.Rand, alphabet string, n int) string {
	runes := []rune(alphabet)
	var b strings.Builder
	for range n {
		b.WriteRune(runes[random.IntN(len(runes))])
	}
	return b.String()
}

// TestLarge finds the same in a text by windows as in the whole, whatever it is wrapped in. Some of the secrets are
// where windows meet.
func TestLarge(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: with the race detector it takes minutes")
	}
	var b strings.Builder
	line := strings.Repeat("the usual thing, ", 6) + "é\n"
	plant := func(at int, text string) {
		for b.Len() < at-len(line) {
			b.WriteString(line)
		}
		b.WriteString(line[:max(0, at-b.Len())])
		b.WriteString(text)
	}
	plant(100_000, "TOKEN="+githubToken(1)+"\n")
	plant(maxWindow+maxAround-20, "TOKEN="+githubToken(2)+"\n") // where the own part of the first window ends
	plant(maxWindow+maxAround+200, "-----BEGIN RSA PRIVATE"+" KEY-----\n"+randomText(3, alnum, 900)+"\n-----END RSA PRIVATE"+" KEY-----\n")
	plant(maxWindow+2*maxAround-20, "data: "+base64.StdEncoding.EncodeToString([]byte("TOKEN="+githubToken(4)+"\n"))+"\n")
	plant(2*maxWindow+maxAround-900, strings.Repeat(randomText(5, lower, 30)+" ", 20_000)+githubToken(6)+"\n") // in a line longer than what windows share
	plant(3*maxWindow, "password: "+randomText(7, alnum, 30)+"\n")
	text := b.String()
	s, wrapped := newSearcher(defaultMatcher()), map[string]string{"dump.sql": text, "dump.sql.gz": gzipped(t, text), "utf16.txt": utf16Text(text)}
	for name, text := range wrapped {
		want, err := s.file(name, []byte(text), []string{name})
		if err != nil || len(want) != 6 {
			t.Fatalf("%s: %d findings in the whole, %v", name, len(want), err)
		}
		got, err := s.large(name, strings.NewReader(text), []string{name}, func(text string) { t.Errorf("noted: %s", text) })
		sortFindings(want)
		sortFindings(got)
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Finding{})); diff != "" || err != nil {
			t.Errorf("%s: %v (-whole +windows):\n%s", name, err, diff)
		}
	}

	broken := errors.New("the disk is broken")
	got, err := s.large("dump.sql", io.MultiReader(strings.NewReader(text[:maxWindow]), iotest.ErrReader(broken)), []string{"dump.sql"}, func(string) {})
	if len(got) != 1 || !errors.Is(err, ErrNotScanned) || !errors.Is(err, broken) {
		t.Errorf("a source that ends early: found %d, %v", len(got), err)
	}
	var notes []string
	note := func(text string) { notes = append(notes, text) }
	many := strings.Repeat("TOKEN="+githubToken(8)+"\n", maxFound+10)
	s.more = newMore()
	if got, err := s.large("many.txt", strings.NewReader(many+strings.Repeat(line, 2*maxWindow/len(line))+many), []string{"many.txt"}, note); err != nil || len(got) != maxFound || s.more.certain.Load() != maxFound+20 {
		t.Errorf("very many findings: found %d and %d more, %v", len(got), s.more.certain.Load(), err)
	}
	if _, err := s.large("a.zip", strings.NewReader(zipped(t, "a.env", "TOKEN="+githubToken(9))), []string{"a.zip"}, note); err != nil {
		t.Error(err)
	}
	twice := gzipped(t, gzipped(t, text[:200_000]))
	if got, err := s.large("a.gz", strings.NewReader(twice), []string{"a.gz"}, note); err != nil || len(got) != 1 || got[0].Path != "a.gz!gzip!gzip" {
		t.Errorf("compressed twice: found %v, %v", got, err)
	}
	if got, err := s.large("cut.gz", strings.NewReader(twice[:len(twice)-9]), []string{"cut.gz"}, note); err != nil || len(got) != 1 {
		t.Errorf("damaged: found %v, %v", got, err)
	}
	if got, err := s.large("padded.gz", strings.NewReader(twice+strings.Repeat("\x00", 500)), []string{"padded.gz"}, note); err != nil || len(got) != 1 {
		t.Errorf("with zeros behind it: found %v, %v", got, err)
	}
	want := []string{"a.zip is an archive larger than 64 MiB, or within others, and was scanned as it is, not unpacked", "cut.gz can't be unpacked to its end and was scanned up to there"}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Error(diff)
	}
}

// TestLargeBelowLongLine has a name at the end of a line that is longer than what windows share, and its value on the next one, where
// windows meet.
func TestLargeBelowLongLine(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	s := newSearcher(defaultMatcher())
	long := strings.Repeat("x y z, ", 2*maxAround/7)
	for before, after := range map[string]string{
		"\"password\":":                      "\n  \"" + randomText(7, alnum, 30) + "\"\n",
		"curl -s https://a.example.org/x \\": "\n -u admin:" + randomText(9, alnum, 24) + " \\\n",
	} {
		lines := strings.Repeat("the usual thing\n", maxWindow/16)
		text := lines + long[:maxAround-len(before)-2] + before + after + long
		if want, err := s.file("a.txt", []byte(text), []string{"a.txt"}); len(want) != 1 || err != nil {
			t.Fatalf("%q: %d findings in the whole, %v", before, len(want), err)
		}
		if got, err := s.large("a.txt", strings.NewReader(text), []string{"a.txt"}, func(string) {}); len(got) != 1 || err != nil {
			t.Errorf("%q: %d findings in windows, %v", before, len(got), err)
		}
	}
}

// TestUTF16InPieces reads a text whose characters are cut anywhere.
func TestUTF16InPieces(t *testing.T) {
	t.Parallel()
	oneGoroutine(t)
	for _, text := range []string{"", "a", "a😀b😀", strings.Repeat("😀", 20_000)} {
		raw := []byte(utf16Text(text))
		for _, raw := range [][]byte{raw, append(raw, 0x3d, 0xd8), append(raw, 'x')} {
			want := bytes.TrimPrefix(decodeUTF16(raw, binary.LittleEndian), []byte("\ufeff"))
			got, err := io.ReadAll(&utf16Reader{from: iotest.OneByteReader(bytes.NewReader(raw)), order: binary.LittleEndian})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes: %v, got %.40q, want %.40q", len(raw), err, got, want)
			}
		}
	}
}

// TestLargeFiles scans a file that is larger than what is held, in every mode, in little memory; of one that is larger
// still a note tells.
func TestLargeFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: with the race detector it takes minutes")
	}
	const most = 64 << 20
	r := newRepository(t)
	r.git("config", "core.compression", "1")
	base := r.commit("none")
	text := strings.Repeat(strings.Repeat("the usual thing, ", 60)+"\n", maxText/1000) + "TOKEN=" + githubToken(1) + "\n"
	r.write("dump.sql", text)
	r.git("add", "dump.sql")
	huge, err := os.Create(filepath.Join(r.dir, "huge.txt"))
	if err == nil {
		err = errors.Join(huge.Truncate(maxLarge+1), huge.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	scan := func(name string, request Request, wantNotes int) {
		t.Helper()
		var notes []string
		request.Dir, request.Note = r.dir, func(text string) { notes = append(notes, text) }
		var found []Finding
		var err error
		heap := peakHeap(func() { found, err = Scan(t.Context(), request) })
		if err != nil || len(found) != 1 || found[0].Line != maxText/1000+1 || found[0].Column != 7 {
			t.Errorf("%s: found %+v, %v", name, found, err)
		}
		if len(notes) != wantNotes || wantNotes > 0 && notes[0] != "huge.txt is larger than 1 GiB and was not scanned" {
			t.Errorf("%s: notes %q", name, notes)
		}
		if heap > most {
			t.Errorf("%s: %d MiB of heap, want at most %d", name, heap>>20, most>>20)
		}
	}
	scan("tree", Request{Mode: Tree}, 1)
	scan("staged", Request{Mode: Staged}, 0)
	scan("stdin", Request{Mode: Stdin, Input: strings.NewReader(text)}, 0)
	r.git("commit", "--quiet", "-m", "large")
	scan("range", Request{Mode: Range, Range: base + "..HEAD"}, 0)
	scan("a loose object", Request{Mode: History}, 0)
	r.git("repack", "-adq")
	scan("a packed one", Request{Mode: History}, 0)
}

// fastImport writes a history without a working tree. The last blob ends with a secret.
func fastImport(t *testing.T, r *repository, blobs, size int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "fast-import", "--quiet")
	cmd.Dir = r.dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(in, 1<<20)
	line := func(seed int) string { return randomText(uint64(seed), lower, 60) + " = usual text\n" }
	for i := range blobs {
		name, text := "shared.txt", strings.Repeat(line(1), size/75)+line(i)
		if i%2 == 1 {
			name, text = fmt.Sprintf("own/%d.txt", i), strings.Repeat(line(i), size/75)
		}
		if i == blobs-1 {
			text += "TOKEN=" + githubToken(1) + "\n"
		}
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter Ann <ann@acme.dev> %d +0000\ndata 1\nx\nM 644 inline %s\ndata %d\n%s\n", 1767322000+i, name, len(text), text)
	}
	if err := errors.Join(w.Flush(), in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
}
