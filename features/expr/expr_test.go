package expr_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"propensity/datasets"
	"propensity/features/expr"
)

const day = 86_400_000_000

func number(name string, x ...float64) datasets.Column {
	return datasets.Column{Name: name, Kind: datasets.Number, Numbers: x}
}

func boolean(name string, x ...float64) datasets.Column {
	return datasets.Column{Name: name, Kind: datasets.Boolean, Numbers: x}
}

func instants(name string, x ...int64) datasets.Column {
	return datasets.Column{Name: name, Kind: datasets.Time, Times: x}
}

// category makes a column of texts, in which "-" is missing.
func category(name string, x ...string) datasets.Column {
	c := datasets.Column{Name: name, Kind: datasets.Category}
	for _, s := range x {
		k := int32(-1)
		if s != "-" {
			if k = int32(slices.Index(c.Values, s)); k < 0 {
				k = int32(len(c.Values))
				c.Values = append(c.Values, s)
			}
		}
		c.Codes = append(c.Codes, k)
	}
	return c
}

// spell writes a column as text, "?" where it is missing.
func spell(c datasets.Column) string {
	var out []string
	for i := range c.Len() {
		v := c.At(i)
		s := v.String()
		if v.Missing() {
			s = "?"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func evaluate(t *testing.T, source string, columns []datasets.Column) datasets.Column {
	t.Helper()
	e, err := expr.Compile(source, expr.Vars(columns))
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	b, err := e.Bind(columns)
	if err != nil {
		t.Fatal(err)
	}
	return b.Column("it", 0, columns[0].Len())
}

func TestWhatIsUnknownMakesUnknownWhatNeedsIt(t *testing.T) {
	nan, none := math.NaN(), datasets.MissingTime
	all := []datasets.Column{
		boolean("p", 1, 1, 1, 0, 0, 0, nan, nan, nan),
		boolean("q", 1, 0, nan, 1, 0, nan, 1, 0, nan),
	}
	few := []datasets.Column{
		number("x", 2, -1, 0, nan), number("y", 4, 0, 0, 1), category("plan", "pro", "free", "-", ""), category("old", "free", "free", "pro", ""),
		instants("a", 0, day, none, 3*day), instants("b", day/2, day, day, none),
		category("a b", "x", "y", "x", "-"), number("size", 1, 2, 3, 4), instants("timestamp", day, 2*day, 3*day, none), category("context.ip", "10.0.0.1", "::1", "-", "10.1.1.1"),
	}
	for _, c := range []struct {
		columns      []datasets.Column
		source, want string
	}{
		{all, "p && q", "true false ? false false false ? false ?"},
		{all, "p || q", "true true true true false ? true ? ?"},
		{all, "!p", "false false false true true true ? ? ?"},
		{all, "p == q", "true false ? false true ? ? ? ?"},
		{all, "p != q", "false true ? true false ? ? ? ?"},
		{all, "p ? q : !q", "true false ? false true ? ? ? ?"},
		{all, "p ? true : false", "true true true false false false ? ? ?"},
		{all, "p in [true]", "true true true false false false ? ? ?"},
		{all, "present(q) && q", "true false false true false false true false false"},
		{few, "x > 0", "true false false ?"},
		{few, "x >= 0 || y == 1", "true false true true"},
		{few, "x < 0 && y != 1", "false true false false"},
		{few, "x == y", "false false true ?"},
		{few, "x != y", "true true false ?"},
		{few, "x <= -1", "false true false ?"},
		{few, "x in [2, -1, 7.5]", "true true false ?"},
		{few, "x + y * 2 - 1", "9 -2 -1 ?"},
		{few, "x / y", "0.5 ? ? ?"},
		{few, "-x", "-2 1 0 ?"},
		{few, "abs(x) + floor(x / 4)", "2 0 0 ?"},
		{few, "log(x) == log(2)", "true ? ? ?"},
		{few, "log1p(x) == log(3)", "true ? false ?"},
		{few, "min(x, y, 1) + max(x, y)", "5 -1 0 ?"},
		{few, "present(x) ? x : 0", "2 -1 0 0"},
		{few, "x > 0 ? y : x / 0", "4 ? ? ?"},
		{few, `plan == "pro"`, "true false ? false"},
		{few, `"pro" != plan`, "false true ? true"},
		{few, `plan == ""`, "false false ? true"},
		{few, `plan in ["pro", "team", ""]`, "true false ? true"},
		{few, `plan < "g"`, "false true ? true"},
		{few, `plan >= "g"`, "true false ? false"},
		{few, "plan == old", "false true ? true"},
		{few, "plan > old", "true false ? false"},
		{few, `plan.startsWith("p") || plan.endsWith("e")`, "true true ? false"},
		{few, `plan.contains("r")`, "true true ? false"},
		{few, "present(plan)", "true true false true"},
		{few, `x > 0 ? plan : "none"`, "pro none none ?"},
		{few, `(plan == "pro" ? old : "pro") == "pro"`, "false true ? true"},
		{few, `present(a) ? old : plan`, "free free ? "},
		{few, "a < b", "true false ? ?"},
		{few, "a == b", "false true ? ?"},
		{few, "days(a - b)", "-0.5 0 ? ?"},
		{few, "a - b > duration('-24h')", "true true ? ?"},
		{few, "a + duration('7d') >= timestamp('1970-01-09')", "false true ? true"},
		{few, "a == timestamp('1970-01-02T00:00:00Z')", "false true ? false"},
		{few, "a in [timestamp('1970-01-01'), timestamp('1970-01-04')]", "true false ? true"},
		{few, "a - duration('2d')", "1969-12-30T00:00:00Z 1969-12-31T00:00:00Z ? 1970-01-02T00:00:00Z"},
		{few, "(a - duration('1500000d')) < a", "? ? ? ?"}, // before the year 0
		{few, "x > 0 ? a : b", "1970-01-01T00:00:00Z 1970-01-02T00:00:00Z 1970-01-02T00:00:00Z ?"},
		{few, `column("a b") == "x"`, "true false true ?"},
		{few, "size > 1 && timestamp > timestamp('1970-01-02')", "false true true ?"},
		{few, `context.ip.startsWith("10.")`, "true false ? true"},
		{few, "true", "true true true true"},
		{few, "1e308 * 10", "? ? ? ?"},
	} {
		if got := spell(evaluate(t, c.source, c.columns)); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.source, got, c.want)
		}
	}
}

// Whatever lies between the blocks in which rows are evaluated, a row's value is its
// own, and of a condition only what is true counts.
func TestMaskIsTheRowsThatAreTrue(t *testing.T) {
	const rows = 5000
	x, plan := number("x"), datasets.Column{Name: "plan", Kind: datasets.Category, Values: []string{"free", "pro", "team"}}
	for i := range rows {
		x.Numbers = append(x.Numbers, [...]float64{float64(i % 7), math.NaN()}[truth(i%11 == 0)])
		plan.Codes = append(plan.Codes, int32(i*i%4)-1)
	}
	e, err := expr.CompileCondition(`plan == "pro" || x > 3`, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := e.Bind([]datasets.Column{plan, x})
	if err != nil {
		t.Fatal(err)
	}
	for _, span := range [][2]int{{0, rows}, {1, 2}, {1023, 2050}, {4999, 5000}, {7, 7}} {
		mask := make([]bool, span[1]-span[0])
		b.Mask(mask, span[0])
		for i, got := range mask {
			row := span[0] + i
			if want := plan.Codes[row] == 1 || x.Numbers[row] > 3; got != want {
				t.Fatalf("row %d of %v: %v", row, span, got)
			}
		}
	}
	mask := make([]bool, rows)
	if n := testing.AllocsPerRun(10, func() { b.Mask(mask, 0) }); n != 0 {
		t.Errorf("%v allocations in %d rows", n, rows)
	}
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestTextsHaveTheirValuesInTheOrderOfTheRows(t *testing.T) {
	columns := []datasets.Column{category("a", "z", "y", "x", "z"), category("b", "x", "x", "z", "-"), boolean("p", 0, 1, 0, 0)}
	got := evaluate(t, "p ? a : b", columns)
	if spell(got) != "x y z ?" || !slices.Equal(got.Values, []string{"x", "y", "z"}) || got.Kind != datasets.Category {
		t.Errorf("%s, values %q", spell(got), got.Values)
	}
}

func TestFaultsNameThePlaceAndWhatToDo(t *testing.T) {
	vars := []expr.Var{
		{Name: "seats", Type: expr.Number}, {Name: "plan", Type: expr.Text}, {Name: "trial", Type: expr.Boolean},
		{Name: "started", Type: expr.Time}, {Name: "anything", Type: expr.Any},
	}
	for source, want := range map[string]string{
		"":                                    "1:1: the expression is empty",
		"seet > 5":                            `1:1: unknown name "seet": did you mean "seats"?`,
		"revenue > 5":                         `1:1: unknown name "revenue": there are anything, plan, seats, started, trial (texts stand in quotes)`,
		"trial &&\n  sets > 3 || plam == 'x'": "2:3: unknown name \"sets\": did you mean \"seats\"?\n2:15: unknown name \"plam\": did you mean \"plan\"?",
		"plan == 5":                           "1:6: == takes two values of one type; here it has text and number",
		`seats > "5"`:                         "1:7: > takes two numbers, texts, times or lengths of time; here it has number and text",
		"trial < true":                        "1:7: < takes two numbers, texts, times or lengths of time; here it has boolean and boolean",
		"plan + plan == 'x'":                  "1:6: + takes two numbers, or a time and a length of time; texts are not joined; here it has text and text",
		"!seats":                              "1:1: ! takes a condition; here it has number",
		"!trial && seats":                     "1:11: a boolean is needed here, not a number",
		"seats ? trial : trial":               "1:7: ? : takes a condition and two values of one type; here it has number and boolean and boolean",
		"trial ? seats : 'x'":                 "1:7: ? : takes a condition and two values of one type; here it has boolean and number and text",
		"seats % 2 == 1":                      "1:7: % is not available: x - n * floor(x / n) is the rest",
		"seats in [1, 'a']":                   "1:14: the list holds a text, but is asked for a number",
		"seats in ['a']":                      "1:7: in takes a value and a list of constants of its type, as in plan in [\"pro\", \"team\"]; here it has number and texts",
		"plan in []":                          "1:9: nothing is in an empty list",
		"plan in ['a', plan]":                 "1:15: a list holds constants only: compare with ==, joined by ||",
		"plan in plan":                        "1:6: in takes a value and a list of constants of its type, as in plan in [\"pro\", \"team\"]",
		"[1, 2] == [1]":                       "1:1: a list stands only after in: plan in [\"pro\", \"team\"]\n1:11: a list stands only after in: plan in [\"pro\", \"team\"]",
		"{'a': 1} == 1":                       "1:1: maps, structures and macros are not available",
		"plan.startsWith(plan)":               `1:16: startsWith takes a text in quotes, of a text: url.startsWith("/docs")`,
		"startsWith(plan, 'a')":               `1:11: startsWith is written x.startsWith("text")`,
		"seats.abs() > 1":                     "1:10: abs is written abs(x)",
		"plan.matches('a')":                   "1:13: matches is not available; there are startsWith, endsWith and contains",
		"size(plan) > 1":                      "1:5: size is not available; there are startsWith, endsWith and contains",
		"lgo(seats) > 1":                      "1:4: unknown function lgo: did you mean log?",
		"frobnicate(seats)":                   "1:11: unknown function frobnicate: there are present, startsWith, endsWith, contains, min, max, abs, log, log1p, floor, days, timestamp, duration, column",
		"min(seats) > 1":                      "1:4: min takes two to six numbers; here it has number",
		"present(seats + 1)":                  "1:8: present takes the name of a column",
		"present(nope)":                       `1:9: unknown name "nope": there are anything, plan, seats, started, trial (texts stand in quotes)`,
		"has(plan.a)":                         "1:4: has is not available: present(x) says whether x is there",
		"plan == null":                        "1:9: null is not available: present(x) says whether x is there",
		"plan[0] == 'a'":                      "1:5: a value has no entries: [ ] stands only after in",
		"(seats).abs == 1":                    `1:8: unknown name "seats.abs": did you mean "seats"?`,
		"seats > 5u":                          "1:9: write 5 without the u",
		"plan == b'x'":                        `1:9: texts are written "so" or 'so'; bytes are not available`,
		"seats > 9007199254740993":            "1:9: 9007199254740993 has more digits than a number holds exactly: at most 2^53",
		"started > '2025-01-01'":              "1:9: > takes two numbers, texts, times or lengths of time; here it has time and text",
		"started > timestamp('1.1.2025')":     `1:20: "1.1.2025" is no time: write 2025-01-01 or 2025-01-01T09:30:00Z`,
		"started > timestamp(plan)":           "1:20: timestamp takes a date or time in quotes, as in timestamp('2025-01-01') or timestamp('2025-01-01T09:30:00Z')",
		"started - started > duration('x')":   `1:29: "x" is no length of time: write 7d, 24h, 90m or 30s, whole microseconds`,
		"started - started > 7":               "1:19: > takes two numbers, texts, times or lengths of time; here it has length of time and number",
		"started - started > duration('9999999999d')": `1:29: "9999999999d" is no length of time: write 7d, 24h, 90m or 30s, whole microseconds`,
		"started - timestamp('2025-01-01')":           "1:9: its value is a length of time: write days(...) for a number of days",
		"seats":                                       "1:1: its value is a number, but a condition is true or false: compare it, as in seats > 5",
		"plan":                                        `1:1: its value is a text, but a condition is true or false: compare it, as in plan == "pro"`,
		"plan = 'a'":                                  "1:6: compare with ==",
		"plan == 'a":                                  "1:9: a quote that is never closed",
		"trial & trial":                               "1:7: conditions are joined by && and ||",
		"seats > 5 &&":                                "1:13: mismatched input 'end of the expression'",
		"import == 1":                                 `1:1: import is a word of the language: write column("import")`,
		"column(plan) == 'a'":                         `1:7: column takes the name of a column in quotes: column("Plan (old)")`,
		"column('x y') == 'a'":                        `1:7: unknown name "x y": there are anything, plan, seats, started, trial (texts stand in quotes)`,
		"anything in ['a', 5]":                        "1:19: the list holds a number, but is asked for a text",
		"plan == '\xff'":                              "1:1: the expression is not UTF-8",
	} {
		_, err := expr.CompileCondition(source, vars)
		if err == nil {
			t.Errorf("%s: no fault\nwant %s", source, want)
			continue
		}
		if !errors.As(err, new(expr.Faults)) || err.Error() != want {
			t.Errorf("%s\n got %v\nwant %s", source, err, want)
		}
	}
}

func TestWithoutVariablesEveryNameIsAllowed(t *testing.T) {
	e, err := expr.Compile(`event == "login" && seconds > 3 && present(at) && event != kind`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(e.Vars, []string{"event", "seconds", "at", "kind"}) || e.Root.Type != expr.Boolean {
		t.Errorf("%q, %v", e.Vars, e.Root.Type)
	}
	if _, err := expr.Compile(`x + "a"`, nil); err == nil {
		t.Error("a text was added")
	}
	// The columns say what the types are, and may not fit.
	at := instants("at", 0)
	fitting := []datasets.Column{category("event", "login"), number("seconds", 5), at, category("kind", "a")}
	b, err := e.Bind(fitting)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Column("it", 0, 1); spell(got) != "true" {
		t.Error(spell(got))
	}
	if _, err := e.Bind(fitting[:3]); !errors.Is(err, expr.ErrColumns) || !strings.Contains(err.Error(), `there is no "kind"`) {
		t.Error(err)
	}
	fitting[1] = category("seconds", "5")
	if _, err := e.Bind(fitting); !errors.As(err, new(expr.Faults)) {
		t.Error(err)
	}
	// So may what is to be a condition.
	condition, err := expr.CompileCondition("event", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := condition.Bind(fitting); !errors.As(err, new(expr.Faults)) {
		t.Error(err)
	}
	typed, err := expr.Compile("seconds > 3", []expr.Var{{Name: "seconds", Type: expr.Number}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := typed.Bind(fitting); !errors.Is(err, expr.ErrColumns) || !strings.Contains(err.Error(), `"seconds" is a text, not a number`) {
		t.Error(err)
	}
}

func TestHostileExpressionsAreRefused(t *testing.T) {
	vars := []expr.Var{{Name: "x", Type: expr.Number}}
	for name, source := range map[string]string{
		"long":     "x > 1" + strings.Repeat(" ", 30_000),
		"nested":   strings.Repeat("(", 5000) + "x" + strings.Repeat(")", 5000) + " > 1",
		"negated":  strings.Repeat("-(", 5000) + "x" + strings.Repeat(")", 5000) + " > 1",
		"chained":  "x" + strings.Repeat("+x", 5000) + " > 1",
		"many":     "x in [" + strings.Repeat("1,", 6000) + "1]",
		"ternary":  strings.Repeat("x > 1 ? 1 : ", 1000) + "2 > 1",
		"fields":   "x" + strings.Repeat(".x", 5000),
		"indexes":  "x" + strings.Repeat("[0]", 3000),
		"calls":    strings.Repeat("f(", 3000) + strings.Repeat(")", 3000),
		"brackets": strings.Repeat("[", 3000),
		"macros":   strings.Repeat("[x].map(x, ", 300) + "x" + strings.Repeat(")", 300),
	} {
		if _, err := expr.Compile(source, vars); !errors.As(err, new(expr.Faults)) || len(err.Error()) > 500 {
			t.Errorf("%s: %.700v", name, err)
		}
	}
	// What people write is far from that.
	if _, err := expr.Compile("x"+strings.Repeat(" + x", 60)+" > 1 && x in ["+strings.Repeat("1, ", 1000)+"2]", vars); err != nil {
		t.Error(err)
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range []string{
		`event == "login" && seconds > 3.0`, "days(a - timestamp('2025-01-01')) / 7", `plan in ["a", 'b']`, "x ? y : -z", "a.b.c(d[0], {1: 2})",
		"present(column('x y'))", "[1].map(x, x)", "\"\\u0000\"", "duration('7d')", "1.e", "0x10", "r'''a'''",
	} {
		f.Add(s)
	}
	columns := []datasets.Column{number("x", 1, math.NaN()), category("plan", "a", "-"), instants("a", 5, datasets.MissingTime), boolean("p", 1, 0)}
	f.Fuzz(func(t *testing.T, source string) {
		if _, err := expr.Compile(source, nil); err != nil && !errors.As(err, new(expr.Faults)) {
			t.Fatal(err)
		}
		e, err := expr.Compile(source, expr.Vars(columns))
		if err != nil {
			return
		}
		b, err := e.Bind(columns)
		if err != nil {
			t.Fatal(err)
		}
		if c := b.Column("it", 0, 2); c.Len() != 2 {
			t.Fatal(c)
		}
	})
}

func BenchmarkMask(b *testing.B) {
	const rows = 1 << 20
	event, seconds := datasets.Column{Name: "event", Kind: datasets.Category, Values: []string{"view", "login", "export", "invite"}}, number("seconds")
	for i := range rows {
		event.Codes = append(event.Codes, int32(i*7%4))
		seconds.Numbers = append(seconds.Numbers, float64(i%100))
	}
	columns := []datasets.Column{event, seconds}
	mask := make([]bool, rows)
	for _, source := range []string{`event == "login"`, "seconds > 3", `event in ["login", "export"] && seconds > 3`, "log1p(seconds) / 12 > 0.1"} {
		b.Run(source, func(b *testing.B) {
			e, err := expr.Compile(source, expr.Vars(columns))
			if err != nil {
				b.Fatal(err)
			}
			bound, err := e.Bind(columns)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				bound.Mask(mask, 0)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			expr.Compile(`event in ["login", "export"] && seconds > 3`, expr.Vars(columns))
		}
	})
}
