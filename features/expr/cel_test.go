package expr_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"propensity/datasets"
)

// author writes expressions at random, each for us and for cel-go's own evaluator,
// which lacks a few functions, divides by 0 and has doubles only where the point is
// written.
type author struct{ *rand.Rand }

type written struct{ ours, cel string }

func (a author) join(format string, parts ...written) written {
	var ours, theirs []any
	for _, p := range parts {
		ours, theirs = append(ours, p.ours), append(theirs, p.cel)
	}
	return written{fmt.Sprintf(format, ours...), fmt.Sprintf(format, theirs...)}
}

func same(s string) written { return written{s, s} }

func (a author) pick(options ...string) string { return options[a.IntN(len(options))] }

func (a author) number(depth int) written {
	if depth == 0 || a.IntN(5) == 0 {
		if a.IntN(3) > 0 {
			return same(a.pick("n1", "n2", "n3"))
		}
		if x := a.IntN(7) - 2; a.IntN(2) == 0 {
			return written{fmt.Sprint(x), fmt.Sprintf("%d.0", x)} // whole numbers are numbers
		}
		return same(a.pick("0.5", "-1.5", "2.0", "1e1"))
	}
	x, y := a.number(depth-1), a.number(depth-1)
	switch a.IntN(9) {
	case 0:
		return a.join("(%s + %s)", x, y)
	case 1:
		return a.join("(%s - %s)", x, y)
	case 2:
		return a.join("(%s * %s)", x, y)
	case 3:
		return written{"(" + x.ours + " / " + y.ours + ")", "divided(" + x.cel + ", " + y.cel + ")"}
	case 4:
		return a.join("(-(%s))", x)
	case 5:
		return a.join(a.pick("abs", "floor", "log", "log1p")+"(%s)", x)
	case 6:
		return a.join(a.pick("min", "max")+"(%s, %s)", x, y)
	case 7:
		return a.join("days(%s - %s)", a.time(depth-1), a.time(depth-1))
	}
	return a.join("(%s ? %s : %s)", a.condition(depth-1), x, y)
}

func (a author) text(depth int) written {
	if depth > 0 && a.IntN(3) == 0 {
		return a.join("(%s ? %s : %s)", a.condition(depth-1), a.text(depth-1), a.text(depth-1))
	}
	return same(a.pick("t1", "t2", "t3", `"pro"`, `'free'`, `""`, `"é"`))
}

func (a author) time(depth int) written {
	if depth > 0 && a.IntN(3) == 0 {
		return a.join("(%s "+a.pick("+", "-")+" %s)", a.time(depth-1), a.length(depth-1))
	}
	if depth > 0 && a.IntN(4) == 0 {
		return a.join("(%s ? %s : %s)", a.condition(depth-1), a.time(depth-1), a.time(depth-1))
	}
	return same(a.pick("m1", "m2", "m3", "timestamp('1970-01-01T00:00:00Z')", "timestamp('1970-01-02T12:00:00.5Z')"))
}

func (a author) length(depth int) written {
	if depth > 0 && a.IntN(2) == 0 {
		return a.join("(%s - %s)", a.time(depth-1), a.time(depth-1))
	}
	return same(a.pick("duration('24h')", "duration('90m')", "duration('-0.5s')"))
}

func (a author) condition(depth int) written {
	if depth == 0 || a.IntN(8) == 0 {
		if a.IntN(4) == 0 {
			x := a.pick("b1", "n1", "t1", "m1", "b2")
			return written{"present(" + x + ")", "has_" + x}
		}
		return same(a.pick("b1", "b2", "b3", "true", "false"))
	}
	order := a.pick("==", "!=", "<", "<=", ">", ">=")
	switch a.IntN(11) {
	case 0, 1:
		return a.join("(%s && %s)", a.condition(depth-1), a.condition(depth-1))
	case 2, 3:
		return a.join("(%s || %s)", a.condition(depth-1), a.condition(depth-1))
	case 4:
		return a.join("!(%s)", a.condition(depth-1))
	case 5:
		return a.join("(%s ? %s : %s)", a.condition(depth-1), a.condition(depth-1), a.condition(depth-1))
	case 6:
		return a.join("(%s "+order+" %s)", a.number(depth-1), a.number(depth-1))
	case 7:
		return a.join("(%s "+order+" %s)", a.text(depth-1), a.text(depth-1))
	case 8:
		return a.join("(%s "+order+" %s)", a.time(depth-1), a.time(depth-1))
	case 9:
		switch a.IntN(4) {
		case 0:
			x := a.number(depth - 1)
			return written{x.ours + " in [2, -1.5, 0]", x.cel + " in [2.0, -1.5, 0.0]"}
		case 1:
			return a.join(`%s in ["pro", "", "x"]`, a.text(depth-1))
		case 2:
			return a.join("%s in [timestamp('1970-01-01T00:00:00Z'), timestamp('1970-01-03T00:00:00Z')]", a.time(depth-1))
		}
		return a.join("%s in [true]", a.condition(depth-1))
	}
	return a.join("%s."+a.pick("startsWith", "endsWith", "contains")+"("+a.pick("'pro'", "'e'", "''", "'é'")+")", a.text(depth-1))
}

