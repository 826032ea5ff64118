package serve

import (
	"errors"
	"testing"

	"propensity/datasets"
)

// Whatever is posted is outcomes that a ledger takes, or a problem that says what is wrong.
func FuzzOutcomes(f *testing.F) {
	for _, text := range []string{
		`{"id":"x","model":"churn","account":17,"as_of":null,"occurred_at":"2026-03-01","positive":true,"value":-1.5e3}`,
		`[{"model":"churn","account":"A","positive":false,"as_of":"2026-03-01T09:30:00+02:00"},{}]`,
		"{\"model\":\"churn\"}\n\n{\"account\":\"\\ud800\"}", `[`, `[]`, `{"a":[[[[]]]]}`, `{"value":1e999}`, "\xff",
	} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, ndjson bool) {
		d := &outcomes{now: moment}
		each := eachItem
		if ndjson {
			each = eachLine
		}
		const most = 50
		err := each(body, most, "outcomes", d.decode)
		var p *problem
		if err != nil && !errors.As(err, &p) {
			t.Fatalf("%v is no problem", err)
		}
		if len(d.list) > most {
			t.Fatalf("%d outcomes", len(d.list))
		}
		if err != nil || len(d.faults) > 0 {
			return
		}
		for i := range d.list {
			o := &d.list[i]
			if err := o.Check(); err != nil {
				t.Errorf("%+v was taken: %v", o, err)
			}
			if o.Occurred > moment+aheadOfNow || o.AsOf != datasets.MissingTime && o.AsOf > moment+aheadOfNow {
				t.Errorf("%+v has not happened", o)
			}
		}
	})
}
