package train

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"propensity/datasets"
	"propensity/features/spec"
)

// Project is what a project file, propensity.yaml, says of training: the models of a
// company, each from a finished feature table or from rows that features make of
// facts, of which package features/spec reads the rest of the file.
type Project struct {
	Models []ProjectModel // in the order of the file
}

// ProjectModel is one entry of models.
type ProjectModel struct {
	Spec    Spec
	Data    string   // path of the table, relative to the project file; "" if facts make the rows
	Missing []string // texts that are missing in every column
	Points  string   // path of a scorecard edited by hand, relative likewise; "": none
}

// projectScorecard may name the file of a card that was edited by hand.
type projectScorecard struct {
	ScorecardSettings `yaml:",inline"`
	File              string `yaml:"file"`
}

// projectModel is an entry as the file spells it.
type projectModel struct {
	Data  string `yaml:"data"`
	ID    string `yaml:"id"`
	Time  string `yaml:"time"`
	Label struct {
		Column   string `yaml:"column"`
		Positive string `yaml:"positive"`
		Within   int    `yaml:"within_days"`
		Asked    asked  `yaml:",inline"`
	} `yaml:"label"`
	Looked    looked                   `yaml:",inline"`
	Value     string                   `yaml:"value"`
	Weight    string                   `yaml:"weight"`
	Leaks     map[string]string        `yaml:"leaks"`
	Drop      []string                 `yaml:"drop"`
	Types     map[string]datasets.Kind `yaml:"types"`
	Missing   []string                 `yaml:"missing"`
	Split     string                   `yaml:"split"`
	Holdout   float64                  `yaml:"holdout"`
	Learners  []string                 `yaml:"learners"`
	Penalty   string                   `yaml:"penalty"`
	Boosting  BoostingSettings         `yaml:"boosting"`
	Monotone  map[string]string        `yaml:"monotone"`
	Together  [][]string               `yaml:"together"`
	Scorecard projectScorecard         `yaml:"scorecard"`
	Tune      int                      `yaml:"tune"`
	Backtest  int                      `yaml:"backtest"`
	Quick     bool                     `yaml:"quick"`
	Prior     float64                  `yaml:"prior"`
	Capacity  int                      `yaml:"capacity"`
	Segments  []string                 `yaml:"segments"`
	Questions map[string][]string      `yaml:"questions"`
	Refit     bool                     `yaml:"refit"`
	Bands     []float64                `yaml:"bands"`
	Rebands   bool                     `yaml:"rebands"`
	Surrogate bool                     `yaml:"surrogate"`
}

// What package features/spec reads of an entry, and of its label.
type (
	looked struct {
		Moments    any `yaml:"moments"`
		Since      any `yaml:"since"`
		Until      any `yaml:"until"`
		Population any `yaml:"population"`
		Gap        any `yaml:"gap"`
		Features   any `yaml:"features"`
	}
	asked struct {
		Event any `yaml:"event"`
		Where any `yaml:"where"`
		In    any `yaml:"within"`
		State any `yaml:"state"`
		Is    any `yaml:"is"`
		After any `yaml:"after"`
		Chg   any `yaml:"change"`
		By    any `yaml:"by"`
	}
)

