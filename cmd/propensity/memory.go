package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"propensity/datasets"
	"propensity/features/build"
)

// frugal keeps garbage from adding much to so many bytes of a table, of so many
// rows and columns, until undo is called. Columns are few and hold no pointers, so
// that collecting often costs little; small tables are left alone. Of a large one
// the limit makes what reading and preparing let go return to the system at once;
// it must not be lower than what learning needs, or collecting would never end.
func frugal(held int64, rows, columns int) (undo func()) {
	const garbage, large = 16 << 20, 192 << 20
	if held <= garbage {
		return func() {}
	}
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(max(5, min(percent, int(100*garbage/held))))
	limit := debug.SetMemoryLimit(-1)
	if held > large {
		const perRow = 90 // labels, accounts, folds and scores; and boosting has a byte a cell
		debug.SetMemoryLimit(min(limit, held+int64(rows)*int64(columns+perRow)+garbage))
	}
	return func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
		runtime.GC() // the table goes before anything else comes
	}
}

// bytesOf is what the cells of a table take in memory.
func bytesOf(t *datasets.Table) int64 {
	n := 0
	for i := range t.Columns {
		c := &t.Columns[i]
		n += 8*len(c.Numbers) + 8*len(c.Times) + 4*len(c.Codes)
	}
	return int64(n)
}

// cellBytes is what a cell of a table takes in memory, at most.
const cellBytes = 8

// apart opens a Parquet table that is larger than the limit to be read by columns;
// nil if it is to be read whole.
func apart(in source, o datasets.ReadOptions) (*datasets.Columns, error) {
	if in.memory == 0 || build.IsMade(in.data) { // what facts are made into is read whole
		return nil, nil
	}
	if in.data == "-" {
		return nil, fmt.Errorf("%w: --memory: stdin can only be read whole; name a file", errUsage)
	}
	columns, err := datasets.OpenColumns(in.data, o)
	if errors.Is(err, datasets.ErrEncoding) {
		info, err := os.Stat(in.data)
		if err == nil && info.Size() > in.memory {
			err = fmt.Errorf("%w: %s has %s, more than --memory, and only a Parquet file can be learnt from column by column: write it as Parquet, or allow more memory", errUsage, in.data, bytesText(info.Size()))
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if int64(columns.Rows())*int64(len(columns.Names()))*cellBytes > in.memory {
		return columns, nil
	}
	return nil, columns.Close()
}

// units of memory, the longest names first.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}}

// parseBytes reads the amount of --memory, such as 512MB; none is 0.
func parseBytes(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := parseSize(s)
	if err != nil {
		return 0, fmt.Errorf("%w: --memory %q: %w", errUsage, s, err)
	}
	return n, nil
}

// parseSize reads an amount of bytes with its unit.
func parseSize(s string) (int64, error) {
	for _, u := range units {
		if number, ok := strings.CutSuffix(s, u.name); ok {
			x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if bytes := x * float64(u.bytes); err == nil && bytes >= 1 && bytes < math.MaxInt64 {
				return int64(bytes), nil
			}
			break
		}
	}
	return 0, errors.New("write an amount such as 512MB, 4GB or 2GiB")
}

// sizeText spells an amount in the largest unit of which it is a whole number.
func sizeText(n int64) string {
	best := units[len(units)-1] // bytes
	for _, u := range units {
		if n >= u.bytes && n%u.bytes == 0 && u.bytes > best.bytes {
			best = u
		}
	}
	return strconv.FormatInt(n/best.bytes, 10) + best.name
}

func bytesText(n int64) string {
	for _, name := range []string{"GB", "MB", "KB"} {
		for _, u := range units {
			if u.name == name && n >= u.bytes {
				return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), name)
			}
		}
	}
	return fmt.Sprintf("%d B", n)
}
