package golearn

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/models/tree"
)

// Describe writes an ensemble of one tree as indented plain text, a line for
// every answer to a question, with the rows that gave it; a leaf has its log-odds,
// base included, and their probability before any calibration. Of an ensemble of
// more trees, it writes the first.
//
// names are those of the features, levels[j] the categories of feature j (unused
// for a number). Where one is not given, its number stands for it.
func Describe(e *tree.Ensemble, names []string, levels [][]string) string {
	d := description{e: e, names: names, levels: levels}
	if e.Trees() > 0 {
		d.nodes = e.Tree(0)
		d.line(0, 0, "all")
	} else {
		fmt.Fprintf(&d.text, "all: %s\n", odds(e.Base()))
	}
	return d.text.String()
}

type description struct {
	e      *tree.Ensemble
	nodes  []tree.Node
	names  []string
	levels [][]string
	text   strings.Builder
}

func (d *description) line(at, indent int, condition string) {
	n := d.nodes[at]
	fmt.Fprintf(&d.text, "%s%s: %s rows", strings.Repeat("  ", indent), condition, datasets.FormatNumber(n.Cover))
	if n.Feature < 0 {
		fmt.Fprintf(&d.text, ", %s\n", odds(d.e.Base()+n.Value))
		return
	}
	d.text.WriteByte('\n')
	yes, no := d.conditions(n)
	d.line(n.Yes, indent+1, yes)
	d.line(n.No, indent+1, no)
}

func odds(raw float64) string {
	return fmt.Sprintf("log-odds %.3f, probability %.3f", raw, 1/(1+math.Exp(-raw)))
}

// conditions name the two answers to the question of n.
func (d *description) conditions(n tree.Node) (yes, no string) {
	name := "feature " + strconv.Itoa(n.Feature)
	if n.Feature < len(d.names) {
		name = d.names[n.Feature]
	}
	count := d.e.Levels()[n.Feature]
	if count == 0 {
		threshold := datasets.FormatNumber(n.Threshold)
		yes, no = name+" <= "+threshold, name+" > "+threshold
		if n.MissingYes {
			return yes + " or missing", no
		}
		return yes, no + " or missing"
	}
	var inSet, outside []string
	set := n.Set
	for k := range count {
		if len(set) > 0 && int(set[0]) == k {
			inSet, set = append(inSet, d.level(n.Feature, k)), set[1:]
		} else {
			outside = append(outside, d.level(n.Feature, k))
		}
	}
	for _, state := range []struct {
		name string
		yes  bool
	}{{"missing", n.MissingYes}, {"unseen", n.UnseenYes}} {
		if state.yes {
			inSet = append(inSet, state.name)
		} else {
			outside = append(outside, state.name)
		}
	}
	return name + " is " + oneOf(inSet), name + " is " + oneOf(outside)
}

func (d *description) level(feature, k int) string {
	if feature < len(d.levels) && k < len(d.levels[feature]) {
		return strconv.Quote(d.levels[feature][k])
	}
	return strconv.Itoa(k)
}

// maxNamed is how many categories of one answer are written out.
const maxNamed = 12

func oneOf(names []string) string {
	if more := len(names) - maxNamed; more > 0 {
		return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" or one of %d more", more)
	}
	if last := len(names) - 1; last > 0 {
		return strings.Join(names[:last], ", ") + " or " + names[last]
	}
	return names[0]
}
