package evaluate_test

import (
	"fmt"

	"propensity/models/evaluate"
)

func ExampleJudge() {
	y := []float64{0, 0, 1, 0, 1, 1, 0, 0}
	raw := []float64{-2.2, -0.4, 0.3, -1.4, 1.5, -0.4, 0.3, -0.8}
	p := []float64{0.1, 0.4, 0.57, 0.2, 0.82, 0.4, 0.57, 0.31}
	report, err := evaluate.Judge(y, raw, p, nil, nil, evaluate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("ROC AUC %.3f, log loss %.3f against %.3f of the base rate\n", report.ROCAUC.Value, report.LogLoss.Value, report.BaseLogLoss)
	// Output: ROC AUC 0.867, log loss 0.466 against 0.662 of the base rate
}

func ExampleRanking() {
	ranking, err := evaluate.NewRanking([]float64{-1.2, 0.4, 0.4, 2.1})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ranking.Percentile(-3), ranking.Percentile(0.4), ranking.Percentile(1))
	// Output: 0 50 75
}
