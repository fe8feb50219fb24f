//go:build vm

package vm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
)

// authority is a root as the broker makes one per lineage.
type authority struct {
	pem         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sandbox root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), certificate, key}
}

// leaf is a certificate for a name with its key, PEM.
func (a *authority) leaf(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

const echoServer = `
import http.server, ssl
s = http.server.HTTPServer(("127.0.0.1", 443), http.server.SimpleHTTPRequestHandler)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain("/srv/leaf.pem")
s.socket = c.wrap_socket(s.socket, server_side=True)
print("ready", flush=True); s.serve_forever()
`

// clients are commands that print "trusted" if they got an answer over a verified connection.
var clients = map[string]string{
	"curl":            "curl -sSf https://api.test/index.html",
	"curl, no env":    "env -i /usr/bin/curl -sSf https://api.test/index.html",
	"python ssl":      `python3 -c 'import urllib.request as u; print(u.urlopen("https://api.test/index.html").read().decode())'`,
	"python requests": `python3 -c 'import requests; print(requests.get("https://api.test/index.html").text)'`,
	"node":            `node -e 'fetch("https://api.test/index.html").then(r => r.text()).then(console.log).catch(e => { console.error(e); process.exit(1) })'`,
	"openssl":         "openssl s_client -connect api.test:443 -verify_return_error </dev/null >/dev/null 2>&1 && echo trusted",
	"openssl, no env": "env -i /usr/bin/openssl s_client -connect api.test:443 -verify_return_error </dev/null >/dev/null 2>&1 && echo trusted",
	// No repository is there: that git got as far as finding out is the proof.
	"git": "git ls-remote https://api.test/none 2>&1 | grep -q 'not found' && echo trusted",
}

func trusts(t *testing.T, trusting, other *guest, a *authority) {
	leaf := a.leaf(t, "api.test")
	for _, g := range []*guest{trusting, other} {
		g.write("/srv/leaf.pem", leaf)
		g.write("/srv/index.html", "trusted\n")
		g.write("/srv/server.py", echoServer)
		g.run("sh", "-c", "echo 127.0.0.1 api.test >> /etc/hosts")
		stream, err := g.start(&v1.ProcessSpec{Argv: []string{"python3", "server.py"}, WorkingDirectory: "/srv"})
		if err != nil {
			t.Fatal(err)
		}
		for ready := false; !ready; {
			event, err := stream.Recv()
			if err != nil || event.GetExited() != nil {
				t.Fatalf("the guest's TLS server: %v %v", event, err)
			}
			ready = strings.Contains(string(event.GetStdout().GetData()), "ready")
		}
		go func() { // Its log must not hold it back.
			for err == nil || err == io.EOF {
				if _, err = stream.Recv(); err != nil {
					return
				}
			}
		}()
	}
	for name, command := range clients {
		accepted, err := trusting.try("sh", "-c", command)
		if err != nil || strings.TrimSpace(accepted.stdout) != "trusted" {
			t.Errorf("%s does not trust the sandbox's root: %v %s %s", name, err, accepted.stdout, accepted.stderr)
		}
		refused, err := other.try("sh", "-c", command)
		if err != nil || strings.TrimSpace(refused.stdout) == "trusted" {
			t.Errorf("%s trusts a root that its sandbox was not given: %v", name, err)
		}
		t.Logf("%s: %v", name, accepted.took.Round(time.Millisecond))
	}
}
