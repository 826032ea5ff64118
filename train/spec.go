// Package train turns a table with a known outcome into an artifact: it splits,
// encodes, fits, calibrates, judges on rows that no learner saw, and decides
// whether the new version deserves to be champion.
package train

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"propensity/datasets"
	"propensity/models"
)

// Errors of a table or spec that cannot be learnt from; test with errors.Is.
var (
	ErrSpec  = errors.New("invalid spec")
	ErrLabel = errors.New("unusable label")
	ErrTable = errors.New("unusable table")
)

// Spec says what to learn from a table. The zero value of a field is its default.
type Spec struct {
	Name string `yaml:"name"`
	// ID is the column of the account, Time the one of the moment; both optional.
	ID   string `yaml:"id,omitempty"`
	Time string `yaml:"time,omitempty"`
	// Label is the column of the outcome, Positive its positive value. Positive may
	// be left out where the values are true and false or 1 and 0.
	Label    string `yaml:"label"`
	Positive string `yaml:"positive,omitempty"`
	// Value is a number column with the money at stake. It stays a feature.
	Value string `yaml:"value,omitempty"`
	// Weight is a number column, above 0: how much a row teaches. It is no feature.
	// Calibration and every figure count each row once, so that probabilities are
	// those of the rows as they are.
	Weight string `yaml:"weight,omitempty"`
	// Drop are columns that are not to be learnt from.
	Drop []string `yaml:"drop,omitempty"`
	// Leaks are columns that know nothing of the outcome, each with the reason why,
	// whatever the court of leaks says: they are learnt from.
	Leaks map[string]string `yaml:"leaks,omitempty"`
	// Types sets kinds by hand; the reader of the file applies them.
	Types map[string]datasets.Kind `yaml:"types,omitempty"`
	// Split is time, order or group. Default: time where there is a time column,
	// group otherwise.
	Split string `yaml:"split,omitempty"`
	// Horizon is how long after the moment the label looks, in days: rows whose
	// horizon reaches into the newest window are purged. 0: as soon as the moment.
	Horizon int `yaml:"horizon_days,omitempty"`
	// Holdout is the share of rows that only judge. Default 0.2.
	Holdout float64 `yaml:"holdout,omitempty"`
	// Learners to try, simplest first. Default: logistic, boosting.
	Learners []string `yaml:"learners,omitempty"`
	// Penalty is the weight of the L2 penalty of logistic, above 0, or none: then the
	// coefficients have standard errors. Default: 1.
	Penalty string `yaml:"penalty,omitempty"`
	// Boosting sets the learner boosting by hand.
	Boosting BoostingSettings `yaml:"boosting,omitempty"`
	// Monotone says of number columns that the probability may only rise or fall in
	// them, all else being equal: rising or falling. Boosting and additive keep to it.
	Monotone map[string]string `yaml:"monotone,omitempty"`
	// Together are groups of columns that may act together in boosting; a column in
	// no group acts alone. None: any may.
	Together [][]string `yaml:"together,omitempty"`
	// Scorecard sets the learner scorecard by hand.
	Scorecard ScorecardSettings `yaml:"scorecard,omitempty"`
	// Tune is the number of settings of boosting to try; 0: its defaults.
	Tune int `yaml:"tune,omitempty"`
	// Refit fits the winner again on all rows, settings fixed, after it was judged.
	Refit bool `yaml:"refit,omitempty"`
	// Backtest is the number of windows before the newest in which the learners are
	// judged as they would have done then; 0: 6, where rows are split by time or
	// order, and -1: none.
	Backtest int `yaml:"backtest,omitempty"`
	// Quick leaves out the evidence that takes models of its own: the backtest, the
	// bounds of a regression's weights and what the model learnt.
	Quick bool `yaml:"quick,omitempty"`
	// Prior is the share of positives to expect from now on, if it is not that of
	// the table: the calibration is moved there. 0: as learnt.
	Prior float64 `yaml:"prior,omitempty"`
	// Capacity is how many accounts can be worked each time that all are scored.
	Capacity int `yaml:"capacity,omitempty"`
	// Segments are category columns by whose values the model is judged besides.
	// Default: all of few values.
	Segments []string `yaml:"segments,omitempty"`
	// Questions name what several columns come from, such as one question of a form,
	// so that their importance is told together. A column in none is one of its own.
	Questions map[string][]string `yaml:"questions,omitempty"`
	// Bands are the probabilities from which bands A, B, C ... start, falling; the
	// last is 0. Default: the champion's, or else cut at percentiles 90, 70, 40 and
	// 15 of the rows that judge. Rebands cuts anew although there is a champion.
	Bands   []float64 `yaml:"bands,omitempty,flow"`
	Rebands bool      `yaml:"-"`
	// Surrogate adds to the card one small tree that imitates the winner, for people
	// to read, with how well it does.
	Surrogate bool   `yaml:"surrogate,omitempty"`
	Seed      uint64 `yaml:"seed"`
	// Features is how the rows came from facts, for the artifact to carry; nil of a
	// finished table. See models.Artifact.
	Features []byte `yaml:"-"`
}

