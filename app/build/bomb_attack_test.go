package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
)

// rawHeader is one block of a tar as no well-meaning program writes it.
func rawHeader(name string, kind byte, size int64) []byte {
	b := make([]byte, 512)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00        ")
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// rawRecords is a PAX header with its records, for the entry that follows.
func rawRecords(records ...string) []byte {
	var text strings.Builder
	for _, r := range records {
		n := len(r) + 3
		for line := ""; len(line) != n; { // the length counts its own digits
			n = max(n, len(line))
			line = fmt.Sprintf("%d %s\n", n, r)
		}
		fmt.Fprintf(&text, "%d %s\n", n, r)
	}
	body := []byte(text.String())
	out := append(rawHeader("pax", tar.TypeXHeader, int64(len(body))), body...)
	return append(out, make([]byte, (512-len(body)%512)%512)...)
}

func gzipped(t *testing.T, level int, parts ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zw, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if _, err := zw.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestArchiveBombs unpacks archives that cost more than they
// weigh: each ends soon, with a sentence for the person who pushed it, and leaves no file.
func TestArchiveBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	const gigabyte = 1 << 30
	zeros := make([]byte, 32<<20)
	var small [][]byte
	for n := range 5_001 {
		small = append(small, rawHeader(fmt.Sprintf("top/%d/%d", n%100, n), tar.TypeReg, 0))
	}
	folders := rawHeader("top/"+strings.Repeat("d/", 40)+"f", tar.TypeReg, 0)
	tests := []struct {
		name  string
		parts [][]byte
		want  string
	}{
		{"one file of zeros", [][]byte{rawHeader("top/x", tar.TypeReg, 60<<20), zeros, zeros}, "more than 200 times its size"},
		{"one file that is too large", [][]byte{rawHeader("top/x", tar.TypeReg, gigabyte)}, `"x" is larger than 67108864 bytes`},
		{"a file larger than numbers", [][]byte{rawRecords("size=9223372036854775807", "path=top/x"), rawHeader("top/x", tar.TypeReg, 0)}, `"x" is larger than 67108864 bytes`},
		{"sparse file of a terabyte", [][]byte{rawRecords("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.name=top/x", "GNU.sparse.size=1099511627776",
			"GNU.sparse.numblocks=1", "GNU.sparse.map=0,0"), rawHeader("top/x", tar.TypeReg, 0)}, `"x" is larger than 67108864 bytes`},
		{"many sparse files", sparse(20), "larger than 536870912 bytes unpacked"},
		{"many small files", small, "more than 5000 files and folders"},
		{"zeros behind the end", [][]byte{rawHeader("top/"+strings.Repeat("x", 90), tar.TypeReg, 0), bytes.Repeat(rawHeader("g", tar.TypeXGlobalHeader, 0), 64<<11)}, "more than 200 times its size"},
		{"a path as long as a book", [][]byte{rawRecords("path=top/" + strings.Repeat("x", 200_000)), rawHeader("top/x", tar.TypeReg, 0)}, "is longer than 1024 bytes"},
		{"a folder without a bottom", [][]byte{rawRecords("path=top/" + strings.Repeat("d/", 400) + "f"), rawHeader("top/x", tar.TypeReg, 0)}, "deeper than 64 folders"},
		{"parent by a PAX record", [][]byte{rawRecords("path=top/../../../etc/passwd"), rawHeader("top/x", tar.TypeReg, 0)}, "is not plain"},
		{"absolute by a PAX record", [][]byte{rawRecords("path=/etc/passwd"), rawHeader("top/x", tar.TypeReg, 0)}, "is not relative"},
		{"hard link by a PAX record", [][]byte{rawRecords("linkpath=/etc/passwd"), rawHeader("top/x", tar.TypeLink, 0)}, "neither a file"},
		{"device", [][]byte{rawHeader("top/x", tar.TypeBlock, 0)}, "neither a file"},
		{"two of one name", [][]byte{folders, folders}, "appears twice"},
		{"a file over a folder", [][]byte{folders, rawHeader("top/d/d", tar.TypeReg, 0)}, "appears twice"},
		{"a name with a line break", [][]byte{rawHeader("top/a\\\nb", tar.TypeReg, 0)}, "holds a backslash"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "source")
			data := gzipped(t, gzip.BestCompression, tt.parts...)
			began := time.Now()
			_, err := Unpack(t.Context(), bytes.NewReader(data), dir, Limits{Files: 5000})
			var invalid *preview.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 1000 {
				t.Errorf("%d bytes: got %.500v, want an InvalidError with %q", len(data), err, tt.want)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder is still there: %v", err)
			}
			t.Logf("%d bytes in %s: %.200v", len(data), time.Since(began).Round(time.Millisecond), err)
		})
	}
}

