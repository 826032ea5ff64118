package expr

import (
	"cmp"
	"math"
	"slices"

	"propensity/datasets"
)

// The times that four-digit years can spell, and the longest length between two.
const (
	earliest   = -62167219200000000
	latest     = 253402300799999999
	mostMicros = latest - earliest
	microsADay = 86_400_000_000
)

// constantOf gives the same value for every row.
func constantOf[T any](v T, size int) func(from, to int) []T {
	values := slices.Repeat([]T{v}, size)
	return func(from, to int) []T { return values[:to-from] }
}

// choose takes x where the condition holds, y where it does not, and none where
// that is unknown.
func choose[T any](condition func(from, to int) []truth, x, y func(from, to int) []T, size int, none T) func(from, to int) []T {
	out := make([]T, size)
	return func(from, to int) []T {
		out, x, y := out[:to-from], x(from, to), y(from, to)
		for i, c := range condition(from, to) {
			switch c {
			case yes:
				out[i] = x[i]
			case no:
				out[i] = y[i]
			default:
				out[i] = none
			}
		}
		return out
	}
}

func sortedOf[T cmp.Ordered](nodes []*Node, value func(*Node) T) []T {
	out := make([]T, len(nodes))
	for i, n := range nodes {
		out[i] = value(n)
	}
	slices.Sort(out)
	return out
}

// The tables of truth, by 4 times the left plus the right.

func andTable() [16]truth {
	return [16]truth{no, no, no, no, no, yes, unknown, unknown, no, unknown, unknown, unknown}
}

func orTable() [16]truth {
	return [16]truth{no, yes, unknown, unknown, yes, yes, yes, yes, unknown, yes, unknown, unknown}
}

func equalTable() [16]truth {
	return [16]truth{yes, no, unknown, unknown, no, yes, unknown, unknown, unknown, unknown, unknown, unknown}
}

func unequalTable() [16]truth {
	return [16]truth{no, yes, unknown, unknown, yes, no, unknown, unknown, unknown, unknown, unknown, unknown}
}

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// holds reads an order as the answer of a comparison.
func holds(op Op, order int) bool {
	switch op {
	case OpEq:
		return order == 0
	case OpNe:
		return order != 0
	case OpLt:
		return order < 0
	case OpLe:
		return order <= 0
	case OpGt:
		return order > 0
	default:
		return order >= 0
	}
}

func truthsOf(out []truth, x []float64) []truth {
	out = out[:len(x)]
	for i, v := range x {
		t := truthOf(v != 0)
		if v != v {
			t = unknown
		}
		out[i] = t
	}
	return out
}

func negate(out, x []truth) []truth {
	out = out[:len(x)]
	table := [4]truth{yes, no, unknown, unknown}
	for i, v := range x {
		out[i] = table[v&3]
	}
	return out
}

func compareNumbers(op Op, out []truth, x, y []float64) []truth {
	out, y = out[:len(x)], y[:len(x)]
	switch op {
	case OpEq:
		for i, v := range x {
			out[i] = truthOf(v == y[i])
		}
	case OpNe:
		for i, v := range x {
			out[i] = truthOf(v != y[i])
		}
	case OpLt:
		for i, v := range x {
			out[i] = truthOf(v < y[i])
		}
	case OpLe:
		for i, v := range x {
			out[i] = truthOf(v <= y[i])
		}
	case OpGt:
		for i, v := range x {
			out[i] = truthOf(v > y[i])
		}
	default:
		for i, v := range x {
			out[i] = truthOf(v >= y[i])
		}
	}
	for i, v := range x {
		if v != v || y[i] != y[i] {
			out[i] = unknown
		}
	}
	return out
}

func compareTimes(op Op, out []truth, x, y []int64) []truth {
	out, y = out[:len(x)], y[:len(x)]
	for i, v := range x {
		t := truthOf(holds(op, cmp.Compare(v, y[i])))
		if v == datasets.MissingTime || y[i] == datasets.MissingTime {
			t = unknown
		}
		out[i] = t
	}
	return out
}

func compareTexts(op Op, out []truth, x, y texts, from, to int) []truth {
	out = out[:to-from]
	left, right := x.codes(from, to), y.codes(from, to)
	for i, k := range left {
		if k < 0 || right[i] < 0 {
			out[i] = unknown
			continue
		}
		out[i] = truthOf(holds(op, cmp.Compare(x.values[k], y.values[right[i]])))
	}
	return out
}

func amongNumbers(out []truth, x, values []float64) []truth {
	out = out[:len(x)]
	for i, v := range x {
		if v != v {
			out[i] = unknown
			continue
		}
		_, found := slices.BinarySearch(values, v)
		out[i] = truthOf(found)
	}
	return out
}

func amongTimes(out []truth, x, values []int64) []truth {
	out = out[:len(x)]
	for i, v := range x {
		if v == datasets.MissingTime {
			out[i] = unknown
			continue
		}
		_, found := slices.BinarySearch(values, v)
		out[i] = truthOf(found)
	}
	return out
}

// arithmetic of two numbers; NaN makes NaN.
func arithmetic(op Op, out, x, y []float64) []float64 {
	out, y = out[:len(x)], y[:len(x)]
	switch op {
	case OpAdd:
		for i, v := range x {
			out[i] = v + y[i]
		}
	case OpSub:
		for i, v := range x {
			out[i] = v - y[i]
		}
	case OpMul:
		for i, v := range x {
			out[i] = v * y[i]
		}
	case OpDiv:
		for i, v := range x {
			if out[i] = v / y[i]; y[i] == 0 {
				out[i] = math.NaN()
			}
		}
	case OpMin:
		for i, v := range x {
			out[i] = min(v, y[i])
		}
	default:
		for i, v := range x {
			out[i] = max(v, y[i])
		}
	}
	return out
}

// function of a number.
func function(op Op, out, x []float64) []float64 {
	out = out[:len(x)]
	for i, v := range x {
		switch op {
		case OpNeg:
			v = -v
		case OpAbs:
			v = math.Abs(v)
		case OpFloor:
			v = math.Floor(v)
		case OpLog:
			if v = math.Log(v); math.IsInf(v, -1) {
				v = math.NaN()
			}
		default: // OpLn1p
			if v = math.Log1p(v); math.IsInf(v, -1) {
				v = math.NaN()
			}
		}
		out[i] = v
	}
	return out
}

// shift adds or subtracts; what is beyond the bounds is unknown.
func shift(op Op, out, x, y []int64, least, most int64) []int64 {
	out, y = out[:len(x)], y[:len(x)]
	for i, v := range x {
		w := y[i]
		if v == datasets.MissingTime || w == datasets.MissingTime {
			out[i] = datasets.MissingTime
			continue
		}
		if op == OpSub {
			w = -w
		}
		sum := v + w
		if wrapped := (v^sum)&(w^sum) < 0; wrapped || sum < least || sum > most {
			sum = datasets.MissingTime
		}
		out[i] = sum
	}
	return out
}

func daysOf(out []float64, x []int64) []float64 {
	out = out[:len(x)]
	for i, v := range x {
		if out[i] = float64(v) / microsADay; v == datasets.MissingTime {
			out[i] = math.NaN()
		}
	}
	return out
}
