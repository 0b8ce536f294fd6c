package preview

import "errors"

// Scan asks to look for secrets in what a pull request or a push brought. PR alone is a pull request, whose
// facts are read anew; SHA and what goes with it is a commit that something brought.
type Scan struct {
	ProjectID string
	PR        int
	SHA       string // 40 hexadecimal characters
	Before    string // what was there before; empty: nothing, as of a new branch
	Branch    string // that was pushed to; empty: another reason
	Tag       string // the object of the annotated tag that was pushed; empty: none was
}

// Comparison is what GitHub says of the commits that one has and another lacks.
type Comparison struct {
	MergeBase string
	Commits   []Commit // oldest first, without their files
	Whole     bool     // all of them are listed
}

// Commit is a commit and the files that it changed against its first parent.
type Commit struct {
	SHA     string
	Message string // hostile text
	Parents []string
	Files   []ChangedFile
	Whole   bool // all of its files are listed
}

// Tag is an annotated tag.
type Tag struct {
	Message string // hostile text
	Of      string // the object that it is a tag of
	OfTag   bool   // which is a tag, too
}

// ChangedFile is a file as a change left it.
type ChangedFile struct {
	Path     string // hostile text
	Previous string // its path before, if it was renamed
	Blob     string // its content's id; of a removed file the one that it had
	Removed  bool
}

// TreeFile is a file of a commit; neither a folder, a link nor a submodule.
type TreeFile struct {
	Path string // hostile text
	Blob string
	Size int64
}

// Head is an open pull request with what people wrote for it.
type Head struct {
	PullRequest
	Body string // hostile text
}

// Comment is what somebody wrote below a pull request or in a review of it.
type Comment struct {
	What   string // for people: "comment", "review" or "review comment"
	ID     int64
	Author string // a login
	Member bool   // the author belongs to the repository or its owner
	Body   string // hostile text
}

// ErrTooLarge is returned when something has more bytes than are read.
var ErrTooLarge = errors.New("too large")
