package tree

// path is what explanations need of a node besides the node itself.
type path struct {
	cover float64
}

type rule struct{}

func (e *Ensemble) ready() {}
