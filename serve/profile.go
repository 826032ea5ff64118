package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// ErrProfiles is an address at which profiles may not be had.
var ErrProfiles = errors.New("profiles are for this machine alone")

// RunProfiles serves the profiles of the process (net/http/pprof) under /debug/pprof/ at an
// address of this machine, such as 127.0.0.1:6060, until ctx is done. They show what is in
// memory, so any other address is refused; ready, which may be nil, is told the address.
func RunProfiles(ctx context.Context, addr string, ready func(addr string)) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve: profiles: %w", err)
	}
	if !loopback(l.Addr()) {
		return errors.Join(fmt.Errorf("serve: %w: %s can be reached from elsewhere; use 127.0.0.1:6060", ErrProfiles, l.Addr()), l.Close())
	}
	m := http.NewServeMux()
	m.HandleFunc("/debug/pprof/", pprof.Index)
	m.HandleFunc("/debug/pprof/profile", pprof.Profile)
	m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	h := &http.Server{Handler: local(m), ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: time.Minute}
	context.AfterFunc(ctx, func() { h.Close() })
	if ready != nil {
		ready(l.Addr().String())
	}
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: profiles: %w", err)
	}
	return nil
}

// local refuses what a page in a browser of this machine asks for under a name of its own
// that leads here (DNS rebinding).
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "ask by a name of this machine", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