// oracle is CEL with its library, and the functions that it lacks.
func oracle(t *testing.T) *cel.Env {
	unary := func(f func(x float64) float64) cel.OverloadOpt {
		return cel.UnaryBinding(func(v ref.Val) ref.Val {
			y := f(float64(v.(types.Double)))
			if math.IsNaN(y) || math.IsInf(y, 0) {
				return types.NewErr("unknown")
			}
			return types.Double(y)
		})
	}
	binary := func(f func(x, y float64) float64) cel.OverloadOpt {
		return cel.BinaryBinding(func(v, w ref.Val) ref.Val {
			y := f(float64(v.(types.Double)), float64(w.(types.Double)))
			if math.IsNaN(y) || math.IsInf(y, 0) {
				return types.NewErr("unknown")
			}
			return types.Double(y)
		})
	}
	var options []cel.EnvOption
	for name, f := range map[string]func(x float64) float64{"abs": math.Abs, "floor": math.Floor, "log": math.Log, "log1p": math.Log1p} {
		options = append(options, cel.Function(name, cel.Overload(name+"_", []*cel.Type{cel.DoubleType}, cel.DoubleType, unary(f))))
	}
	for name, f := range map[string]func(x, y float64) float64{"min": math.Min, "max": math.Max, "divided": func(x, y float64) float64 { return x / y }} {
		options = append(options, cel.Function(name, cel.Overload(name+"_", []*cel.Type{cel.DoubleType, cel.DoubleType}, cel.DoubleType, binary(f))))
	}
	options = append(options, cel.Function("days", cel.Overload("days_", []*cel.Type{cel.DurationType}, cel.DoubleType,
		cel.UnaryBinding(func(v ref.Val) ref.Val { return types.Double(float64(v.(types.Duration).Microseconds()) / day) }))))
	for _, i := range []string{"1", "2", "3"} {
		for name, typ := range map[string]*cel.Type{"n": cel.DoubleType, "b": cel.BoolType, "t": cel.StringType, "m": cel.TimestampType} {
			options = append(options, cel.Variable(name+i, typ), cel.Variable("has_"+name+i, cel.BoolType))
		}
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// table makes twelve columns at random, a fifth of them missing.
func (a author) table(rows int) []datasets.Column {
	var out []datasets.Column
	for _, i := range []string{"1", "2", "3"} {
		n, b, m := number("n"+i), boolean("b"+i), instants("m"+i)
		var texts []string
		for range rows {
			n.Numbers = append(n.Numbers, float64(a.IntN(13)-6)/2)
			b.Numbers = append(b.Numbers, float64(a.IntN(2)))
			m.Times = append(m.Times, int64(a.IntN(7)-3)*day/2)
			texts = append(texts, a.pick("pro", "free", "", "prospect", "é", "team"))
			row := len(texts) - 1
			for k := range 4 {
				if a.IntN(5) == 0 {
					switch k {
					case 0:
						n.Numbers[row] = math.NaN()
					case 1:
						b.Numbers[row] = math.NaN()
					case 2:
						m.Times[row] = datasets.MissingTime
					default:
						texts[row] = "-"
					}
				}
			}
		}
		out = append(out, n, b, m, category("t"+i, texts...))
	}
	return out
}

func TestEveryExpressionMeansWhatItMeansToCEL(t *testing.T) {
	const expressions, rows, depth = 1500, 6, 4
	env := oracle(t)
	a := author{rand.New(rand.NewPCG(1, 2))}
	known := 0
	for range expressions {
		var w written
		switch a.IntN(6) {
		case 0:
			w = a.number(depth)
		case 1:
			w = a.text(depth)
		case 2:
			w = a.time(depth)
		default:
			w = a.condition(depth)
		}
		columns := a.table(rows)
		ours := evaluate(t, w.ours, columns)
		ast, issues := env.Compile(w.cel)
		if issues.Err() != nil {
			t.Fatalf("%s: %v", w.cel, issues.Err())
		}
		program, err := env.Program(ast, cel.EvalOptions(cel.OptPartialEval))
		if err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			values := map[string]any{}
			var missing []*cel.AttributePatternType
			for _, c := range columns {
				v := c.At(i)
				values["has_"+c.Name] = !v.Missing()
				switch {
				case v.Missing():
					missing = append(missing, cel.AttributePattern(c.Name))
				case v.Kind == datasets.Time:
					values[c.Name] = time.UnixMicro(v.Time).UTC()
				case v.Kind == datasets.Boolean:
					values[c.Name] = v.Number == 1
				case v.Kind == datasets.Number:
					values[c.Name] = v.Number
				default:
					values[c.Name] = v.Text
				}
			}
			activation, err := cel.PartialVars(values, missing...)
			if err != nil {
				t.Fatal(err)
			}
			result, _, _ := program.Eval(activation)
			want := "?"
			switch v := result.(type) {
			case types.Double:
				want = datasets.FormatNumber(float64(v))
			case types.Bool:
				want = fmt.Sprint(bool(v))
			case types.String:
				want = string(v)
			case types.Timestamp:
				want = datasets.FormatTime(v.UnixMicro())
			case nil, *types.Err, *types.Unknown:
			default:
				t.Fatalf("%s: %T", w.cel, result)
			}
			got := ours.At(i).String()
			if ours.At(i).Missing() {
				got = "?"
			} else {
				known++
			}
			if got != want {
				t.Errorf("%s\nof %v is %q, to CEL %q", w.ours, values, got, want)
			}
		}
		if strings.Contains(w.ours, "present") != strings.Contains(w.cel, "has_") {
			t.Fatal("the two are not the same")
		}
		if t.Failed() {
			return
		}
	}
	if share := float64(known) / expressions / rows; share < 0.3 || share > 0.9 {
		t.Errorf("%.2f of the values are known: the test sees one side only", share)
	}
}
