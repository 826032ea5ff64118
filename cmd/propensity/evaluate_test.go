package main

import (
	"testing"
)

const schemaOfAccounts = `{"label": "churned", "positive": "Yes", "numeric": ["logins", "seats", "mrr"], "categorical": ["plan", "annual"], "drop": ["mrr"],
	"variants": {"with money": []}}`

func TestEvaluate(t *testing.T) {
	inFolder(t)
	write(t, "set/table.csv", accountsCSV(600, 1))
	write(t, "set/schema.json", schemaOfAccounts)
	args := []string{"evaluate", "--cv", "--learner", "logistic,cart", "--folds", "rule"}
	s := must(t, exitDone, append(args, "set")...)
	mentions(t, s.out, "set/table.csv: 600 rows", "positive, 5 folds", "ROC AUC", "logistic  0.", "cart")

	byFolder := decode[[]crossValidated](t, must(t, exitDone, append(args, "set", "--json")...).out)
	byFile := decode[[]crossValidated](t, must(t, exitDone, append(args, "--data", "set/table.csv", "--schema", "set/schema.json", "--json")...).out)
	more := decode[[]crossValidated](t, must(t, exitDone, append(args, "set", "--json", "--variant", "with money")...).out)
	a, b, c := byFolder[0], byFile[0], more[0]
	if len(a.Learners) != 2 || a.Learners[0].Learner != "logistic" || a.Learners[0].ROCAUC != b.Learners[0].ROCAUC || a.Learners[0].ROCAUC < 0.7 || a.Learners[0].Rows != 600 {
		t.Errorf("%+v\n%+v", a, b)
	}
	if c.Variant != "with money" || c.Learners[0].LogLoss == a.Learners[0].LogLoss {
		t.Errorf("%+v", c)
	}
}

func TestEvaluateBadInput(t *testing.T) {
	inFolder(t)
	write(t, "table.csv", accountsCSV(600, 1))
	for _, c := range []struct {
		code         int
		schema, args string
		words        []string
	}{
		{exitUsage, `{"label": "churned"`, "", []string{"schema.json", "schema"}},
		{exitUsage, `{"label": "churned", "colour": 1}`, "", []string{"schema.json", "colour"}},
		{exitUsage, `{"label": "churned"}`, "", []string{"schema.json", "columns"}},
		{exitFailed, `{"label": "left", "numeric": ["logins"]}`, "", []string{"table.csv", `"left"`, "no such column"}},
		{exitFailed, `{"label": "churned", "numeric": ["plan"]}`, "", []string{"table.csv:2", `"plan"`, "number"}},
		{exitFailed, `{"label": "churned", "numeric": ["logins"]}`, "", []string{"table.csv", `"No"`, `"Yes"`, "which is positive"}},
		{exitUsage, schemaOfAccounts, "more", []string{`"more"`, "with money"}},
	} {
		write(t, "schema.json", c.schema)
		args := []string{"evaluate", "--cv", "--data", "table.csv", "--schema", "schema.json"}
		if c.args != "" {
			args = append(args, "--variant", c.args)
		}
		mentions(t, must(t, c.code, args...).err, c.words...)
	}
	write(t, "schema.json", schemaOfAccounts)
	mentions(t, must(t, exitUsage, "evaluate", "--cv", "--data", "table.csv", "--schema", "schema.json", "--folds", "magic").err, `"magic"`, "rule or group")
	mentions(t, must(t, exitUsage, "evaluate", "--cv", "--data", "table.csv", "--schema", "schema.json", "--learner", "magic").err, `"magic"`, "logistic")
}
