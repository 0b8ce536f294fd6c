package build

// Limits bounds what hostile input may cost. A zero field takes the default named beside it.
type Limits struct {
	TotalBytes  int64 // of all unpacked files of one archive; 512 MiB
	FileBytes   int64 // of one unpacked file; 64 MiB
	Files       int   // files and folders in one archive; 50,000
	Depth       int   // folders above a file; 64
	PathBytes   int   // length of one path; 1,024
	Ratio       int64 // unpacked over packed bytes, once 16 MiB are unpacked; 200
	SourceBytes int64 // of one file that is compiled; 8 MiB
	InputBytes  int64 // of all files that go into one bundle; 128 MiB
	Packages    int   // npm packages that one bundle may draw in; 1,000
	BundleBytes int64 // of the finished bundle; 10 MiB
	AssetBytes  int64 // of one static asset; 25 MiB, as on Cloudflare
	AssetsBytes int64 // of all static assets; 256 MiB
	Assets      int   // static assets; 20,000, as on Cloudflare
	CacheBytes  int64 // of npm packages that a Builder keeps unpacked in memory; 256 MiB
}

// maxAssetPaths bounds the names of all static assets: the list is handed over as JSON, in which a
// byte becomes up to six and each file adds some 110.
const maxAssetPaths = 4 << 20

// answerBytes is how long the JSON of a finished bundle can be: base64 makes a third more of modules.
func (l Limits) answerBytes() int64 {
	return 2*l.BundleBytes + 6*maxAssetPaths + 128*int64(l.Assets) + maxOrderBytes
}

func (l Limits) withDefaults() Limits {
	def(&l.TotalBytes, 512<<20)
	def(&l.FileBytes, 64<<20)
	def(&l.Files, 50_000)
	def(&l.Depth, 64)
	def(&l.PathBytes, 1024)
	def(&l.Ratio, 200)
	def(&l.SourceBytes, 8<<20)
	def(&l.InputBytes, 128<<20)
	def(&l.Packages, 1000)
	def(&l.BundleBytes, 10<<20)
	def(&l.AssetBytes, 25<<20)
	def(&l.AssetsBytes, 256<<20)
	def(&l.Assets, 20_000)
	def(&l.CacheBytes, 256<<20)
	return l
}

func def[T int | int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
