package report

import (
	"errors"
	"fmt"
	"strings"

	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"propensity/models"
	"propensity/models/report/markup"
)

// errSurrogate is a surrogate whose nodes are no tree.
var errSurrogate = errors.New("the surrogate is no tree")

// maxLeaves and maxDepth are what one picture has room for.
const (
	maxLeaves = 64
	maxDepth  = 8
)

// placed is a node with its place in the picture: columns from the left by depth,
// lines from the top by leaf.
type placed struct {
	*models.SurrogateNode
	yes, no *placed
	depth   int
	line    float64
}

func (n *placed) leaf() bool { return n.Text == "" }

// grown links the nodes. Each child stands behind its parent and has no other,
// so that no walk is endless.
func grown(nodes []models.SurrogateNode) (root *placed, leaves, depth int, err error) {
	if len(nodes) == 0 {
		return nil, 0, 0, fmt.Errorf("%w: it has no nodes", errSurrogate)
	}
	all := make([]placed, len(nodes))
	taken := make([]bool, len(nodes))
	for i := range nodes {
		n := &all[i]
		n.SurrogateNode = &nodes[i]
		depth = max(depth, n.depth)
		if n.leaf() {
			leaves++
			continue
		}
		for _, c := range []int{n.Yes, n.No} {
			if c <= i || c >= len(nodes) || taken[c] {
				return nil, 0, 0, fmt.Errorf("%w: node %d goes on to node %d of %d", errSurrogate, i, c, len(nodes))
			}
			taken[c] = true
			all[c].depth = n.depth + 1
		}
		n.yes, n.no = &all[n.Yes], &all[n.No]
	}
	return &all[0], leaves, depth, nil
}

// place gives every leaf a line of its own and every question the middle of its
// two ways.
func (n *placed) place(next *int) {
	if n.leaf() {
		n.line = float64(*next)
		*next++
		return
	}
	n.yes.place(next)
	n.no.place(next)
	n.line = (n.yes.line + n.no.line) / 2
}

// walk visits a node, then its yes, then its no.
func (n *placed) walk(visit func(*placed)) {
	visit(n)
	if !n.leaf() {
		n.yes.walk(visit)
		n.no.walk(visit)
	}
}

// Sizes of the picture of a tree, in points.
const (
	treeColumn = 158
	treeLine   = 42
	boxWidth   = 128
	boxHeight  = 34
	leafWidth  = 92
	treeMargin = 8
	boxLetters = 23
)

func (r *reporter) surrogateSection() (section, error) {
	s := section{ID: "surrogate", Title: "The model as one small tree"}
	x := r.e.Surrogate
	if x == nil {
		return s, nil
	}
	root, leaves, depth, err := grown(x.Nodes)
	if err != nil {
		return s, err
	}
	warn := ""
	if x.Fidelity < goodFidelity {
		warn = " What it leaves out matters: take it as a sketch."
	}
	s.Text = []string{fmt.Sprintf("To look at and not to score by. It explains %s of the variance of the model's log-odds on rows it was not grown on.%s", percent(x.Fidelity), warn)}
	t := &table{Head: []string{"way", "probability", "share of the rows"}, Left: 1}
	ways(root, nil, t)
	caption := surrogateCaption(t)
	var chart markup.HTML
	if leaves <= maxLeaves && depth <= maxDepth {
		if chart, err = treePicture(root, leaves, depth, "Surrogate tree. "+caption); err != nil {
			return s, err
		}
	}
	f := figure("", caption, chart, t)
	f.Wide = true
	s.Blocks = []block{f}
	return s, nil
}

// ways lists every leaf with the answers that lead to it.
func ways(n *placed, answers []string, t *table) {
	if n.leaf() {
		way := strings.Join(answers, "; ")
		if way == "" {
			way = "every row"
		}
		t.add("", way, percent(n.Probability), percent(n.Share))
		return
	}
	question := strings.TrimSuffix(n.Text, "?")
	ways(n.yes, append(answers[:len(answers):len(answers)], question+": yes"), t)
	ways(n.no, append(answers[:len(answers):len(answers)], question+": no"), t)
}

func surrogateCaption(t *table) string {
	return fmt.Sprintf("Up is yes, down is no; %s. Each box tells the probability and its share of the rows.", many(len(t.Rows), "way")+" through it")
}

