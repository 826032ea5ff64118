package online

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// ExpandAddress puts secrets in the places of ${env:NAME} and ${file:PATH}: the whole address
// as it is, a part of it escaped.
func ExpandAddress(address string) (string, error) {
	reference := regexp.MustCompile(`\$\{(env|file):([^{}]+)\}`)
	var fault error
	out := reference.ReplaceAllStringFunc(address, func(text string) string {
		part := reference.FindStringSubmatch(text)
		value, ok := os.LookupEnv(part[2])
		if part[1] == "file" {
			content, err := os.ReadFile(part[2])
			value, ok = strings.TrimRight(string(content), "\r\n"), err == nil
		}
		if !ok || value == "" {
			fault = fmt.Errorf("%w: %s is not there, or empty", ErrURL, text)
		}
		if text == address {
			return value
		}
		return strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	})
	if fault == nil && strings.Contains(reference.ReplaceAllString(address, ""), "${") {
		fault = fmt.Errorf("%w: a secret is written as ${env:NAME} or ${file:PATH}", ErrURL)
	}
	return out, fault
}
