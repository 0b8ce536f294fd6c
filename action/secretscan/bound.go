package secretscan

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// Bounds of what is kept of findings. One takes some 250 bytes, and more in each report: what people read ends long before,
// and a file of generated values has hundreds of thousands.
const (
	maxFound = 10_000 // in one file
	// maxKept is of a scan: a report of so many is small enough to be the next scan's baseline, and GitHub takes half of
	// them in a SARIF file.
	maxKept = 50_000
	// maxMatches is how many matches of one text are held until it is known which of them count, and as many of what is decoded
	// from it. Those after them are counted as they are: of one value that several rules match, each.
	maxMatches = 3 * maxFound
)

// CutError says that there are more findings than are kept: those in the list, and others that were counted.
type CutError struct {
	More map[Tier]int // a secret in several versions of a file is counted in each
}

func (e *CutError) Error() string {
	return fmt.Sprintf("the list of findings is cut: %s more are not in it; at most %d of a file and %d of a scan are kept", perTier(e.More), maxFound, maxKept)
}

func perTier(counts map[Tier]int) string {
	return fmt.Sprintf("%d certain, %d likely, %d generic", counts[Certain], counts[Likely], counts[Generic])
}

// Cut gives how many findings are not in a scan's list, by its error or those of several scans joined, and whether that is all
// that was wrong.
func Cut(err error) (more map[Tier]int, alone bool) {
	switch e := err.(type) { //nolint:errorlint // what is around a CutError says more than that the list is cut
	case *CutError:
		return e.More, true
	case interface{ Unwrap() []error }:
		alone = true
		for _, one := range e.Unwrap() {
			counts, cut := Cut(one)
			alone = alone && cut
			for tier, n := range counts {
				if more == nil {
					more = map[Tier]int{}
				}
				more[tier] += n
			}
		}
		return more, alone
	}
	var cut *CutError
	if errors.As(err, &cut) {
		more = cut.More
	}
	return more, false
}

// more counts what is not kept. nil keeps everything.
type more struct {
	certain, likely, generic atomic.Int64
	pointers                 atomic.Int64 // files of which a pointer to Git LFS is there

	inText, inFile, inScan int // what is kept: see the bounds
}

func newMore() *more { return &more{inText: maxMatches, inFile: maxFound, inScan: maxKept} }

// fullText, fullFile and fullScan report whether no more than n is kept.
func (m *more) fullText(n int) bool { return m != nil && n >= m.inText }
func (m *more) fullFile(n int) bool { return m != nil && n >= m.inFile }
func (m *more) fullScan(n int) bool { return m != nil && n >= m.inScan }

func (m *more) count(t Tier) { m.add(t, 1) }

func (m *more) add(t Tier, n int) {
	switch {
	case m == nil:
	case t == Certain:
		m.certain.Add(int64(n))
	case t == Likely:
		m.likely.Add(int64(n))
	default:
		m.generic.Add(int64(n))
	}
}

// error is nil if everything was kept.
func (m *more) error() error {
	counts := map[Tier]int{}
	for tier, n := range map[Tier]int64{Certain: m.certain.Load(), Likely: m.likely.Load(), Generic: m.generic.Load()} {
		if n > 0 {
			counts[tier] = int(n)
		}
	}
	if len(counts) == 0 {
		return nil
	}
	return &CutError{counts}
}

// keep gives the first ones of a list that is longer than what is kept, the surest, and counts the others.
func (m *more) keep(found []Finding, most int) []Finding {
	if len(found) <= most {
		return found
	}
	sortFindings(found)
	for i := range found[most:] {
		m.count(found[most+i].Tier)
	}
	return slices.Delete(found, most, len(found))
}
