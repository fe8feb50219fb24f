package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// certificates holds one leaf per name. The CA survives a restart in its directory, so that a gateway that trusts it
// need not be told anew.
type certificates struct {
	authorityFile string
	fallback      *tls.Certificate
	byName        map[string]*tls.Certificate
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func openCertificates(dir string, names, faults []string) (*certificates, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	ca, err := openAuthority(dir)
	if err != nil {
		return nil, err
	}
	held := &certificates{
		authorityFile: filepath.Join(dir, "ca.pem"),
		byName:        map[string]*tls.Certificate{},
	}
	now := time.Now()
	for _, name := range names {
		leaf, err := ca.leaf(name, now.Add(-time.Hour), now.Add(30*24*time.Hour))
		if err != nil {
			return nil, err
		}
		held.byName[strings.ToLower(name)] = leaf
		if held.fallback == nil {
			held.fallback = leaf
		}
	}
	for _, fault := range faults {
		kind, name, found := strings.Cut(fault, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("--fault %q: want KIND=NAME", fault)
		}
		leaf, err := ca.faulty(kind, name, now)
		if err != nil {
			return nil, err
		}
		held.byName[strings.ToLower(name)] = leaf
	}
	return held, nil
}

func (c *certificates) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if leaf, held := c.byName[strings.ToLower(hello.ServerName)]; held {
		return leaf, nil
	}
	if c.fallback == nil {
		return nil, fmt.Errorf("no certificate for %q", hello.ServerName)
	}
	return c.fallback, nil
}

func openAuthority(dir string) (*authority, error) {
	certificateFile, keyFile := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	pair, err := tls.LoadX509KeyPair(certificateFile, keyFile)
	if err == nil {
		key, isEC := pair.PrivateKey.(*ecdsa.PrivateKey)
		if !isEC {
			return nil, fmt.Errorf("%s holds a %T, expected an EC key", keyFile, pair.PrivateKey)
		}
		return &authority{pair.Leaf, key}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Cofferdam test upstream CA"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	template.SerialNumber, err = serial()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	// The key goes first: a certificate without its key would be taken for a CA by whoever waits for the file.
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes}), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	return &authority{certificate, key}, nil
}

func (a *authority) leaf(name string, from, until time.Time) (*tls.Certificate, error) {
	return a.issue(a.certificate, a.key, name, from, until)
}

// faulty makes a leaf that a verifying client must refuse when it asks for name.
func (a *authority) faulty(kind, name string, now time.Time) (*tls.Certificate, error) {
	switch kind {
	case "expired":
		return a.leaf(name, now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	case "self-signed":
		return a.issue(nil, nil, name, now.Add(-time.Hour), now.Add(24*time.Hour))
	case "wrong-name":
		return a.leaf("not-"+name, now.Add(-time.Hour), now.Add(24*time.Hour))
	default:
		return nil, fmt.Errorf("--fault kind %q: want expired, self-signed or wrong-name", kind)
	}
}

// issue signs with the given parent, or with the leaf's own key when there is none.
func (a *authority) issue(parent *x509.Certificate, signer *ecdsa.PrivateKey, name string, from, until time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		DNSNames:    []string{name},
		NotBefore:   from,
		NotAfter:    until,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if template.SerialNumber, err = serial(); err != nil {
		return nil, err
	}
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("certificate for %q: %w", name, err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func serial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}
