package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"propensity/datasets"
	"propensity/models/convert"
	"propensity/models/tree"
)

// measureCommand is our side of the comparisons within a process: it does one
// thing once and prints one line of figures, as the peers' scripts do.
func measureCommand() *cobra.Command {
	return &cobra.Command{
		Use: "measure WHAT ARG...", Hidden: true, Args: cobra.MinimumNArgs(2), DisableFlagParsing: true,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := measureOnce(c.Context(), args[0], args[1:])
			if err != nil {
				return &failure{err}
			}
			return json.NewEncoder(c.OutOrStdout()).Encode(f)
		},
	}
}

func measureOnce(ctx context.Context, what string, args []string) (measures, error) {
	wants := map[string]int{"table": 2, "train": 2, "model": 2, "row": 2, "batch": 2, "sizes": 2, "shap": 2, "read": 1, "logistic": 3, "online": 3, "online-server": 2, "http": 4}
	if n, known := wants[what]; !known || len(args) < n {
		return nil, fmt.Errorf("measure %s %q: no such thing, or too few arguments", what, args)
	}
	switch what {
	case "table":
		rows, err := strconv.Atoi(args[0])
		if err != nil {
			return nil, err
		}
		return measures{}, makeTable(ctx, rows, args[1:]...)
	case "train":
		return measureTrain(ctx, args[0], args[1])
	case "model":
		return measures{}, makeModel(ctx, args[0], args[1])
	case "logistic":
		return measureLogistic(ctx, args[0], args[1], args[2])
	case "online":
		return measureOnline(ctx, args[0], args[1], args[2])
	case "online-server":
		return serveOnline(ctx, args[0], args[1])
	case "http":
		return measureHTTP(ctx, args[0], args[1], args[2], args[3:])
	case "row":
		return measureRow(args[0], args[1], args[2:])
	case "batch":
		return measureBatch(args[0], args[1])
	case "sizes":
		return measureSizes(args[0], args[1])
	case "shap":
		return measureShap(args[0], args[1], args[2:])
	default:
		return measureRead(args[0])
	}
}

// loadModel reads LightGBM's text, or our own trees as an Arrow file.
func loadModel(path string) (*tree.Ensemble, error) {
	if filepath.Ext(path) == ".arrow" {
		t, err := datasets.Read(path, datasets.ReadOptions{})
		if err != nil {
			return nil, err
		}
		return tree.FromTable(t, make([]int, width))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	m, err := convert.ReadLightGBM(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if n := m.Ensemble.Features(); n != width {
		return nil, fmt.Errorf("%s: %d features, want the %d of the table", path, n, width)
	}
	return m.Ensemble, nil
}

// width is the number of columns besides the label.
const width = 40

// coded are the columns besides the label, categories as their codes: what the
// imported models learnt from.
func coded(t *datasets.Table) ([][]float64, error) {
	var out [][]float64
	for i := range t.Columns {
		c := &t.Columns[i]
		switch {
		case c.Name == "y":
			continue
		case c.Kind != datasets.Category:
			out = append(out, c.Numbers)
			continue
		}
		codes := make([]float64, len(c.Values))
		for k, text := range c.Values {
			_, number, _ := strings.Cut(text, "_v")
			code, err := strconv.Atoi(number)
			if err != nil {
				return nil, fmt.Errorf("column %q: %q is no level of the table", c.Name, text)
			}
			codes[k] = float64(code)
		}
		xs := make([]float64, len(c.Codes))
		for r, k := range c.Codes {
			xs[r] = codes[k]
		}
		out = append(out, xs)
	}
	if len(out) != width {
		return nil, fmt.Errorf("%d columns besides y, want %d", len(out), width)
	}
	return out, nil
}

// readCoded reads a file of the table so.
func readCoded(path string) (columns [][]float64, label []float64, err error) {
	t, err := datasets.Read(path, datasets.ReadOptions{})
	if err != nil {
		return nil, nil, err
	}
	y := t.Column("y")
	if y == nil {
		return nil, nil, fmt.Errorf("%s has no column y", path)
	}
	columns, err = coded(t)
	return columns, y.Numbers, err
}

// readFloats reads a file of float64 in the machine's order of bytes, as numpy writes it.
func readFloats(path string) ([]float64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	x := make([]float64, len(b)/8)
	for i := range x {
		x[i] = math.Float64frombits(binary.NativeEndian.Uint64(b[8*i:]))
	}
	if len(x) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return x, nil
}

func writeFloats(path string, x []float64) error {
	b := make([]byte, 0, 8*len(x))
	for _, v := range x {
		b = binary.NativeEndian.AppendUint64(b, math.Float64bits(v))
	}
	return os.WriteFile(path, b, 0o644)
}

// readRows reads rows one after the other.
func readRows(path string) ([][]float64, error) {
	x, err := readFloats(path)
	if err != nil {
		return nil, err
	}
	if len(x)%width != 0 {
		return nil, fmt.Errorf("%s: %d numbers are no rows of %d", path, len(x), width)
	}
	return slices.Collect(slices.Chunk(x, width)), nil
}

// latencies describes single calls over the rows in turn, in microseconds. The
// first round over the rows does not count.
func latencies(rows [][]float64, rounds int, call func(x []float64)) measures {
	for _, x := range rows {
		call(x)
	}
	took := make([]float64, 0, rounds*len(rows))
	begin := time.Now()
	for range rounds {
		for _, x := range rows {
			start := time.Now()
			call(x)
			took = append(took, micros(start))
		}
	}
	mean := micros(begin) / float64(len(took))
	slices.Sort(took)
	return measures{"min_us": took[0], "p50_us": took[len(took)/2], "p99_us": took[len(took)*99/100], "mean_us": mean}
}

func micros(start time.Time) float64 { return float64(time.Since(start).Nanoseconds()) / 1e3 }

// farthest is the largest difference between two lists; of different lengths is
// an error.
func farthest(got, want []float64) (float64, error) {
	if len(got) != len(want) {
		return 0, errors.New("the lists to compare are of different lengths")
	}
	var most float64
	for i := range got {
		if d := math.Abs(got[i] - want[i]); d > most || d != d {
			most = d
		}
	}
	return most, nil
}
