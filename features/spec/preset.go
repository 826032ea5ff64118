package spec

func (w *writer) preset(f fields) {}
