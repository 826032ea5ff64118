package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"propensity/datasets"
	"propensity/train"
	"propensity/train/scorecard"
)

// When a new version becomes champion.
const (
	promoteGate   = "gate"
	promoteAlways = "always"
	promoteNever  = "never"
)

func promoteModes() []string { return []string{promoteGate, promoteAlways, promoteNever} }

// moreText is what flags say of a model in a form that is still to be parsed.
type moreText struct{ monotone, together, questions []string }

func (t *moreText) describe(f *pflag.FlagSet) {
	f.StringSliceVar(&t.monotone, "monotone", nil, "number columns in which the probability may only rise or fall: `column=rising` or column=falling; only boosting and additive keep to it")
	f.StringArrayVar(&t.together, "together", nil, "`columns`, with commas, that may act together in boosting; one flag a group, and a column in none acts alone")
	f.StringArrayVar(&t.questions, "questions", nil, "columns that come from one question: `question=column,column`")
}

func (t *moreText) parse(s *train.Spec) (err error) {
	if s.Monotone, err = pairs("monotone", t.monotone); err != nil {
		return err
	}
	for _, group := range t.together {
		s.Together = append(s.Together, strings.Split(group, ","))
	}
	questions, err := pairs("questions", t.questions)
	if len(questions) > 0 {
		s.Questions = map[string][]string{}
	}
	for q, columns := range questions {
		s.Questions[q] = strings.Split(columns, ",")
	}
	return err
}

// pairs reads name=text, each name once.
func pairs(flag string, texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if _, twice := out[name]; !ok || name == "" || twice {
			return nil, fmt.Errorf("%w: --%s %q: write name=text, each name once", errUsage, flag, text)
		}
		out[name] = value
	}
	return out, nil
}

// readPoints reads the scorecard that was edited by hand, if there is one.
func (in *source) readPoints() error {
	if in.points == "" {
		return nil
	}
	f, err := os.Open(in.points)
	if err != nil {
		return err
	}
	defer f.Close()
	if in.spec.Scorecard.Table, err = scorecard.Read(f); err != nil {
		return fmt.Errorf("%s: %w", in.points, err)
	}
	return nil
}

// parseLabel splits "Churn=Yes" at its last =; without one the value is to be found.
func parseLabel(s string) (column, positive string) {
	if i := strings.LastIndexByte(s, '='); i > 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

func parseTypes(pairs []string) (map[string]datasets.Kind, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	out := make(map[string]datasets.Kind, len(pairs))
	for _, p := range pairs {
		i := strings.LastIndexByte(p, '=')
		if i <= 0 {
			return nil, fmt.Errorf("%w: --types %q: write column=type", errUsage, p)
		}
		k, err := datasets.ParseKind(p[i+1:])
		if err != nil {
			return nil, fmt.Errorf("%w: --types %q: %w", errUsage, p, err)
		}
		out[p[:i]] = k
	}
	return out, nil
}
