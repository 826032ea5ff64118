package expr

// Expr is a checked expression.
type Expr struct {
	Source string // as written
	Root   *Node
	Vars   []string // that it names, in the order of first mention
}
