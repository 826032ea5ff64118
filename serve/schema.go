package serve

import (
	"maps"
	"slices"

	"propensity/datasets"
	"propensity/features/spec"
)

// schema is what the models that are loaded know of the sources of facts.
type schema struct {
	of       *state
	projects []*spec.Project
	sources  map[string]*source
}

// source is a source as the first model by name has it, with the columns of all.
type source struct {
	spec.Source
	kinds map[string][]datasets.Kind
}

// schema gives that of the present state.
func (s *Server) schema() *schema {
	now := s.state.Load()
	if known := s.known.Load(); known != nil && known.of == now {
		return known
	}
	out := &schema{of: now, sources: map[string]*source{}}
	seen := map[*version]bool{}
	for _, name := range slices.Sorted(maps.Keys(now.models)) {
		aliases := now.models[name].aliases
		for _, alias := range slices.Sorted(maps.Keys(aliases)) {
			if v := aliases[alias].version; v != nil && v.live.plan != nil && !seen[v] {
				seen[v] = true
				out.add(v.live.plan.Project())
			}
		}
	}
	s.known.Store(out)
	return out
}

func (k *schema) add(p *spec.Project) {
	k.projects = append(k.projects, p)
	for i := range p.Sources {
		from := &p.Sources[i]
		s := k.sources[from.Name]
		if s == nil {
			s = &source{Source: *from, kinds: map[string][]datasets.Kind{}}
			k.sources[from.Name] = s
		}
		for _, c := range from.Columns {
			if !slices.Contains(s.kinds[c.Name], c.Kind) {
				s.kinds[c.Name] = append(s.kinds[c.Name], c.Kind)
			}
		}
	}
}

// names are those of the sources, in order.
func (k *schema) names() string { return list(k.sources) }

// attributes is the source that attributes of an account are of if nothing is said:
// the one called accounts, or the only one of that kind; "" if there is none.
func (k *schema) attributes() string {
	name, n := "", 0
	for _, s := range k.sources {
		if s.Kind == spec.Attributes && s.Name == "accounts" {
			return s.Name
		}
		if s.Kind == spec.Attributes {
			name = s.Name
			n++
		}
	}
	if n != 1 {
		return ""
	}
	return name
}
