package demo

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed all:sample
var sampleFiles embed.FS

//go:embed all:story
var storyFiles embed.FS

//go:embed story/parent.sql
var parentSQL string

// Commit is one push of the story: whole files that replace or join those of the commit before.
type Commit struct {
	Name    string            // e.g. "reviews"; see the constants
	Message string            // the Git commit message
	Files   map[string][]byte // by path from the repository's root
	// FailsAt is where the check must point; the zero Place when the commit is a good one.
	FailsAt Place
}

// Place is a line of a file in the repository.
type Place struct {
	Path string
	Line int // from 1
}

// The names of the story's commits, in their order. Each builds on the one before.
const (
	CommitReviews        = "reviews"         // opens the pull request: table reviews, GET /products/{productId}/reviews
	CommitStock          = "stock"           // changes the schema: products.stock, reviews.author, an index
	CommitDescription    = "description"     // specs and a migration alone: products.description, GET /products/{id}
	CommitSyntaxError    = "syntax-error"    // the Worker does not compile
	CommitMigrationError = "migration-error" // the Worker compiles, its migration names a missing column
	CommitRepair         = "repair"          // mends that migration: products.sale_cents
)

// Sample is the sample repository as its default branch has it: a Worker with Hono, Drizzle ORM
// and postgres.js that spec apply made from its specs, but for the file of handlers. The tree is read-only.
func Sample() (fs.FS, error) {
	tree, err := fs.Sub(sampleFiles, "sample")
	if err != nil {
		return nil, fmt.Errorf("sample repository: %w", err)
	}
	return tree, nil
}

// ParentSQL makes the database that previews of the sample branch from, in an empty database:
// the default branch's schema with drizzle-kit's bookkeeping, and three products.
func ParentSQL() string { return parentSQL }

// Commits are the story's pushes to the pull request, in order.
func Commits() ([]Commit, error) {
	commits := []Commit{
		{Name: CommitReviews, Message: "Customers review products"},
		{Name: CommitStock, Message: "Products have a stock, reviews an author"},
		{Name: CommitDescription, Message: "Products have a description, and are found by their ids"},
		{
			Name: CommitSyntaxError, Message: "The newest products come first",
			FailsAt: Place{Path: "src/handlers/001-shop.ts", Line: 25},
		},
		{
			Name: CommitMigrationError, Message: "Products can be on sale",
			FailsAt: Place{Path: "drizzle/0004_add_sale_price.sql", Line: 2},
		},
		{Name: CommitRepair, Message: "The sale price is half of price_cents"},
	}
	for i := range commits {
		files, err := storyFolder(fmt.Sprintf("story/%02d-%s", i+1, commits[i].Name))
		if err != nil {
			return nil, fmt.Errorf("story commit %s: %w", commits[i].Name, err)
		}
		commits[i].Files = files
	}
	return commits, nil
}

func storyFolder(folder string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(storyFiles, folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := storyFiles.ReadFile(path)
		files[strings.TrimPrefix(path, folder+"/")] = content
		return err
	})
	return files, err
}
