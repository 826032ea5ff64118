package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// TLS names the files, PEM, of a server that speaks TLS (1.2 and later, with the ciphers
// that Go takes for safe). They are looked at again while the server runs.
type TLS struct {
	// Cert is the server's certificate with those between it and a root; Key, its key.
	Cert, Key string
	// ClientCA are the roots of certificates that every client must have; "": clients
	// need none.
	ClientCA string
}

func (t TLS) on() bool { return t != (TLS{}) }

// certificates are the files of a TLS as they were last sound.
type certificates struct {
	files  TLS
	log    *slog.Logger
	config atomic.Pointer[tls.Config]

	mu     sync.Mutex
	bytes  [3][]byte // of the config
	refuse string    // why what is there now is not used
}

// openTLS reads the files. The error lists all that is wrong.
func openTLS(files TLS, log *slog.Logger) (*certificates, error) {
	if files.Cert == "" || files.Key == "" {
		return nil, errors.New("TLS needs a certificate and its key: --tls-cert and --tls-key")
	}
	t := &certificates{files: files, log: log}
	if err := t.load(); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return t, nil
}

// load takes up the files, if they differ from those in use and are sound together.
func (t *certificates) load() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var now [3][]byte
	var faults []error
	for i, name := range []string{t.files.Cert, t.files.Key, t.files.ClientCA} {
		if name == "" {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			faults = append(faults, err)
		}
		now[i] = b
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if t.config.Load() != nil && bytes.Equal(now[0], t.bytes[0]) && bytes.Equal(now[1], t.bytes[1]) && bytes.Equal(now[2], t.bytes[2]) {
		return nil
	}
	pair, err := tls.X509KeyPair(now[0], now[1])
	if err != nil {
		return fmt.Errorf("%s with %s: %w", t.files.Cert, t.files.Key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if t.files.ClientCA != "" {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.SessionTicketsDisabled = true // each connection is judged by the roots of its day
		if !c.ClientCAs.AppendCertsFromPEM(now[2]) {
			return fmt.Errorf("%s has no certificate in PEM", t.files.ClientCA)
		}
	}
	t.bytes = now
	t.config.Store(c)
	return nil
}

// server is the configuration to listen with: each handshake takes what is sound at that
// moment.
func (t *certificates) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return t.config.Load(), nil },
	}
}

// watch looks at the files from time to time. What is not sound is said once, and leaves
// what is in use; so do a certificate and a key that do not fit each other, as while both
// are being replaced.
func (t *certificates) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := t.config.Load()
		err := t.load()
		switch {
		case err == nil && t.config.Load() != before:
			t.log.Info("the TLS certificate was replaced", slog.Time("until", until(t.config.Load())))
		case err != nil && err.Error() != t.refuse:
			t.log.Error("the TLS files cannot be used: those before stay", slog.Any("error", err))
		}
		t.refuse = ""
		if err != nil {
			t.refuse = err.Error()
		}
	}
}

// until is when the certificate ends.
func until(c *tls.Config) time.Time {
	if leaf := c.Certificates[0].Leaf; leaf != nil {
		return leaf.NotAfter
	}
	return time.Time{}
}
