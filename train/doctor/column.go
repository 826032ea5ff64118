package doctor

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"propensity/datasets"
)

// Column is what a column is like.
type Column struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`
	Missing  int       `json:"missing"`
	Distinct int       `json:"distinct"` // values, missing not counted
	Findings []Finding `json:"findings,omitempty"`
}

// Finding is something the matter with a column.
type Finding struct {
	What   FindingKind `json:"what"`
	Detail string      `json:"detail"`
}

// FindingKind names a finding.
type FindingKind string

// Findings. The first three leave nothing to learn from the column.
const (
	Empty    FindingKind = "empty"          // no value at all
	Constant FindingKind = "constant"       // one value in every row
	Copy     FindingKind = "copy"           // tells the same as an earlier column
	Identity FindingKind = "id-like"        // nearly every row has a value of its own
	Rare     FindingKind = "rarely filled"  // in fewer than a twentieth of the rows
	Once     FindingKind = "seen once"      // many categories of a single row
	Late     FindingKind = "appears late"   // no value in the oldest rows
	Ended    FindingKind = "no longer kept" // no value in the newest rows
)

func (c *Column) usable() bool {
	return !slices.ContainsFunc(c.Findings, func(f Finding) bool {
		return f.What == Empty || f.What == Constant || f.What == Copy || f.What == Identity
	})
}

func (c *Column) found(what FindingKind, format string, args ...any) {
	c.Findings = append(c.Findings, Finding{what, fmt.Sprintf(format, args...)})
}

const (
	rareShare     = 0.05 // filled in fewer rows than that is rarely
	onceShare     = 0.01 // of the rows, with categories of their own
	identityShare = 0.95 // of the filled rows, with values of their own
	identityRows  = 50   // filled rows below which that says nothing
	edgeShare     = 0.05 // of the rows, the oldest or the newest
	edgeRows      = 20
)

// examineColumns looks at every column, several at a time.
func examineColumns(in Input) []Column {
	out := make([]Column, len(in.Columns))
	prints := make([]uint64, len(in.Columns))
	order := byMoment(in.Moments)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for k := range in.Columns {
		group.Go(func() error {
			out[k], prints[k] = examine(&in.Columns[k], order, in.Moments)
			return nil
		})
	}
	_ = group.Wait() // examine never fails
	first := map[uint64]int{}
	for k := range out {
		if out[k].Distinct < 2 {
			continue
		}
		if j, ok := first[prints[k]]; ok {
			out[k].found(Copy, "tells the same as %q", out[j].Name)
		} else {
			first[prints[k]] = k
		}
	}
	return out
}

// examine looks at one column. The print is the same for columns that tell the same.
func examine(c *datasets.Column, order []int, moments []int64) (out Column, print uint64) {
	number, first := c.Distinct()
	out = Column{Name: c.Name, Kind: c.Kind.String(), Distinct: len(first)}
	counts := make([]int, len(first)) // rows of each value
	for _, k := range number {
		if k < 0 {
			out.Missing++
		} else {
			counts[k]++
		}
	}
	filled := len(number) - out.Missing
	print = datasets.Mix(1)
	for i, k := range number {
		cell := uint64(k + 1)
		if 2*len(counts) > filled { // most rows differ in any such column: the values must be the same too
			cell = hash(c.At(i).String())
		}
		print = datasets.Mix(print ^ cell)
	}
	switch {
	case filled == 0:
		out.found(Empty, "no row has a value")
		return out, print
	case len(counts) == 1 && out.Missing == 0:
		out.found(Constant, "every row has %s", c.At(0).String())
		return out, print
	}
	once := 0
	for _, n := range counts {
		if n == 1 {
			once++
		}
	}
	isText := c.Kind == datasets.Category || c.Kind == datasets.Text
	switch {
	case filled >= identityRows && float64(once) >= identityShare*float64(filled) && (isText || serial(c)):
		out.found(Identity, "%d of %d filled rows have a value of their own", once, filled)
	case isText && once > 1 && float64(once) > onceShare*float64(filled):
		out.found(Once, "%d of %d categories are in one row each", once, len(counts))
	}
	if float64(filled) < rareShare*float64(len(number)) {
		out.found(Rare, "%d of %d rows have a value", filled, len(number))
	}
	edges(&out, number, order, moments)
	return out, print
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s)) //nolint:errcheck // a hash never fails
	return h.Sum64()
}

// serial says that all values are whole numbers, as ids are and few measurements.
func serial(c *datasets.Column) bool {
	if c.Kind != datasets.Number {
		return false
	}
	for _, x := range c.Numbers {
		if x == x && x != math.Trunc(x) {
			return false
		}
	}
	return true
}

// byMoment is the rows from the oldest to the newest; nil without moments.
func byMoment(moments []int64) []int {
	if moments == nil {
		return nil
	}
	order := make([]int, len(moments))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(moments[i], moments[j]) })
	return order
}

// edges finds a column that has no value in the oldest or the newest rows, though
// it has in enough of the others that chance does not explain it.
func edges(c *Column, number []int32, order []int, moments []int64) {
	if order == nil {
		return
	}
	filled := func(i int) bool { return number[i] >= 0 }
	first := slices.IndexFunc(order, filled)
	last := len(order) - 1
	for !filled(order[last]) {
		last--
	}
	known := 0
	for _, i := range order[first : last+1] {
		if filled(i) {
			known++
		}
	}
	// The chance that so many rows in a row have no value.
	share := float64(known) / float64(last+1-first)
	unlikely := func(rows int) bool {
		return float64(rows) >= edgeShare*float64(len(order)) && rows >= edgeRows && float64(rows)*math.Log1p(-min(share, 0.999)) < math.Log(1e-6)
	}
	if unlikely(first) {
		c.found(Late, "no value before %s, in %d rows", datasets.FormatTime(moments[order[first]]), first)
	}
	if after := len(order) - 1 - last; unlikely(after) {
		c.found(Ended, "no value after %s, in %d rows", datasets.FormatTime(moments[order[last]]), after)
	}
}
