// Command leaves scores one row at a time with github.com/dmitryikh/leaves.
//
//	leaves lightgbm_v3.txt rows.f64
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/dmitryikh/leaves"
)

const columns = 40

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: leaves MODEL ROWS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "leaves:", err)
		os.Exit(1)
	}
}

func run(model, path string) error {
	e, err := leaves.LGEnsembleFromFile(model, true)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	x := make([]float64, len(b)/8)
	for i := range x {
		x[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	rows := len(x) / columns
	if rows == 0 {
		return fmt.Errorf("%s has no rows", path)
	}
	took := make([]float64, 0, 5*rows)
	var begin time.Time
	for round := range 6 { // the first does not count
		if round == 1 {
			took, begin = took[:0], time.Now()
		}
		for i := range rows {
			start := time.Now()
			e.PredictSingle(x[i*columns:(i+1)*columns], 0)
			took = append(took, float64(time.Since(start).Nanoseconds())/1e3)
		}
	}
	mean := float64(time.Since(begin).Nanoseconds()) / 1e3 / float64(len(took))
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"min_us": took[0], "p50_us": took[len(took)/2], "p99_us": took[len(took)*99/100], "mean_us": mean,
	})
}
