// Package tree is a tree ensemble as served: a validating builder, flat arrays,
// and exact TreeSHAP.
package tree

// Node is one node of a tree handed to the Builder, for any source: the trainer,
// an imported model, an artifact read back. A tree is a slice of nodes with the
// root first and every child after its parent.
type Node struct {
	// Feature is the column tested; a negative Feature makes the node a leaf.
	Feature int
	// A numeric split sends x <= Threshold to Yes, everything else to No.
	Threshold float64
	// A categorical split sends the codes in Set (sorted, distinct, 0 to
	// Levels-1) to Yes and the other codes to No. Set is nil in a numeric split.
	Set []int32
	// MissingYes sends NaN to Yes. UnseenYes sends category -1 to Yes.
	MissingYes, UnseenYes bool
	Yes, No               int
	// Value is what a leaf adds to the log-odds.
	Value float64
	// Cover is the training weight (rows) that reached the node, above 0; a
	// parent's is the sum of its children's to 1e-6 relative.
	Cover float64
}
