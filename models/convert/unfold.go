package convert

import (
	"fmt"

	"propensity/models/tree"
)

// A source tree is translated into nodes in any order, root first, whose
// children may be shared by two parents: one foreign split can take several of
// ours, and several of those lead to the same side. unfolder lays such nodes out
// as a tree, with a copy of whatever is shared.
type unfolder struct {
	copies int // nodes added so far, over all trees

	nodes []tree.Node
	refs  []int // per node: how many lead to it
	out   []tree.Node
}

// unfold gives the nodes that the root leads to, parents first, yes before no.
// Leaves come with the cover of training; those above get the sum of theirs.
// Copies share the cover of what they are copies of in equal parts: a power of
// two, so that nothing rounds. The shares are of no consequence, because the
// nodes between the copies all test one feature: an explanation either follows
// that feature's value into one copy, or averages over all of them.
func (u *unfolder) unfold(nodes []tree.Node) ([]tree.Node, error) {
	u.nodes, u.out = nodes, nil
	u.refs = make([]int, len(nodes))
	for i := range nodes {
		if n := &nodes[i]; n.Feature >= 0 {
			u.refs[n.Yes]++
			u.refs[n.No]++
		}
	}
	if _, err := u.place(0, 1, 1); err != nil {
		return nil, err
	}
	u.copies += max(0, len(u.out)-len(nodes))
	if u.copies > maxCopies {
		return nil, fmt.Errorf("%w: it takes more than %d nodes besides those of the file", ErrUnsupported, maxCopies)
	}
	u.fillCovers()
	return u.out, nil
}

func (u *unfolder) place(at, depth int, share float64) (int, error) {
	if depth > maxDepth+1 {
		return 0, fmt.Errorf("%w: a tree deeper than %d", ErrUnsupported, maxDepth)
	}
	if len(u.out) >= maxTree {
		return 0, fmt.Errorf("%w: a tree takes more than %d nodes here", ErrUnsupported, maxTree)
	}
	k := len(u.out)
	n := u.nodes[at]
	u.out = append(u.out, n)
	if n.Feature < 0 {
		u.out[k].Cover *= share
		return k, nil
	}
	yes, err := u.place(n.Yes, depth+1, share/float64(u.refs[n.Yes]))
	if err != nil {
		return 0, err
	}
	no, err := u.place(n.No, depth+1, share/float64(u.refs[n.No]))
	u.out[k].Yes, u.out[k].No = yes, no
	return k, err
}

// emptyShare of all cover stands for a leaf that no training row reached, since
// a cover is above 0: nothing that an explanation would show.
const emptyShare = 0x1p-40

// fillCovers sums the covers of leaves up to the root.
func (u *unfolder) fillCovers() {
	sum := 0.0
	for i := range u.out {
		if u.out[i].Feature < 0 {
			sum += u.out[i].Cover
		}
	}
	if sum == 0 {
		sum = 1
	}
	for i := len(u.out) - 1; i >= 0; i-- { // children come after their parent
		n := &u.out[i]
		switch {
		case n.Feature >= 0:
			n.Cover = u.out[n.Yes].Cover + u.out[n.No].Cover
		case n.Cover == 0:
			n.Cover = sum * emptyShare
		}
	}
}

// onlyTree checks the children of a source tree: every node but the root has one
// parent at most. What is not reached from the root is not looked at: XGBoost
// leaves pruned nodes in place. What loops is deeper than any limit.
func onlyTree(nodes []tree.Node) error {
	seen := make([]bool, len(nodes))
	seen[0] = true
	for i := range nodes {
		n := &nodes[i]
		if n.Feature < 0 {
			continue
		}
		for _, c := range [2]int{n.Yes, n.No} {
			if c < 0 || c >= len(nodes) {
				return fmt.Errorf("node %d has the child %d of %d", i, c, len(nodes))
			}
			if seen[c] {
				return fmt.Errorf("node %d has a parent besides node %d", c, i)
			}
			seen[c] = true
		}
	}
	return nil
}
