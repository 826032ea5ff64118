package spec_test

import (
	"fmt"
	"time"

	"propensity/features/spec"
)

// The columns of the row that a project file asks for.
func ExampleParse() {
	p, err := spec.Parse([]byte(`version: 1
account: account_id
sources:
  events: {path: events.csv, time: occurred_at}
features:
  - {name: logins, from: events, where: 'event == "login"', windows: [7d, 28d], trend: [28d]}
  - {name: used, from: events, by: event, values: [export, live chat], windows: [28d]}
derived:
  - {name: recent, expr: 'logins_7d / logins_28d'}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range p.Outputs() {
		fmt.Println(o.Name, o.Kind)
	}
	// Output:
	// logins_7d number
	// logins_28d number
	// logins_28d_trend number
	// used_export_28d number
	// used_live_chat_28d number
	// recent number
}

// What is wrong is told at once.
func ExampleParse_faults() {
	_, err := spec.Parse([]byte(`version: 1
account: account_id
sources:
  events: {path: events.csv, tme: occurred_at}
features:
  - {name: logins, from: event, windows: [7 days]}
`))
	fmt.Println(err)
	// Output:
	// invalid project file:
	//   line 4: source events: events need time: the column of the instant
	//   line 4: source events has no key "tme": did you mean time?
	//   line 6: feature logins: there is no source "event": did you mean events?
	//   line 6: feature logins: windows: "7 days" is no length of time: its unit is one of s, m (minutes), h, d, w, mo (months) and y
}

// A month before the last of March is the last of February.
func ExampleWindow_Start() {
	w, err := spec.ParseWindow("1mo")
	if err != nil {
		fmt.Println(err)
		return
	}
	moment := time.Date(2025, 3, 31, 10, 0, 0, 0, time.UTC)
	fmt.Println(time.UnixMicro(w.Start(moment.UnixMicro(), time.UTC)).UTC())
	// Output: 2025-02-28 10:00:00 +0000 UTC
}
