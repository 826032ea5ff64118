// Package tree is a tree ensemble as served: a validating builder, flat arrays,
// and exact TreeSHAP.
package tree

// Node is one node of a tree handed to the Builder, for any source: the trainer,
// an imported model, an artifact read back. A tree is a slice of nodes with the
// root first and every child after its parent. Fields that a kind of node does
// not use are zero.
type Node struct {
	// Feature is the column tested; a negative Feature makes the node a leaf.
	// Whether the split is numeric or categorical is the feature's to say.
	Feature int
	// A numeric split sends x <= Threshold to Yes, everything else to No.
	Threshold float64
	// A categorical split sends the codes in Set (sorted, distinct, 0 to
	// Levels-1) to Yes and the other codes to No. Set is nil in a numeric split.
	Set []int32
	// MissingYes sends NaN to Yes. UnseenYes sends an unseen category, any value
	// that is no code, to Yes; a numeric split has no use for it.
	MissingYes, UnseenYes bool
	// Yes and No are the places of the children in the tree.
	Yes, No int
	// Value is what a leaf adds to the log-odds.
	Value float64
	// Cover is the training weight (rows) that reached the node, above 0; a
	// parent's is the sum of its children's to 1e-6 relative.
	Cover float64
}
