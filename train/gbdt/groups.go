package gbdt

// groupsOf are the groups that each column is in, a bit each; nil if all may act
// together. A column in no group has one of its own.
func groupsOf(o *Options, columns []column) [][]uint64 {
	if o.Groups == nil && !o.Additive {
		return nil
	}
	words := (len(o.Groups) + len(columns) + 63) / 64
	out := make([][]uint64, len(columns))
	place := make(map[int]int, len(columns)) // of a feature's column
	for k := range columns {
		out[k] = make([]uint64, words)
		place[columns[k].feature] = k
	}
	join := func(k, group int) { out[k][group/64] |= 1 << (group % 64) }
	grouped := make([]bool, len(columns))
	for i, group := range o.Groups {
		for _, j := range group {
			if k, used := place[j]; used {
				join(k, i)
				grouped[k] = true
			}
		}
	}
	for k := range out {
		if !grouped[k] {
			join(k, len(o.Groups)+k)
		}
	}
	return out
}

// anyGroup are all groups.
func (g *grower) anyGroup() []uint64 {
	if len(g.groups) == 0 {
		return nil
	}
	out := make([]uint64, len(g.groups[0]))
	for i := range out {
		out[i] = ^uint64(0)
	}
	return out
}

// both are the groups in a and in b.
func both(a, b []uint64) []uint64 {
	out := make([]uint64, len(a))
	for i := range out {
		out[i] = a[i] & b[i]
	}
	return out
}

// overlap says whether a group is in a and in b.
func overlap(a, b []uint64) bool {
	for i := range a {
		if a[i]&b[i] != 0 {
			return true
		}
	}
	return false
}

// alone says whether column k is the only one of the tree that the open groups
// hold.
func (g *grower) alone(k int, open []uint64) bool {
	if g.groups == nil {
		return false
	}
	for _, other := range g.used {
		if other != k && overlap(g.groups[other], open) {
			return false
		}
	}
	return true
}

// deal parts the histogram of column k, which large has of the leaf that was
// split on it, among the two sides: its bins are on one side each, and no row has
// to be counted again.
func (g *grower) deal(k int, small, large *leaf) {
	c := &g.columns[k]
	n := &g.nodes[g.nodes[small.node].parent]
	from, to := large.histogram[c.start:c.start+c.size], small.histogram[c.start:c.start+c.size]
	for bin := range from {
		if to[bin] = (sums{}); n.split.yes.has(uint8(bin)) == (small.node == n.yes) {
			from[bin], to[bin] = to[bin], from[bin]
		}
	}
}
