package sample

import "propensity/datasets"

// Laws are what is true of a company, as truth.json says it. Effects are in log-odds.
type Laws struct {
	About string `json:"about"`
	Seed  uint64 `json:"seed"`
	AsOf  string `json:"as_of"`

	Aha struct {
		Means        string  `json:"means"`
		Days         int     `json:"days"` // after sign-up
		Invites      int     `json:"invites"`
		Integrations int     `json:"integrations"`
		Effect       float64 `json:"effect"`   // on buying
		Accounts     int     `json:"accounts"` // that had it
	} `json:"aha"`
	Channels map[string]float64 `json:"channels"` // effects on buying
	// Noise are columns, file.column, that tell nothing about any label that the
	// others do not.
	Noise      []string `json:"noise"`
	Industries []string `json:"industries"` // those that matter
	KeyPeriod  struct {
		Months       [2]int  `json:"months"`        // of a contract, from 1: it is left most
		Effect       float64 `json:"effect"`        // on leaving in one of them
		EffectGuided float64 `json:"effect_guided"` // for those who came by partners or referral
	} `json:"key_period"`
	Outages struct {
		Share float64 `json:"share"` // of the customers that one affects
		Shock float64 `json:"shock"` // of those, the share it troubles who would not have been
	} `json:"outages"`
	Events struct {
		Late      float64 `json:"late"`      // share that arrives about a day late
		Repeated  float64 `json:"repeated"`  // share delivered twice
		Corrected float64 `json:"corrected"` // share of exports delivered again with another quantity
	} `json:"events"`
	Drift    []Drift `json:"drift"`
	Leaks    []Leak  `json:"leaks"`
	Outreach struct {
		Share      float64            `json:"share"`       // of the customers drawn, half of them treated
		Effects    map[string]float64 `json:"effects"`     // on leaving in a month, by hidden health
		MeanUplift float64            `json:"mean_uplift"` // less churn within 90 days if treated, over OutreachTruth
	} `json:"outreach"`
}

// Drift is a change from a date on.
type Drift struct {
	What string `json:"what"`
	From string `json:"from"`
}

// Leak is a column of the raw files that knows the future of the date it goes by.
type Leak struct {
	File   string `json:"file"`
	Column string `json:"column"`
	Why    string `json:"why"`
}

// Laws says what is true of the company.
func (c *Company) Laws() Laws {
	l := Laws{
		About: "a simulated company: nothing of it is real; what is true of it, to judge by, not to learn from",
		Seed:  c.Seed, AsOf: datasets.FormatTime(c.AsOf),
		Channels: map[string]float64{},
		Noise: []string{"accounts.country", "signups.heard_from", "signups.newsletter", "events.quantity but of onboarding_step",
			"tickets.severity", "tickets.satisfaction"},
		Drift: []Drift{
			{"channels: paid_search brings twice as many sign-ups", datasets.FormatTime(monthStart(channelDrift))},
			{"tracking: the event report_viewed is called report_opened", datasets.FormatTime(monthStart(trackingDrift))},
			{"base rates: the log-odds to buy fall by 0.2, those to leave in a month rise by 0.2", datasets.FormatTime(monthStart(baseDrift))},
		},
		Leaks: []Leak{
			{"accounts.csv", "lifecycle", "as of the export: whether the account ever bought and has left"},
			{"accounts.csv", "total_paid", "as of the export: what it has paid over the whole history"},
			{"subscriptions.csv", "cancel_reason", "filled in when the contract ends"},
		},
	}
	l.Aha.Means = "3 colleagues or more invited and a source of data connected"
	l.Aha.Days, l.Aha.Invites, l.Aha.Integrations, l.Aha.Effect = int(conversionAfter/day), ahaInvites, 1, ahaEffect
	for i := range c.accounts {
		if c.accounts[i].aha {
			l.Aha.Accounts++
		}
	}
	for i, name := range channels {
		l.Channels[name] = channelPull[i]
	}
	for _, i := range []int{software, retail, education, marketing, government} {
		l.Industries = append(l.Industries, industries[i])
	}
	l.KeyPeriod.Months = [2]int{2, 4}
	l.KeyPeriod.Effect, l.KeyPeriod.EffectGuided = keyPeriod+unguided, keyPeriod
	l.Outages.Share, l.Outages.Shock = outageShare, outageShock
	l.Events.Late, l.Events.Repeated, l.Events.Corrected = lateShare, repeatedShare, correctedShare
	l.Outreach.Share, l.Outreach.Effects = outreachShare, map[string]float64{}
	for h, name := range [...]string{"growing", "steady", "fading", "troubled"} {
		l.Outreach.Effects[name] = outreachEffect[h]
	}
	uplift := c.OutreachTruth.Column("uplift").Numbers
	for _, u := range uplift {
		l.Outreach.MeanUplift += u / float64(len(uplift))
	}
	return l
}
