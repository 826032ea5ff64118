package main

import (
	"github.com/spf13/pflag"

	"propensity/serve"
)

// accessFlags say who may reach a server, and how.
type accessFlags struct {
	keys                     string
	withoutKeys, openMetrics bool
	tls                      serve.TLS
}

func (o *accessFlags) describe(f *pflag.FlagSet) {
	f.StringVar(&o.keys, "keys", "", "`file` of API keys (propensity keys); without one, only an address of this machine is served")
	f.BoolVar(&o.withoutKeys, "without-keys", false, "serve everyone who can reach the address, with every right")
	f.BoolVar(&o.openMetrics, "open-metrics", false, "/metrics needs no key")
	f.StringVar(&o.tls.Cert, "tls-cert", "", "`file` of the certificate, PEM: speak TLS; taken up when it changes")
	f.StringVar(&o.tls.Key, "tls-key", "", "`file` of the certificate's key, PEM")
	f.StringVar(&o.tls.ClientCA, "tls-client-ca", "", "`file` of the roots of certificates that clients must have, PEM")
}

// fill puts them in cfg.
func (o *accessFlags) fill(cfg *serve.Config) {
	cfg.Keys, cfg.WithoutKeys, cfg.OpenMetrics, cfg.TLS = o.keys, o.withoutKeys, o.openMetrics, o.tls
}

func (o *accessFlags) scheme() string {
	if o.tls.Cert != "" {
		return "https://"
	}
	return "http://"
}
