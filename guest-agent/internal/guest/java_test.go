package guest

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the form's own
	"encoding/binary"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

func pemOf(content string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(content)}))
}

// readJava is the form by its description, with its digest, and not by what wrote it.
func readJava(t *testing.T, f *files) []string {
	t.Helper()
	content, err := os.ReadFile(f.at(javaPath))
	if err != nil {
		t.Fatal(err)
	}
	text, end := content[:len(content)-20], content[len(content)-20:]
	salted := append([]byte("\x00c\x00h\x00a\x00n\x00g\x00e\x00i\x00tMighty Aphrodite"), text...)
	if digest := sha1.Sum(salted); !bytes.Equal(digest[:], end) { //nolint:gosec // see above
		t.Errorf("the store ends with %x, its digest is %x", end, digest)
	}
	next := func(length int) []byte {
		if length > len(text) {
			t.Fatalf("%d bytes are left, %d are said to follow", len(text), length)
		}
		part := text[:length]
		text = text[length:]
		return part
	}
	number := func() int { return int(binary.BigEndian.Uint32(next(4))) }
	word := func() string { return string(next(int(binary.BigEndian.Uint16(next(2))))) }
	if number() != 0xfeedfeed || number() != 2 {
		t.Fatal("no JKS of version 2")
	}
	found := make([]string, number())
	aliases := map[string]bool{}
	for n := range found {
		if number() != 2 {
			t.Fatal("no entry of a certificate")
		}
		alias := word()
		if aliases[alias] {
			t.Errorf("%s is there twice", alias)
		}
		aliases[alias] = true
		next(8)
		if word() != "X.509" {
			t.Fatal("no certificate")
		}
		found[n] = string(next(number()))
	}
	if len(text) > 0 {
		t.Errorf("%d bytes follow the last entry", len(text))
	}
	return found
}

func sees(t *testing.T, f *files, expected ...string) {
	t.Helper()
	found := readJava(t, f)
	if len(found) != len(expected) {
		t.Fatalf("%q, expected %q", found, expected)
	}
	for n := range found {
		if found[n] != expected[n] {
			t.Errorf("%q, expected %q", found, expected)
		}
	}
}

func TestJavaSeesTheBundleAndTheSandboxesRoot(t *testing.T) {
	other := string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte("no certificate")}))
	for _, staged := range []bool{true, false} {
		f := &files{root: t.TempDir()}
		if err := os.MkdirAll(filepath.Dir(f.at(bundlePath)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.at(bundlePath), []byte("# first\n"+pemOf("first")+other+pemOf("second")), 0o644); err != nil {
			t.Fatal(err)
		}
		if staged {
			if err := f.stage(); err != nil {
				t.Fatal(err)
			}
			sees(t, f, "first", "second")
		}
		// A rehearsal's, longer than the real one, goes without a trace.
		if err := f.trust(pemOf("a root of a rehearsal")); err != nil {
			t.Fatal(err)
		}
		sees(t, f, "first", "second", "a root of a rehearsal")
		if err := f.distrust(pemOf("a root of a rehearsal")); err != nil {
			t.Fatal(err)
		}
		sees(t, f, "first", "second")
		for range 2 {
			if err := f.trust(pemOf("root")); err != nil {
				t.Fatal(err)
			}
			sees(t, f, "first", "second", "root")
		}
	}
}

// Its environment says that there is a store, whoever made its disk.
func TestADiskOfAnOlderAgentGetsAStore(t *testing.T) {
	f := &files{root: t.TempDir()}
	if err := f.trust(pemOf("root")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.at(javaPath)); err != nil {
		t.Fatal(err)
	}
	f.java = nil
	if err := f.trust(pemOf("root")); err != nil {
		t.Fatal(err)
	}
	sees(t, f, "root", "root")
}