// ParseProject reads a project file. Every fault is listed, with its line.
func ParseProject(b []byte) (*Project, error) {
	var file struct {
		Version     int            `yaml:"version"`
		Account     string         `yaml:"account"`
		Timezone    any            `yaml:"timezone"`
		Sources     any            `yaml:"sources"`
		Presets     any            `yaml:"presets"`
		Features    any            `yaml:"features"`
		Derived     any            `yaml:"derived"`
		Populations any            `yaml:"populations"`
		Models      map[string]any `yaml:"models"`
	}
	if err := yaml.UnmarshalWithOptions(b, &file, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%w: %s", ErrSpec, yaml.FormatError(err, false, true))
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("%w: version is %d; begin the file with version: 1", ErrSpec, file.Version)
	}
	if len(file.Models) == 0 {
		return nil, fmt.Errorf("%w: it names no models", ErrSpec)
	}
	tree, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	p := &Project{}
	var faults []error
	if len(tree.Docs) > 1 {
		return nil, fmt.Errorf("%w: it holds %d YAML documents (---), of which only one would count", ErrSpec, len(tree.Docs))
	}
	for _, entry := range modelNodes(tree) {
		key := entry.Key.GetToken() // its value is without the quotes that the file may have
		name, line := key.Value, key.Position.Line
		m, err := parseModel(name, file.Account, entry.Value)
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d, model %s: %w", line, name, err))
			continue
		}
		p.Models = append(p.Models, m)
	}
	return p, errors.Join(faults...)
}

// modelNodes are the entries under models, in the order of the file.
func modelNodes(f *ast.File) []*ast.MappingValueNode {
	for _, doc := range f.Docs {
		for _, top := range entries(doc.Body) {
			if top.Key.GetToken().Value == "models" {
				return entries(top.Value)
			}
		}
	}
	return nil
}

// entries are the pairs of a mapping.
func entries(n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	return nil
}

func parseModel(name, account string, n ast.Node) (ProjectModel, error) {
	var e projectModel
	if err := yaml.NodeToValue(n, &e, yaml.Strict()); err != nil {
		return ProjectModel{}, fmt.Errorf("%w: %s", ErrSpec, yaml.FormatError(err, false, true))
	}
	if e.ID == "" {
		e.ID = account
	}
	made := e.Looked.Moments != nil
	if made {
		if e.Data != "" || e.Time != "" || e.Label.Column != "" || e.Label.Positive != "" || e.Label.Within != 0 {
			return ProjectModel{}, fmt.Errorf("%w: with moments its rows are made of facts: leave out data, time, and column, positive and within_days of the label", ErrSpec)
		}
		e.ID, e.Time, e.Label.Column, e.Label.Positive = cmp.Or(e.ID, spec.AccountColumn), spec.MomentColumn, name, "true" // the label is called as the model
	}
	m := ProjectModel{Data: e.Data, Missing: e.Missing, Points: e.Scorecard.File, Spec: Spec{
		Name: name, ID: e.ID, Time: e.Time, Label: e.Label.Column, Positive: e.Label.Positive, Horizon: e.Label.Within,
		Value: e.Value, Weight: e.Weight, Leaks: e.Leaks, Drop: e.Drop, Types: e.Types, Split: e.Split, Holdout: e.Holdout, Learners: e.Learners,
		Penalty: e.Penalty, Boosting: e.Boosting, Monotone: e.Monotone, Together: e.Together, Scorecard: e.Scorecard.ScorecardSettings, Tune: e.Tune,
		Backtest: e.Backtest, Quick: e.Quick, Prior: e.Prior, Capacity: e.Capacity, Segments: e.Segments, Questions: e.Questions, Refit: e.Refit, Bands: e.Bands, Rebands: e.Rebands, Surrogate: e.Surrogate,
	}}
	err := m.Spec.Validate()
	if m.Data == "" && !made {
		err = errors.Join(err, fmt.Errorf("%w: it names neither a table (data: churn.csv) nor the moments of its rows (moments: {every: 1mo})", ErrSpec))
	}
	return m, err
}

// Choose gives the models of those names, or all without any.
func (p *Project) Choose(names []string) ([]ProjectModel, error) {
	if len(names) == 0 {
		return p.Models, nil
	}
	var have []string
	for _, m := range p.Models {
		have = append(have, m.Spec.Name)
	}
	var out []ProjectModel
	for _, name := range names {
		i := slices.Index(have, name)
		if i < 0 {
			return nil, fmt.Errorf("%w: no model %q; it has %s", ErrSpec, name, strings.Join(have, ", "))
		}
		out = append(out, p.Models[i])
	}
	return out, nil
}
