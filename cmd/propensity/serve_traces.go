package main

import (
	"os"
	"strings"

	"github.com/spf13/pflag"

	"propensity/serve"
)

// tracesFlags say whether spans are sent. Where to is for the OTEL_* variables.
type tracesFlags struct{ on bool }

func (o *tracesFlags) describe(f *pflag.FlagSet) {
	f.BoolVar(&o.on, "traces", false, "send OpenTelemetry traces by OTLP over HTTP to OTEL_EXPORTER_OTLP_ENDPOINT (default http://localhost:4318); on if that is set")
}

// fill turns traces on by the flag or by an endpoint in the environment, unless the
// environment turns them off.
func (o *tracesFlags) fill(cfg *serve.Config) {
	named := os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	off := strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || strings.EqualFold(os.Getenv("OTEL_TRACES_EXPORTER"), "none")
	cfg.Traces = (o.on || named) && !off
}
