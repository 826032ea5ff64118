package notify

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true,
		"2606:4700:4700::1111": true, "2a00:1450::1": true, "::ffff:8.8.8.8": true, "2001:200::1": true,
		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "127.0.0.1": false, "127.255.255.254": false, "169.254.169.254": false,
		"172.16.0.1": false, "172.31.255.255": false, "192.168.0.1": false, "100.64.0.1": false, "100.127.255.255": false,
		"192.0.0.1": false, "192.0.2.1": false, "192.88.99.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false,
		"203.0.113.1": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "::ffff:10.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false,
		"::10.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false, "100::1": false, "fc00::1": false, "fd00:ec2::254": false,
		"fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false, "2001::1": false, "2001:db8::1": false,
		"2002:7f00:1::": false, "2002:a9fe:a9fe::": false, "3fff::1": false, "4000::1": false,
	} {
		if got := public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %v", address, got)
		}
	}
}

func TestURLs(t *testing.T) {
	for text, fault := range map[string]string{
		"https://hooks.example.com/in?token=1":       "",
		"https://hooks.example.com:8443":             "",
		"https://[2606:4700:4700::1111]/":            "",
		"http://hooks.example.com/":                  "plain http",
		"ftp://hooks.example.com/":                   "scheme",
		"hooks.example.com/in":                       "https://host/path",
		"https:///in":                                "https://host/path",
		"https://":                                   "https://host/path",
		"":                                           "https://host/path",
		"https://user:pass@hooks.example.com/":       "user name",
		"https://hooks.example.com/#top":             "fragment",
		"https://localhost/":                         "this machine",
		"https://LOCALHOST./":                        "this machine",
		"https://a.localhost/":                       "this machine",
		"https://127.0.0.1/":                         "no public address",
		"https://[::1]:443/":                         "no public address",
		"https://[::ffff:169.254.169.254]/":          "no public address",
		"https://10.1.2.3/":                          "no public address",
		"https://x/" + strings.Repeat("y", 2*maxURL): "bytes",
		"https://a b/":                               "https://host/path",
	} {
		err := checkURL(text, false)
		if fault == "" && err != nil || fault != "" && (err == nil || !strings.Contains(err.Error(), fault)) {
			t.Errorf("%q: %v, want %q", text, err, fault)
		}
	}
	for _, text := range []string{"http://127.0.0.1:8080/in", "https://10.0.0.1/", "http://localhost"} {
		if err := checkURL(text, true); err != nil {
			t.Errorf("%q, allowed: %v", text, err)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	f.Add("https://hooks.example.com/in?token=1")
	f.Add("https://[::ffff:169.254.169.254]/")
	f.Fuzz(func(t *testing.T, text string) {
		if checkURL(text, false) == nil && checkURL(text, true) != nil {
			t.Errorf("%q is taken only where less is allowed", text)
		}
	})
}

// names is a server of names in which each means the one address.
func names(t *testing.T, address string) *net.Resolver {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { c.Close(); <-done })
	a := netip.MustParseAddr(address)
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		for {
			k, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:k]) != nil || len(m.Questions) == 0 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Authoritative, m.Additionals = true, true, nil
			h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
			switch {
			case q.Type == dnsmessage.TypeA && a.Is4():
				m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: a.As4()}}}
			case q.Type == dnsmessage.TypeAAAA && a.Is6():
				m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = c.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

// A name of the world that means a private address is refused when it is sent to,
// without a connection.
func TestNamesOfPrivateAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for _, address := range []string{"127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1", "fd00:ec2::254"} {
		d := newDialer(false)
		d.Resolver = names(t, address)
		c, err := d.Dial("tcp", net.JoinHostPort("hooks.example.com", strconv.Itoa(port)))
		if err == nil {
			c.Close()
			t.Errorf("%s was connected to", address)
			continue
		}
		var private *privateError
		if !errors.As(err, &private) || private.addr.Unmap() != netip.MustParseAddr(address).Unmap() {
			t.Errorf("%s: %v", address, err)
		}
	}
	d := newDialer(true)
	d.Resolver = names(t, "127.0.0.1")
	c, err := d.Dial("tcp", net.JoinHostPort("hooks.example.com", strconv.Itoa(port)))
	if err != nil {
		t.Fatal("allowed, and not connected to: ", err)
	}
	c.Close()
}
