package doctor

import "fmt"

// Rule is a rule of thumb, or what a product that does the same job asks for.
type Rule struct {
	Source string `json:"source"`
	Asks   string `json:"asks"`
	Has    string `json:"has"`
	Met    bool   `json:"met"`
}

// rules are for comparison: the verdict goes by the width of the interval. What
// products ask for is from their documentation.
func rules(r *Report, positive, negative, columns int) []Rule {
	both := fmt.Sprintf("%d + %d", positive, negative)
	rarer, rate := min(positive, negative), r.BaseRate.Value
	per := "no column"
	if columns > 0 {
		per = each(rarer, columns)
	}
	return []Rule{
		{"Peduzzi et al. 1996", "10 accounts of the rarer outcome a column", per, columns > 0 && rarer >= 10*columns},
		{"Microsoft Dynamics 365 Sales, lead scoring", "40 + 40 accounts", both, rarer >= 40},
		{"Segment Predictions", "100 + 100 accounts", both, rarer >= 100},
		{"Salesforce Einstein, lead scoring", "1,000 accounts, 120 of them positive", fmt.Sprintf("%d, %d", r.Accounts, positive), r.Accounts >= 1000 && positive >= 120},
		{"Adobe Customer AI", "500 + 500 accounts", both, rarer >= 500},
		{"RudderStack propensity", "a base rate of 5 % to 95 %", fmt.Sprintf("%.1f %%", 100*rate), rate >= 0.05 && rate <= 0.95},
	}
}
