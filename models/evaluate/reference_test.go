package evaluate

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"
)

type reference struct {
	Cases []struct {
		Y                []float64 `json:"y"`
		Raw              []float64 `json:"raw"`
		P                []float64 `json:"p"`
		ROCAUC           float64   `json:"roc_auc"`
		PRAUC            float64   `json:"pr_auc"`
		LogLoss          float64   `json:"log_loss"`
		Brier            float64   `json:"brier"`
		CalibrationError float64   `json:"calibration_error"`
		PrecisionTop10   float64   `json:"precision_top_10"`
	} `json:"cases"`
	Student map[string]float64 `json:"student"`
}

func readReference(t *testing.T) reference {
	t.Helper()
	text, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-12*max(1, math.Abs(want))) {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func TestScikitLearn(t *testing.T) {
	r := readReference(t)
	if len(r.Cases) < 5 {
		t.Fatalf("%d cases", len(r.Cases))
	}
	for i, c := range r.Cases {
		name := "case " + strconv.Itoa(i) + ": "
		near(t, name+"ROC AUC", ROCAUC(c.Y, c.Raw), c.ROCAUC)
		near(t, name+"PR AUC", PRAUC(c.Y, c.Raw), c.PRAUC)
		near(t, name+"log loss", LogLoss(c.Y, c.P), c.LogLoss)
		near(t, name+"Brier", Brier(c.Y, c.P), c.Brier)
		near(t, name+"calibration error", CalibrationError(c.Y, c.P, 10), c.CalibrationError)
		near(t, name+"precision of the top tenth", PrecisionAt(c.Y, c.Raw, 0.1), c.PrecisionTop10)

		report, err := Judge(c.Y, c.Raw, c.P, nil, nil, Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		near(t, name+"reported ROC AUC", report.ROCAUC.Value, c.ROCAUC)
		near(t, name+"reported PR AUC", report.PRAUC.Value, c.PRAUC)
		near(t, name+"reported log loss", report.LogLoss.Value, c.LogLoss)
		near(t, name+"reported Brier", report.Brier.Value, c.Brier)
		near(t, name+"reported calibration error", report.CalibrationError.Value, c.CalibrationError)
		near(t, name+"reported top tenth", report.PrecisionTop10.Value, c.PrecisionTop10)
	}
}

func TestStudent(t *testing.T) {
	for degrees, want := range readReference(t).Student {
		k, err := strconv.Atoi(degrees)
		if err != nil {
			t.Fatal(err)
		}
		if got := usual().student(k); !(math.Abs(got-want) < 1e-9*want) {
			t.Errorf("student(%d) is %v, want %v", k, got, want)
		}
	}
}
