package spec

import (
	"strings"
)

var (
	createTable = lazily(`(?i)\bcreate\s+(unlogged\s+)?table\b|\bcreate\s+type\b|\bcreate\s+(unique\s+)?index\b|\balter\s+table\b`)
	pseudoTable = lazily(`(?m)^\s*"?[a-z_][a-z0-9_]*"?\s*\((?:\s*$|\s*"?[a-z_][a-z0-9_]*"?\s+(?i:uuid|text|varchar|char|int|integer|bigint|smallint|serial|bigserial|bool|boolean|timestamptz|timestamp|date|jsonb?|numeric|inet)\b)`)
	otherModels = []struct { //nolint:gochecknoglobals // a constant table
		words pattern
		name  string
	}{
		{lazily(`\bmodels\.Model\b|\bmodels\.\w+Field\(`), "Django"},
		{lazily(`\bSQLModel\b|\bMapped\[|\bColumn\(|\bBaseModel\b|@dataclass`), "Python classes"},
		{lazily(`\{\s*get;\s*(set|init);`), "C#"},
		{lazily(`@Entity\b|@Column\b`), "annotated classes"},
		{lazily(`\bz\.object\(`), "Zod"},
		{lazily(`\bgorm:"`), "Go"},
		{lazily(`\bnew (mongoose\.)?Schema\(`), "Mongoose"},
	}
	drizzleTable  = lazily(`\bpgTable\(`)
	interfaceHead = lazily(`(?m)^\s*(?:export\s+)?(?:interface\s+([A-Z][A-Za-z0-9_]*)[^{=]*\{|type\s+([A-Z][A-Za-z0-9_]*)\s*=\s*\{)`)
	prismaModel   = lazily(`(?m)^\s*(model|enum)\s+([A-Za-z_][A-Za-z0-9_]*)\s*\{`)
	diagramHead   = lazily(`(?m)^\s*erDiagram\b`)
)

// fenced reads a fence in the notation that it is in, or tells that there is none for it.
func (r *modelReader) fenced(s *section, f *fence) {
	f.text = strings.ReplaceAll(f.text, "\r", " ") // of the same length
	switch {
	case diagramHead.MatchString(f.text):
		r.diagram(f)
		return
	case f.language == "mermaid":
		return
	case drizzleTable.MatchString(f.text):
		r.drizzle(f)
		return
	}
	for _, other := range otherModels {
		if other.words.MatchString(f.text) {
			r.note(f.at, "unsupported notation (%s): nothing is read of this block", other.name)
			return
		}
	}
	switch {
	case f.language == "prisma" || f.language == "" && prismaModel.MatchString(f.text):
		r.prisma(f)
	case createTable.MatchString(f.text) || (f.language == "" || f.language == "sql" || f.language == "text") && pseudoTable.MatchString(f.text):
		r.sql(s, f)
	case interfaceHead.MatchString(f.text):
		r.interfaces(s, f)
	case f.language == "sql":
		r.note(f.at, "this block of SQL describes no table")
	case f.language == "" && strings.TrimSpace(f.text) != "":
		if _, _, ok := entityTitle(s.title.text); ok {
			r.note(f.at, "nothing is read of this block: it is in no notation that is known")
		}
	}
}
