package notify

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// privateError is an address that is not sent to.
type privateError struct{ addr netip.Addr }

func (e *privateError) Error() string {
	return fmt.Sprintf("%s is no public address: start the server with --webhook-allow-private to send there", e.addr)
}

// special are the ranges that are not for the world, of the IANA registries of special
// purposes (RFC 6890 and its successors), and multicast. 6to4 and Teredo hold an IPv4
// address and would lead around the check of that.
func special() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT, RFC 6598
		netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("169.254.0.0/16"), // link-local, and the metadata of clouds
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("192.0.2.0/24"),
		netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
		netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("2001::/23"), // Teredo is in it
		netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("2002::/16"), // 6to4
		netip.MustParsePrefix("3fff::/20"),
	}
}

// public says whether an address is one of the world. An IPv4 address written as IPv6
// (::ffff:10.0.0.1) is what it holds; of IPv6 only 2000::/3 is given out to the world.
func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsValid() || a.Zone() != "" || a.Is6() && !netip.MustParsePrefix("2000::/3").Contains(a) {
		return false
	}
	for _, p := range special() {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// guard refuses connections to addresses that are not public. It is asked after the name
// is resolved, for each connection: what a name meant earlier does not count.
func guard(_ context.Context, _, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !public(ap.Addr()) {
		return &privateError{ap.Addr()}
	}
	return nil
}

func newDialer(private bool) *net.Dialer {
	d := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if !private {
		d.ControlContext = guard
	}
	return d
}

// newTransport makes the transport of webhooks. It asks no proxy of the environment,
// which would resolve names behind the guard's back.
func newTransport(private bool, concurrency int) *http.Transport {
	return &http.Transport{
		DialContext: newDialer(private).DialContext, ForceAttemptHTTP2: true, DisableCompression: true,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns: 100, MaxIdleConnsPerHost: concurrency, IdleConnTimeout: 30 * time.Second,
	}
}

// maxURL bounds an endpoint's URL, in bytes.
const maxURL = 2048

// checkURL says what is wrong with the URL of an endpoint. Whether its name leads to a
// private address is known only when it is sent to.
func checkURL(text string, private bool) error {
	if len(text) > maxURL {
		return fmt.Errorf("it has %d bytes, at most %d are taken", len(text), maxURL)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return fmt.Errorf("write it as https://host/path")
	case u.Scheme == "http" && !private:
		return fmt.Errorf("plain http shows the data to all on the way: use https, or start the server with --webhook-allow-private")
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("its scheme must be https")
	case u.User != nil:
		return fmt.Errorf("it has a user name, which would be shown wherever it is: receivers check the signature instead")
	case u.Fragment != "":
		return fmt.Errorf("it has a fragment, which is never sent")
	}
	if private {
		return nil
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return fmt.Errorf("%s is this machine: start the server with --webhook-allow-private to send there", host)
	}
	if a, err := netip.ParseAddr(host); err == nil && !public(a) {
		return &privateError{a}
	}
	return nil
}
