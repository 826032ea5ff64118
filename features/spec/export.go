package spec

func (w *writer) applyExport(s *Source, f fields) {}