// sparse are n files of 60 MiB that take no room in the archive.
func sparse(n int) [][]byte {
	var parts [][]byte
	for i := range n {
		name := fmt.Sprintf("top/%d", i)
		parts = append(parts, rawRecords("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.name="+name, "GNU.sparse.size=62914560",
			"GNU.sparse.numblocks=1", "GNU.sparse.map=0,0"), rawHeader(name, tar.TypeReg, 0))
	}
	return parts
}

// TestArchiveLinksLeadNowhere: what stands behind a link is written beside the link's target, never into it.
func TestArchiveLinksLeadNowhere(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	outside := t.TempDir()
	data := tarball(t,
		tar.Header{Typeflag: tar.TypeSymlink, Name: "top/out", Linkname: outside},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "top/up", Linkname: "../../.."},
		file("top/out/written", "x"), file("top/up/written", "x"), file("top/README", "upper"), file("top/readme", "lower"))
	src, err := Unpack(t.Context(), bytes.NewReader(data), filepath.Join(t.TempDir(), "source"), Limits{})
	if preview.Classify(err) == preview.ClassInvalid && runtime.GOOS != "linux" {
		return // a file system that takes both names for one
	}
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if diff := cmp.Diff([]string{"out", "up"}, src.Links); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{"out/written": "x", "up/written": "x", "README": "upper", "readme": "lower"} {
		if got, err := src.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
	if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
		t.Errorf("written outside: %v, %v", list, err)
	}
}

// noise is text that does not compress much.
func noise(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + random.IntN(26))
	}
	return string(b)
}