// BoostingSettings are settings of the learner boosting given by hand; one that
// is 0 is left to the learner.
type BoostingSettings struct {
	// Trees fixes the number of rounds: none are stopped early.
	Trees int `yaml:"trees,omitempty"`
	// Leaves are the most that a tree has.
	Leaves int `yaml:"leaves,omitempty"`
	// Rate is the share of each tree's step that is taken, above 0, to 1.
	Rate float64 `yaml:"rate,omitempty"`
}

// The most that may be asked for by hand: more is a slip of the pen.
const (
	mostTrees  = 100_000
	mostLeaves = 10_000
)

func (b BoostingSettings) faults() (faults []string) {
	if b.Trees < 0 || b.Trees > mostTrees {
		faults = append(faults, fmt.Sprintf("boosting: trees %d is not between 1 and %d", b.Trees, mostTrees))
	}
	if b.Leaves != 0 && (b.Leaves < 2 || b.Leaves > mostLeaves) {
		faults = append(faults, fmt.Sprintf("boosting: leaves %d is not between 2 and %d", b.Leaves, mostLeaves))
	}
	if b.Rate != 0 && !(b.Rate > 0 && b.Rate <= 1) {
		faults = append(faults, fmt.Sprintf("boosting: rate %v is not above 0 and at most 1", b.Rate))
	}
	return faults
}

// Kinds of split.
const (
	SplitTime  = "time"
	SplitOrder = "order"
	SplitGroup = "group"
)

// Names of the learners.
const (
	scorecard = "scorecard"
	logistic  = "logistic"
	elastic   = "elastic"
	cart      = "cart"
	additive  = "additive"
	boosting  = "boosting"
)

// LearnerNames are the learners that a spec may name, the simplest first.
func LearnerNames() []string { return []string{scorecard, logistic, elastic, cart, additive, boosting} }

// parsePenalty reads Spec.Penalty as logistic regression takes it: below 0 is none.
func parsePenalty(s string) (float64, error) {
	switch s {
	case "":
		return 1, nil
	case "none":
		return -1, nil
	}
	x, ok := datasets.ParseNumber(s)
	if !ok || !(x > 0 && x <= 1e9) {
		return 0, fmt.Errorf("penalty %q is neither none nor a number above 0 and at most 1e9", s)
	}
	return x, nil
}

// withDefaults fills what was left out.
func (s Spec) withDefaults() Spec {
	if s.Split == "" {
		s.Split = SplitGroup
		if s.Time != "" {
			s.Split = SplitTime
		}
	}
	if s.Holdout == 0 {
		s.Holdout = 0.2
	}
	if len(s.Learners) == 0 {
		s.Learners = []string{logistic, boosting}
	}
	return s
}

