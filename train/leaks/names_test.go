package leaks

import (
	"slices"
	"testing"

	"propensity/models"
)

func TestNormalWords(t *testing.T) {
	for name, want := range map[string][]string{
		"cancelAtPeriodEnd":              {"cancel", "at", "period", "end"},
		"Cancelled-At":                   {"canceled", "at"},
		"HTTPStatus":                     {"http", "status"},
		"subscription.canceled_at":       {"subscription", "canceled", "at"},
		" Last Notable  Activity ":       {"last", "notable", "activity"},
		"nonRenewing":                    {"non", "renewing"},
		"ConvertedOpportunityId":         {"converted", "opportunity", "id"},
		"Kündigungsgrund":                {"kündigungsgrund"},
		"cancellation_details[feedback]": {"cancellation", "details", "feedback"},
		"--":                             nil,
	} {
		if got := normalWords(name); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// verdictOfName is what a name alone brings a column: "" for nothing.
func verdictOfName(name, label string, others ...string) string {
	c := &court{Input: Input{Names: append([]string{name}, others...), LabelName: label}}
	for _, n := range c.Names {
		c.findings = append(c.findings, finding{scan: scan{name: n, filled: [2]int{1, 1}}})
	}
	c.named()
	switch f := c.findings[0]; {
	case f.proven:
		return models.LeakProven
	case len(f.evidence) > 0:
		return models.LeakSuspect
	}
	return ""
}

func TestNamesThatProve(t *testing.T) {
	for _, name := range []string{
		"cancel_at_period_end", "CancelAtPeriodEnd", "subscription_cancel_at_period_end", "stripe_subscription_cancel_at_period_end",
		"canceled_at", "cancelled_at", "cancelledAt", "subscription_canceled_at", "date_cancelled", "canceled_at_ts", "data.object.canceled_at", "is_cancelled",
		"ended_at", "subscription_ended_at", "non_renewing", "nonrenewing", "is_non_renewing", "cancel_reason", "cancel_reason_code", "cancellation_details",
		"cancellation_details.feedback", "Churn Reason", "Churn Category", "Churn Score", "churn_date", "customer_churned_at", "days_since_cancel",
		"days_since_cancellation", "days_until_churn", "account_closed_at", "closed_at", "deleted_at", "call_duration", "call_duration_seconds", "termination_date",
	} {
		for _, label := range []string{"churn", "converted", "y"} {
			if got := verdictOfName(name, label); got != models.LeakProven {
				t.Errorf("%q for %q: %q", name, label, got)
			}
		}
	}
}

// What tells of a purchase is harmless where the question is who leaves, years later.
func TestNamesOfAPurchase(t *testing.T) {
	for _, name := range []string{"converted_at", "IsConverted", "ConvertedAccountId", "conversion_date", "first_payment_at", "first_payment_date", "won_at", "is_won", "lost_reason", "closed_lost_reason", "days_to_close", "deal_won_at", "customer_since"} {
		for label, want := range map[string]string{"Converted": models.LeakProven, "trial_conversion_30d": models.LeakProven, "purchased": models.LeakProven, "churned_90d": "", "renewed": "", "y": models.LeakSuspect} {
			if got := verdictOfName(name, label); got != want {
				t.Errorf("%q for %q: %q, want %q", name, label, got, want)
			}
		}
	}
}

func TestNamesToAskAbout(t *testing.T) {
	for _, name := range []string{"Last Notable Activity", "Lead Quality", "lead_profile", "subscription_status", "lead_status", "LifecycleStage", "updated_at", "LastModifiedDate", "account_updated_at"} {
		if got := verdictOfName(name, "churn"); got != models.LeakSuspect {
			t.Errorf("%q: %q", name, got)
		}
	}
}

func TestNamesOfHonestColumns(t *testing.T) {
	for _, name := range []string{
		"contract_duration_months", "contract_duration", "duration_months", "session_duration", "avg_call_duration_28d", "calls_28d", "trial_duration", "membership_duration",
		"trial_ended_at", "session_ended_at", "previous_cancellation_date", "prior_churn_reason", "cancellations_90d", "cancelled_orders", "canceled_invoices_28d", "renewal_date",
		"current_period_end", "trial_end", "created_at", "signup_date", "started_at", "last_login_at", "Last Activity", "plan", "status", "tags", "auto_renew", "tenure", "Contract",
		"closed_tickets", "tickets_closed_28d", "reason_for_signup", "at", "days_since_login", "days_since_signup", "won_deals_90d", "paid_invoices", "id", "2024", "", "__",
		"end", "date", "customer", "is", "utc", "code",
	} {
		for _, label := range []string{"churn", "converted", "y"} {
			if got := verdictOfName(name, label, "contact_email", "PhoneService", "calls per seat"); got != "" {
				t.Errorf("%q for %q: %q", name, label, got)
			}
		}
	}
}

// A duration is a call's where the table is about calls.
func TestDurationOfCalls(t *testing.T) {
	for _, c := range []struct {
		name   string
		others []string
		want   string
	}{
		{"duration", []string{"contact", "campaign", "pdays"}, models.LeakProven},
		{"Duration_sec", []string{"calls_before"}, models.LeakProven},
		{"duration", []string{"plan", "seats"}, ""},
		{"duration", []string{"contact_email"}, ""},
		{"duration_months", []string{"contact", "campaign"}, ""},
		{"contract_duration", []string{"contact", "campaign"}, ""},
	} {
		if got := verdictOfName(c.name, "y", c.others...); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Every name of the list is spelled as names are looked up, and stands there once.
func TestListIsNormal(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range meanings() {
		for _, name := range m.names {
			words := normalWords(name)
			if got, ok := meaningOf(meanings(), words); !ok || got.why != m.why || seen[name] {
				t.Errorf("%q is not found, or twice", name)
			}
			seen[name] = true
		}
	}
}

func TestPlanned(t *testing.T) {
	for name, want := range map[string]bool{
		"renewal_date": true, "next_invoice_at": true, "contract_end": true, "currentPeriodEnd": true, "trial_end": true, "expires_at": true, "due_date": true, "ends_on": true,
		"ended_at": false, "last_seen_at": false, "weekend": false, "end_user_seen": false, "created_at": false, "cancel_at": false, "updated_at": false,
	} {
		if planned(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
