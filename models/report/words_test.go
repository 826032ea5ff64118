package report

import (
	"slices"
	"testing"

	"propensity/models/evaluate"
)

func TestNumbersInWords(t *testing.T) {
	for got, want := range map[string]string{
		percent(0):           "0 %",
		percent(0.00001):     "under 0.01 %",
		percent(0.0042):      "0.42 %",
		percent(0.00994):     "0.99 %",
		percent(0.00999):     "1.0 %",
		percent(0.052):       "5.2 %",
		percent(0.0994):      "9.9 %",
		percent(0.0999):      "10 %",
		percent(0.313):       "31 %",
		percent(0.9951):      "99.5 %",
		percent(0.9999):      "over 99.9 %",
		percent(1):           "100 %",
		percent(-0.052):      "-5.2 %",
		decimal(-0.00001, 3): "0.000",
		decimal(1e300, 3):    "1e+300",
		number(1234567):      "1,234,567",
		number(0.12345):      "0.123",
		number(1234.5):       "1234",
		number(1e-7):         "1e-07",
		number(-2.5):         "-2.5",
		count(-1000):         "-1,000",
		count(999):           "999",
		many(1, "row"):       "1 row",
		many(12301, "row"):   "12,301 rows",
		rate(evaluate.Interval{Value: 0.31, Low: 0.26, High: 0.37}):        "31 % (26 to 37 %)",
		ranged(evaluate.Interval{Value: 0.8434, Low: 0.82, High: 0.86}, 3): "0.843 (0.820 to 0.860)",
		list([]string{"a"}):                          "a",
		list([]string{"a", "b", "c"}):                "a, b and c",
		someOf([]string{"a", "b", "c", "d", "e"}, 3): "a, b, c and 2 more",
		short("abcdef", 4):                           "abc…",
		short("a\nb", 9):                             "a b",
		day("2025-03-31T00:00:00Z"):                  "31 March 2025",
		day("row 32951"):                             "row 32951",
		sentence("the intervals overlap"):            "The intervals overlap.",
		sentence("logins_28d is filled late."):       "logins_28d is filled late.",
		sentence("  "):                               "",
		sentence("会社"):                               "会社.",
		settingsText(nil):                            "",
		settingsText(map[string]float64{"rate": 0.05, "trees": 120, "leaves": 8, "alpha": 1}): " (trees 120, leaves 8, rate 0.05, alpha 1)",
	} {
		if got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}

func TestStarts(t *testing.T) {
	for _, c := range []struct{ from, want []string }{
		{[]string{"2025-01-01T00:00:00Z", "2025-02-01T00:00:00Z"}, []string{"Jan 25", "Feb 25"}},
		{[]string{"2025-01-01", "2025-01-15"}, []string{"1 Jan 25", "15 Jan 25"}},
		{[]string{"row 1", "row 32951"}, []string{"row 1", "row 32951"}},
	} {
		if got := starts(c.from); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v", c.from, got)
		}
	}
}

func TestApart(t *testing.T) {
	low, high, is := apart([]evaluate.Interval{iv(0.5, 0.1), iv(0.8, 0.1), iv(0.6, 0.1)})
	if low != 0 || high != 1 || !is {
		t.Error(low, high, is)
	}
	if _, _, is := apart([]evaluate.Interval{iv(0.5, 0.1), iv(0.65, 0.1)}); is {
		t.Error("0.4 to 0.6 and 0.55 to 0.75 meet")
	}
	if _, _, is := apart(nil); is {
		t.Error("nothing is apart")
	}
}