// Validate lists every fault of the spec at once.
func (s Spec) Validate() error {
	s = s.withDefaults()
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if err := models.ValidName(s.Name); err != nil {
		faults = append(faults, err)
	}
	if s.Label == "" {
		fault("no label: name the column of the outcome and its positive value (--label Churn=Yes)")
	}
	named := map[string]string{}
	for _, c := range [][2]string{{"id", s.ID}, {"time", s.Time}, {"label", s.Label}, {"weight", s.Weight}} {
		if c[1] == "" {
			continue
		}
		if other, taken := named[c[1]]; taken {
			fault("column %q cannot be both %s and %s", c[1], other, c[0])
		}
		named[c[1]] = c[0]
	}
	for _, c := range s.Drop {
		if role, ok := named[c]; ok {
			fault("column %q is the %s and cannot be dropped", c, role)
		}
	}
	if s.Value != "" && (s.Value == s.Label || s.Value == s.ID || s.Value == s.Time || s.Value == s.Weight) {
		fault("column %q cannot be the value and the %s", s.Value, named[s.Value])
	}
	switch s.Split {
	case SplitTime:
		if s.Time == "" {
			fault("split %q needs a time column (--time)", s.Split)
		}
	case SplitOrder, SplitGroup:
	default:
		fault("unknown split %q: use time, order or group", s.Split)
	}
	if !(s.Holdout >= 0.05 && s.Holdout <= 0.5) {
		fault("holdout %v is not between 0.05 and 0.5", s.Holdout)
	}
	if s.Horizon < 0 {
		fault("horizon_days %d is negative", s.Horizon)
	}
	for _, f := range s.columnFaults(named) {
		fault("%s", f)
	}
	if s.Backtest < -1 || s.Backtest > mostWindows {
		fault("backtest %d is not between 1 and %d windows (-1: none)", s.Backtest, mostWindows)
	}
	if s.Prior != 0 && !(s.Prior > 0 && s.Prior < 1) {
		fault("prior %v is not between 0 and 1", s.Prior)
	}
	if s.Capacity < 0 {
		fault("capacity %d is negative", s.Capacity)
	}
	for i, from := range s.Bands {
		if !(from >= 0 && from <= 1) || (i > 0 && from >= s.Bands[i-1]) || (i == len(s.Bands)-1 && from != 0) || i >= len(bandNames) {
			fault("bands %v: up to %d probabilities, each lower than the one before, the last 0", s.Bands, len(bandNames))
			break
		}
	}
	for i, l := range s.Learners {
		if !slices.Contains(LearnerNames(), l) {
			fault("unknown learner %q: use %s", l, strings.Join(LearnerNames(), ", "))
		}
		if slices.Contains(s.Learners[:i], l) {
			fault("learner %q is named twice", l)
		}
	}
	for _, f := range s.Boosting.faults() {
		fault("%s", f)
	}
	if s.Tune < 0 || s.Tune > mostTrials {
		fault("tune %d is not between 1 and %d trials", s.Tune, mostTrials)
	}
	if s.Tune != 0 && !slices.Contains(s.Learners, boosting) {
		fault("tuning is for the learner boosting, which is not among %s: add it or do not tune", strings.Join(s.Learners, ", "))
	}
	if s.Tune != 0 && s.Boosting.Trees != 0 {
		fault("tuning finds the number of trees by held-out rows: leave out either trees or tuning")
	}
	if len(s.Together) > 0 && !slices.Contains(s.Learners, boosting) {
		fault("together is for the learner boosting, which is not among %s: add it or leave it out", strings.Join(s.Learners, ", "))
	}
	if len(s.Monotone) > 0 && !slices.Contains(s.Learners, boosting) && !slices.Contains(s.Learners, additive) {
		fault("monotone is for the learners boosting and additive, which are not among %s: add one or leave it out", strings.Join(s.Learners, ", "))
	}
	if (len(s.Scorecard.Table) > 0 || s.Scorecard.Prior != "") && !slices.Contains(s.Learners, scorecard) {
		fault("a scorecard by hand or a prior one is for the learner scorecard, which is not among %s: add it or leave it out", strings.Join(s.Learners, ", "))
	}
	if s.Backtest > 0 && s.Split == SplitGroup {
		fault("a backtest follows time: split by time or order, or leave backtest out")
	}
	if _, err := parsePenalty(s.Penalty); err != nil {
		faults = append(faults, err)
	}
	if s.Penalty != "" && !slices.Contains(s.Learners, logistic) {
		fault("penalty is of the learner logistic, which is not among %s: add it or leave it out", strings.Join(s.Learners, ", "))
	}
	if s.Boosting != (BoostingSettings{}) && !slices.Contains(s.Learners, boosting) {
		fault("trees, leaves and rate are of the learner boosting, which is not among %s: add it or leave them out", strings.Join(s.Learners, ", "))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrSpec, errors.Join(faults...))
	}
	return nil
}