func treePicture(root *placed, leaves, depth int, label string) (markup.HTML, error) {
	next := 0
	root.place(&next)
	width := vg.Length(2*treeMargin + depth*treeColumn + leafWidth)
	if depth == 0 {
		width = boxWidth + 2*treeMargin
	}
	height := vg.Length(2*treeMargin + leaves*treeLine)
	c := vgsvg.New(width, height)
	canvas := draw.New(c)
	at := func(n *placed) (left, middle vg.Length) {
		return vg.Length(treeMargin + n.depth*treeColumn), height - treeMargin - vg.Length((n.line+0.5)*treeLine)
	}
	root.walk(func(n *placed) {
		if n.leaf() {
			return
		}
		left, middle := at(n)
		for _, way := range []struct {
			to     *placed
			answer string
			side   vg.Length
		}{{n.yes, "yes", 7}, {n.no, "no", -7}} {
			toLeft, toMiddle := at(way.to)
			bend := left + boxWidth + 8
			canvas.StrokeLines(draw.LineStyle{Color: text2.mark(), Width: 1}, []vg.Point{{X: left + boxWidth, Y: middle}, {X: bend, Y: middle}, {X: bend, Y: toMiddle}, {X: toLeft, Y: toMiddle}})
			canvas.FillText(letter(8.5, text2, text.XLeft), vg.Point{X: bend + 3, Y: toMiddle + way.side}, way.answer)
		}
	})
	root.walk(func(n *placed) {
		left, middle := at(n)
		n.draw(&canvas, left, middle)
	})
	return themed(c, width, height, label)
}

// draw writes a node into its box: a question in up to two lines, or a leaf.
func (n *placed) draw(c *draw.Canvas, left, middle vg.Length) {
	width, edge := vg.Length(boxWidth), text2
	if n.leaf() {
		width, edge = leafWidth, series1
	}
	corners := []vg.Point{{X: left, Y: middle - boxHeight/2}, {X: left + width, Y: middle - boxHeight/2}, {X: left + width, Y: middle + boxHeight/2}, {X: left, Y: middle + boxHeight/2}}
	c.FillPolygon(panel.mark(), corners)
	c.StrokeLines(draw.LineStyle{Color: edge.mark(), Width: 0.8}, append(corners, corners[0]))
	write := func(size float64, k ink, y vg.Length, s string) {
		c.FillText(letter(size, k, text.XCenter), vg.Point{X: left + width/2, Y: middle + y}, s)
	}
	if n.leaf() {
		bar := (width - 2) * vg.Length(min(max(n.Probability, 0), 1))
		bottom := middle - boxHeight/2 + 1
		c.FillPolygon(series1.mark(), []vg.Point{{X: left + 1, Y: bottom}, {X: left + 1 + bar, Y: bottom}, {X: left + 1 + bar, Y: bottom + 3}, {X: left + 1, Y: bottom + 3}})
		write(11, text1, 8, percent(n.Probability))
		write(8.5, text2, -5, percent(n.Share)+" of rows")
		return
	}
	lines := folded(n.Text, boxLetters)
	if len(lines) == 1 {
		write(9.5, text1, 7, lines[0])
	} else {
		write(9, text1, 11, lines[0])
		write(9, text1, 1, lines[1])
	}
	write(8, text2, -10, percent(n.Probability)+" · "+percent(n.Share)+" of rows")
}

// folded breaks a text into one or two lines of at most so many letters, at a
// blank if there is one.
func folded(s string, letters int) []string {
	s = short(s, 1000)
	r := []rune(s)
	if len(r) <= letters {
		return []string{s}
	}
	cut, skip := letters, 0
	for i := letters; i > letters/3; i-- {
		if r[i] == ' ' {
			cut, skip = i, 1
			break
		}
	}
	return []string{string(r[:cut]), short(string(r[cut+skip:]), letters)}
}

// surrogateText is the tree in indented lines, for the card.
func surrogateText(x *models.Surrogate) string {
	root, _, _, err := grown(x.Nodes)
	if err != nil {
		return ""
	}
	var b strings.Builder
	var write func(n *placed, lead string)
	write = func(n *placed, lead string) {
		indent := strings.Repeat("  ", n.depth)
		if n.leaf() {
			fmt.Fprintf(&b, "%s%s%s (%s of rows)\n", indent, lead, percent(n.Probability), percent(n.Share))
			return
		}
		fmt.Fprintf(&b, "%s%s%s?\n", indent, lead, strings.TrimSuffix(short(n.Text, 200), "?"))
		write(n.yes, "yes: ")
		write(n.no, "no: ")
	}
	write(root, "")
	return strings.ReplaceAll(b.String(), "```", "'''")
}