// TestFileBombs compiles, in the process that a server uses for it, files that cost a parser more than
// they weigh: each ends soon, and names the file.
func TestFileBombs(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: one goroutine: the race detector takes its time and sees nothing")
	}
	t.Parallel()
	laughs := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c <= 'i'; c++ {
		laughs += fmt.Sprintf("%c: &%[1]c [*%c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c, *%[2]c]\n", c, c-1)
	}
	deep := func(open, end string, n int) string { return strings.Repeat(open, n) + strings.Repeat(end, n) }
	const use = "import 'a'; export default 1"
	const wrangler = `{"main": "src/index.ts", "compatibility_date": "2025-10-01", `
	globs := strings.Repeat(`"**/*a*a*a*a*a*a*a*a*b/**/*c", `, 400)
	tests := []struct {
		name  string
		files map[string]string
		path  string // that the problem names
		want  string
	}{
		{"pnpm lock of aliases", map[string]string{"src/index.ts": use, "pnpm-lock.yaml": laughs}, "pnpm-lock.yaml", "anchors and aliases are not supported"},
		{"pnpm lock nested", map[string]string{"src/index.ts": use, "pnpm-lock.yaml": "a: " + deep("[", "]", 1_000_000)}, "pnpm-lock.yaml", ""},
		{"pnpm lock nested by indentation", map[string]string{"src/index.ts": use, "pnpm-lock.yaml": strings.Repeat("- ", 2_000_000)}, "pnpm-lock.yaml", ""},
		{"pnpm lock of many documents", map[string]string{"src/index.ts": use, "pnpm-lock.yaml": strings.Repeat("---\na: 1\n", 400_000)}, "pnpm-lock.yaml", "more than one document"},
		{"pnpm lock too large", map[string]string{"src/index.ts": use, "pnpm-lock.yaml": "a: " + noise(5<<20)}, "pnpm-lock.yaml", "too large"},
		{"npm lock nested", map[string]string{"src/index.ts": use, "package-lock.json": `{"lockfileVersion": 3, "packages": ` + deep("[", "]", 2_000_000) + `}`}, "package-lock.json", ""},
		{"npm lock nested in what is not read", map[string]string{"src/index.ts": use, "package-lock.json": `{"lockfileVersion": 3, "x": ` + deep(`{"a":`, "}", 1_000_000) + `}`}, "package-lock.json", ""},
		{"npm lock too large", map[string]string{"src/index.ts": use, "package-lock.json": `{"lockfileVersion": 3, "x": "` + noise(33<<20) + `"}`}, "package-lock.json", "too large"},
		{"wrangler nested", map[string]string{"wrangler.jsonc": wrangler + `"vars": {"A": ` + deep("[", "]", 60_000) + `}}`}, "wrangler.jsonc", ""},
		{"wrangler too large", map[string]string{"wrangler.jsonc": wrangler + `"vars": {"A": "` + strings.Repeat("x", 1<<20) + `"}}`}, "wrangler.jsonc", "too large"},
		{"wrangler with heavy globs", map[string]string{"wrangler.jsonc": wrangler + `"rules": [{"type": "Text", "globs": [` + strings.TrimSuffix(globs, ", ") + `]}]}`,
			"src/index.ts": "import './" + strings.Repeat("a", 200) + ".xyz'", "src/" + strings.Repeat("a", 200) + ".xyz": ""}, "", ""},
		{"tsconfig nested", map[string]string{"tsconfig.json": `{"compilerOptions": ` + deep("[", "]", 60_000) + `}`}, "tsconfig.json", ""},
		{"tsconfig in a circle", map[string]string{"tsconfig.json": `{"extends": "./b.json"}`, "b.json": `{"extends": "./tsconfig.json"}`}, "", ""},
		{"manifest nested", map[string]string{"src/index.ts": "import './p'", "src/p/package.json": `{"main": ` + deep("[", "]", 500_000) + `}`, "src/p/index.ts": ""}, "", ""},
		{"a line of 50 MB", map[string]string{"src/index.ts": "export default '" + noise(50<<20) + "'"}, "src/index.ts", "more than 8388608 bytes"},
		{"lines of 6 MB that add up", map[string]string{"src/index.ts": "import a from './a'; import b from './b'; export default [a, b]",
			"src/a.ts": "export default '" + strings.Repeat("a", 6<<20) + "'", "src/b.ts": "export default '" + strings.Repeat("b", 6<<20) + "'"},
			"src/index.ts", "at most 10485760 are allowed"},
		{"JSON nested", map[string]string{"src/index.ts": "import x from './x.json'; export default x", "src/x.json": deep("[", "]", 4_000_000)}, "", ""},
		{"source map of a bomb", map[string]string{"src/index.ts": "export default (" + deep("{a:", "}", 300_000) + ")"}, "", ""},
		{"heavy pattern", map[string]string{"src/index.ts": "export default /" + deep("(", "+)+", 100_000) + "/"}, "", ""},
		{"imports without end", map[string]string{"src/index.ts": strings.Repeat("import './x';\n", 300_000)}, "src/index.ts", ""},
		{"template of templates", map[string]string{"src/index.ts": "export default " + deep("`${", "}`", 200_000)}, "", ""},
		{"types of types", map[string]string{"src/index.ts": "type A = " + deep("Array<", ">", 300_000) + "; export default 1"}, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, ok := tt.files["src/index.ts"]; !ok {
				tt.files["src/index.ts"] = "export default 1"
			}
			src := unpacked(t, tt.files)
			began := time.Now()
			bundle, err := isolated(t, stuckCache).Bundle(t.Context(), src, workerLayout(), "")
			took := time.Since(began)
			t.Logf("%s: %.300v", took.Round(time.Millisecond), err)
			switch {
			case err == nil && tt.path == "" && tt.want == "": // it is harmless after all
				if len(bundle.Modules) == 0 {
					t.Error("an empty bundle")
				}
			case preview.Classify(err) != preview.ClassInvalid:
				t.Errorf("got %.500v, want an InvalidError", err)
			case !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.path):
				t.Errorf("got %.500v, want one that names %q and says %q", err, tt.path, tt.want)
			case len(err.Error()) > 50_000:
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if took > 3*time.Minute {
				t.Errorf("took %s", took)
			}
		})
	}
}