// mostWindows bounds a backtest.
const mostWindows = 60

// columnFaults are faults of what the spec says of single columns; named has the
// columns with a role.
func (s Spec) columnFaults(named map[string]string) (faults []string) {
	usable := func(where, c string) {
		if role, ok := named[c]; ok {
			faults = append(faults, fmt.Sprintf("%s: column %q is the %s and is not learnt from", where, c, role))
		} else if slices.Contains(s.Drop, c) {
			faults = append(faults, fmt.Sprintf("%s: column %q is dropped", where, c))
		}
	}
	for _, c := range slices.Sorted(maps.Keys(s.Leaks)) {
		usable("leaks", c)
		if strings.TrimSpace(s.Leaks[c]) == "" {
			faults = append(faults, fmt.Sprintf("leaks: say why column %q knows nothing of the outcome", c))
		}
	}
	for _, c := range slices.Sorted(maps.Keys(s.Monotone)) {
		usable("monotone", c)
		if way := s.Monotone[c]; way != rising && way != falling {
			faults = append(faults, fmt.Sprintf("monotone: column %q is %q: use %s or %s", c, way, rising, falling))
		}
	}
	for i, group := range s.Together {
		if len(group) < 2 {
			faults = append(faults, fmt.Sprintf("together: group %d has %d columns: name two or more", i+1, len(group)))
		}
		for _, c := range group {
			usable("together", c)
		}
	}
	asked := map[string]string{}
	for _, q := range slices.Sorted(maps.Keys(s.Questions)) {
		for _, c := range s.Questions[q] {
			usable("questions", c)
			if other, ok := asked[c]; ok {
				faults = append(faults, fmt.Sprintf("questions: column %q is of %q and of %q", c, other, q))
			}
			asked[c] = q
		}
	}
	return faults
}

// asked are the columns of all questions.
func (s Spec) asked() (columns []string) {
	for _, q := range slices.Sorted(maps.Keys(s.Questions)) {
		columns = append(columns, s.Questions[q]...)
	}
	return columns
}

// The ways of Spec.Monotone.
const (
	rising  = "rising"
	falling = "falling"
)

// columnwise refuses what needs a whole table in memory.
func (s Spec) columnwise() error {
	var faults []error
	for _, l := range s.Learners {
		if l != boosting && l != additive {
			faults = append(faults, fmt.Errorf("the learner %s needs the whole table in memory: learn by boosting or additive alone, or allow more memory", l))
		}
	}
	if s.Surrogate {
		faults = append(faults, errors.New("a surrogate needs the whole table in memory: leave it out, or allow more memory"))
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrSpec, errors.Join(faults...))
	}
	return nil
}

// ReadKinds are the kinds to hold a file to when it is read for this spec: the
// id is kept letter by letter, the moment is a time.
func (s Spec) ReadKinds() map[string]datasets.Kind {
	kinds := make(map[string]datasets.Kind, len(s.Types)+2)
	for c, k := range s.Types {
		kinds[c] = k
	}
	if s.ID != "" {
		kinds[s.ID] = datasets.Text
	}
	if s.Time != "" {
		kinds[s.Time] = datasets.Time
	}
	if s.Value != "" {
		kinds[s.Value] = datasets.Number
	}
	if s.Weight != "" {
		kinds[s.Weight] = datasets.Number
	}
	return kinds
}

// YAML writes the spec as the artifact keeps it: the same spec, the same bytes.
// Where the table came from is not part of it; the manifest has its fingerprint.
func (s Spec) YAML() ([]byte, error) {
	s = s.withDefaults()
	s.Drop = slices.Clone(s.Drop)
	sort.Strings(s.Drop)
	return yaml.Marshal(s)
}

// ParseSpec reads what YAML wrote.
func ParseSpec(b []byte) (Spec, error) {
	var s Spec
	if err := yaml.UnmarshalWithOptions(b, &s, yaml.Strict()); err != nil {
		return s, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	return s, s.Validate()
}

func (s Spec) horizon() time.Duration { return time.Duration(s.Horizon) * 24 * time.Hour }
