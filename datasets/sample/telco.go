package sample

import (
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strings"
)

//go:embed telco_churn.csv.gz
var telco string

// Telco is the IBM telco customer churn table as CSV: 7,043 fictional customers,
// 26.5 % of whom left (label Churn, positive "Yes"; id customerID). Source:
// github.com/IBM/telco-customer-churn-on-icp4d, Apache-2.0; see NOTICE.
// TotalCharges is missing for the 11 customers of tenure 0.
func Telco() []byte {
	r, err := gzip.NewReader(strings.NewReader(telco))
	if err != nil {
		panic(fmt.Sprintf("sample: the embedded telco table is damaged: %v", err))
	}
	text, err := io.ReadAll(r)
	if err != nil {
		panic(fmt.Sprintf("sample: the embedded telco table is damaged: %v", err))
	}
	return text
}
