package ir

import (
	"fmt"

	"github.com/flaresmith/flaresmith/codegen/spec"
)

// What describes the body, the answers and the parameters of an operation is written out in full for each operation, in
// tools and in tests. In Stripe's description, almost every answer leads to almost every schema, which would make hundreds
// of megabytes, and so would a small document that is made for it.
const (
	maxWritten      = 3000     // schemas of one answer: nearly twice what the largest ones of GitHub's, OpenAI's and Discord's descriptions take
	maxWrittenInAll = 40 << 20 // bytes of a document, about: four times those of GitHub's
	alwaysWritten   = 2 << 10  // bytes of one schema
)

// WrittenOut tells whether what describes a body, an answer or a parameter of an operation may be written in full. Of a parameter that
// operations share, it may be for some of them.
func (o *Operation) WrittenOut(s *Schema) bool { return !o.unwritten[s] }

// weight is how many schemas one leads to, itself included, and about how many bytes they take.
type weight struct{ schemas, bytes int }

// weigher measures what takes long to measure once: very many operations may lead to it.
type weigher struct {
	components map[*Component]weight
	inline     map[*Schema]weight
	own        map[*Schema]int
}

// weigh counts no more than one schema over maxWritten.
func (w *weigher) weigh(s *Schema) weight {
	if s.Ref == nil {
		total, known := w.inline[s]
		if !known {
			total = w.count(s)
			w.inline[s] = total
		}
		return total
	}
	total, known := w.components[s.Ref]
	if !known {
		total = w.count(&Schema{Ref: s.Ref})
		w.components[s.Ref] = total
	}
	total.bytes += len(s.Meta.Description) + len(s.Meta.Title)
	return total
}

func (w *weigher) count(s *Schema) weight {
	var total weight
	seen := map[*Component]bool{}
	var within func(*Schema) bool
	within = func(s *Schema) bool {
		if total.schemas++; total.schemas > maxWritten {
			return false
		}
		total.bytes += w.bytes(s)
		if s.Ref != nil && !seen[s.Ref] {
			seen[s.Ref] = true
			if !within(s.Ref.Schema) {
				return false
			}
		}
		for child := range s.Children {
			if !within(child) {
				return false
			}
		}
		return true
	}
	within(s)
	return total
}

// bytes is about what a schema takes without those that it leads to.
func (w *weigher) bytes(s *Schema) int {
	plain := 100 + len(s.Meta.Description) + len(s.Meta.Title) + len(s.Pattern.Source)
	if len(s.Properties)+len(s.Patterns)+len(s.Enum) == 0 && s.Meta.Default == nil {
		return plain
	}
	listed, known := w.own[s]
	if !known {
		for i := range s.Properties {
			listed += len(s.Properties[i].Name)
		}
		for i := range s.Patterns {
			listed += len(s.Patterns[i].Pattern.Source)
		}
		for _, value := range s.Enum {
			listed += valueBytes(value)
		}
		if s.Meta.Default != nil {
			listed += valueBytes(s.Meta.Default)
		}
		w.own[s] = listed
	}
	return plain + listed
}

func valueBytes(n *spec.Node) int {
	bytes := 10 + len(n.Key) + len(n.Text)
	for i := range n.Children {
		bytes += valueBytes(&n.Children[i])
	}
	return bytes
}

// written decides what is not written in full, and notes how often that is.
func (b *builder) written() {
	left := maxWrittenInAll
	w := weigher{components: map[*Component]weight{}, inline: map[*Schema]weight{}, own: map[*Schema]int{}}
	var answers, inputs leftOut
	for i := range b.model.Operations {
		o := &b.model.Operations[i]
		tooMuch := func(s *Schema) bool {
			if s == nil || b.pause() {
				return false
			}
			total := w.weigh(s)
			if total.bytes > alwaysWritten && (total.schemas > maxWritten || total.bytes > left) {
				if o.unwritten == nil {
					o.unwritten = map[*Schema]bool{}
				}
				o.unwritten[s] = true
				return true
			}
			left -= total.bytes
			return false
		}
		heavy := tooMuch(o.Body)
		for _, p := range o.Parameters {
			heavy = tooMuch(p.Schema) || heavy
		}
		if heavy {
			inputs.add(o)
		}
		heavy = tooMuch(o.Result)
		for _, r := range o.Responses {
			for _, media := range r.Media {
				if media.JSON() && media.Schema != o.Result && r.Success() {
					heavy = tooMuch(media.Schema) || heavy
				}
			}
		}
		if heavy {
			answers.add(o)
		}
	}
	b.leftOut(answers, "answers", "their tools have no outputSchema, and their tests in Postman look at the status alone")
	b.leftOut(inputs, "bodies or parameters", "their tools take anything there")
}

func (b *builder) leftOut(l leftOut, what, instead string) {
	if l.first == nil {
		return
	}
	p := l.first.place
	p.Message = fmt.Sprintf("the %s of %d operations, such as %s, lead to more than %d schemas each, or take more than %d MB with all before them: %s", what, l.n, l.first.ID, maxWritten, maxWrittenInAll>>20, instead)
	b.model.Notes = append(b.model.Notes, p)
}

// leftOut counts operations.
type leftOut struct {
	first *Operation
	n     int
}

func (l *leftOut) add(o *Operation) {
	if l.n++; l.first == nil {
		l.first = o
	}
}
