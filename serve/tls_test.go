package serve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"propensity/models/registry"
)

// authority signs certificates of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := new(authority)
	a.pem, _, a.cert, a.key = certify(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	return a
}

func certify(t testing.TB, like *x509.Certificate, by *authority) (certPEM, keyPEM []byte, cert *x509.Certificate, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	like.SerialNumber, like.NotBefore, like.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := like, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, like, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), cert, key
}

func (a *authority) server(t testing.TB) (certPEM, keyPEM []byte, serial string) {
	t.Helper()
	c, k, cert, _ := certify(t, &x509.Certificate{DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, a)
	return c, k, cert.SerialNumber.String()
}

func (a *authority) client(t testing.TB) tls.Certificate {
	t.Helper()
	c, k, _, _ := certify(t, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, a)
	pair, err := tls.X509KeyPair(c, k)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// secured is a server of TLS that Run runs.
type secured struct {
	*running
	fixture *fixture
	files   TLS
	by      *authority
	serial  string
	log     *page
}

func withTLS(t *testing.T, clients *authority) *secured {
	t.Helper()
	dir := t.TempDir()
	s := &secured{by: newAuthority(t, "servers"), files: TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}, log: new(page)}
	c, k, serial := s.by.server(t)
	s.serial = serial
	replaceFile(t, s.files.Cert, c)
	replaceFile(t, s.files.Key, k)
	if clients != nil {
		s.files.ClientCA = filepath.Join(dir, "clients.pem")
		replaceFile(t, s.files.ClientCA, clients.pem)
	}
	s.fixture = churn(t, Config{TLS: s.files, Logger: s.log.logger()})
	s.running = run(t, s.fixture)
	s.url = strings.Replace(s.url, "http://", "https://", 1)
	t.Cleanup(func() {
		s.stop()
		if err := <-s.done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *secured) dial(config *tls.Config) (*tls.Conn, error) {
	config.RootCAs = s.by.roots()
	d := &tls.Dialer{Config: config, NetDialer: &net.Dialer{Timeout: 5 * time.Second}}
	c, err := d.Dial("tcp", strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		return nil, err
	}
	return c.(*tls.Conn), nil
}

func (s *secured) client(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	config.RootCAs = s.by.roots()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestTLSVersions(t *testing.T) {
	s := withTLS(t, nil)
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := s.dial(&tls.Config{MinVersion: version, MaxVersion: version})
		if (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			c.Close()
		}
	}
	// A client of old ciphers alone (CBC, RSA key exchange) is turned away.
	if _, err := s.dial(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_GCM_SHA384}}); err == nil {
		t.Error("an old cipher was taken")
	}
	resp, err := s.client(t, &tls.Config{}).Get(s.url + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	if got := readReply(t, resp); resp.ProtoMajor != 2 || got.header.Get("Strict-Transport-Security") != "max-age=31536000" {
		t.Errorf("HTTP/%d %v", resp.ProtoMajor, got.header)
	}
	// A client that speaks no TLS is told.
	plain, err := http.Get(strings.Replace(s.url, "https://", "http://", 1) + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	if got := readReply(t, plain); got.status != 400 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A batch over HTTP/2 is answered line by line while it is sent.
func TestBatchOverHTTP2(t *testing.T) {
	s := withTLS(t, nil)
	in, out := io.Pipe()
	req, err := http.NewRequest("POST", s.url+batchPath, in)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	go io.WriteString(out, requestOf("A-0", wholeRow)+"\n")
	resp, err := s.client(t, &tls.Config{}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Fatalf("HTTP/%d, %d", resp.ProtoMajor, resp.StatusCode)
	}
	lines := bufio.NewReader(resp.Body)
	for _, account := range []string{"A-1", "A-2", "A-3", ""} {
		line, err := lines.ReadString('\n') // of the line before: the next has not been sent
		if err != nil || !strings.Contains(line, `"probability"`) {
			t.Fatalf("%q, %v", line, err)
		}
		if account != "" {
			io.WriteString(out, requestOf(account, wholeRow)+"\n")
		}
	}
	out.Close()
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// The files change while clients shake hands: none fails, whatever is in the files, and
// the new certificate is shown soon.
func TestCertificateIsReplaced(t *testing.T) {
	s := withTLS(t, nil)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var group sync.WaitGroup
	var shaken atomic.Int64
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				c, err := s.dial(&tls.Config{})
				if err != nil {
					t.Errorf("a handshake failed: %v", err)
					return
				}
				shaken.Add(1)
				c.Close()
			}
		})
	}
	shows := func(serial string) func() bool {
		return func() bool {
			c, err := s.dial(&tls.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			return c.ConnectionState().PeerCertificates[0].SerialNumber.String() == serial
		}
	}
	for range 3 {
		c, k, serial := s.by.server(t)
		before := strings.Count(s.log.String(), "those before stay")
		replaceFile(t, s.files.Cert, c) // with the old key for a moment
		s.fixture.eventually(t, "a look at a pair that does not fit", func() bool { return strings.Count(s.log.String(), "those before stay") > before })
		replaceFile(t, s.files.Key, k)
		s.fixture.eventually(t, "the new certificate", shows(serial))
		s.serial = serial
	}
	for name, b := range map[string][]byte{s.files.Cert: []byte("no PEM"), s.files.Key: {}} {
		was, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		before := strings.Count(s.log.String(), "those before stay")
		replaceFile(t, name, b)
		s.fixture.eventually(t, "a look at the damaged file", func() bool { return strings.Count(s.log.String(), "those before stay") > before })
		if !shows(s.serial)() {
			t.Error("another certificate")
		}
		replaceFile(t, name, was)
	}
	s.fixture.eventually(t, "many handshakes", func() bool { return shaken.Load() > 20 })
	stop()
	group.Wait()
}

// With roots of clients, a connection needs a certificate of theirs; the roots can be
// replaced, and no ticket of an earlier session gets around that.
func TestClientCertificates(t *testing.T) {
	ours, others := newAuthority(t, "clients"), newAuthority(t, "others")
	s := withTLS(t, ours)
	works := func(config *tls.Config) bool {
		client := s.client(t, config)
		defer client.CloseIdleConnections()
		resp, err := client.Get(s.url + "/livez")
		if err != nil {
			return false
		}
		return readReply(t, resp).status == 200
	}
	sessions := tls.NewLRUClientSessionCache(8)
	mine := &tls.Config{Certificates: []tls.Certificate{ours.client(t)}, ClientSessionCache: sessions}
	for range 2 { // the second may come with a ticket of the first
		if !works(mine) {
			t.Fatal("a client's certificate was refused")
		}
	}
	if works(&tls.Config{}) {
		t.Error("no certificate is needed")
	}
	if works(&tls.Config{Certificates: []tls.Certificate{others.client(t)}}) {
		t.Error("another's certificate was taken")
	}
	replaceFile(t, s.files.ClientCA, others.pem)
	s.fixture.eventually(t, "refused", func() bool { return !works(mine) })
	if !works(&tls.Config{Certificates: []tls.Certificate{others.client(t)}}) {
		t.Error("the new roots do not count")
	}
}

func TestTLSFilesThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	c, k, _ := newAuthority(t, "a").server(t)
	_, otherKey, _ := newAuthority(t, "b").server(t)
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		replaceFile(t, path, b)
		return path
	}
	cert, key, other, empty := put("c.pem", c), put("k.pem", k), put("o.pem", otherKey), put("e.pem", nil)
	for _, files := range []TLS{
		{Cert: cert}, {Key: key}, {ClientCA: cert}, {Cert: cert, Key: other}, {Cert: key, Key: cert}, {Cert: cert, Key: key, ClientCA: empty},
		{Cert: cert, Key: filepath.Join(dir, "none.pem")}, {Cert: empty, Key: key},
	} {
		if s, err := New(Config{Registry: registry.Open(dir), TLS: files}); err == nil || bytes.Contains([]byte(err.Error()), k) {
			t.Errorf("%+v: %v", files, err)
			s.Close()
		}
	}
}
