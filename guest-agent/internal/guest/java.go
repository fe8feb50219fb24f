package guest

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the form's own, and no secret: the password is known to all
	"encoding"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"unicode/utf16"
)

const (
	// javaPath is the bundle for Java, whose runtimes read no PEM: a key store of the form JKS, which each of them reads.
	javaPath = "/usr/local/share/cofferdam/java-cacerts"
	// javaPassword is what a JDK's own store has, and what tools take when they are not told another.
	javaPassword = "changeit"

	javaMagic   = 0xfeedfeed
	javaVersion = 2
	javaHeader  = 12
	javaTrusted = 2
)

// javaStore is what was written ahead, so that one certificate more costs no look at the others: Configure is waited for.
type javaStore struct {
	entries int
	// size is without the digest that ends the file.
	size   int64
	digest []byte
	// more is the state of the digest of a store that begins like this one and has one entry more.
	more []byte
}

// stageJava writes a store of what the bundle holds.
func (f *files) stageJava() error {
	bundle, err := os.ReadFile(f.at(bundlePath))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	certificates := certificatesOf(bundle)
	var body bytes.Buffer
	for n, certificate := range certificates {
		body.Write(javaEntry(fmt.Sprintf("bundle-%d", n), certificate))
	}
	digest := javaDigest(len(certificates))
	digest.Write(body.Bytes())
	more := javaDigest(len(certificates) + 1)
	more.Write(body.Bytes())
	state, err := more.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return err
	}
	store := &javaStore{entries: len(certificates), size: int64(javaHeader + body.Len()), digest: digest.Sum(nil), more: state}
	content := append(javaBegin(store.entries), body.Bytes()...)
	if err := f.fill(javaPath, string(append(content, store.digest...))); err != nil {
		return err
	}
	f.java = store
	return nil
}

// trustJava adds the first certificate to what was staged.
func (f *files) trustJava(certificates string) error {
	added := certificatesOf([]byte(certificates))
	if len(added) == 0 {
		return nil // Whoever sent it is told by those that read the bundle.
	}
	if f.java == nil {
		if err := f.stageJava(); err != nil {
			return err
		}
	}
	digest := sha1.New() //nolint:gosec // see above
	if err := digest.(encoding.BinaryUnmarshaler).UnmarshalBinary(f.java.more); err != nil {
		return err
	}
	entry := javaEntry("cofferdam", added[0])
	digest.Write(entry)
	return f.endJava(f.java.entries+1, digest.Sum(entry), f.java.size)
}

// distrustJava takes back what trustJava added.
func (f *files) distrustJava() error {
	if f.java == nil {
		return nil
	}
	return f.endJava(f.java.entries, f.java.digest, f.java.size)
}

// endJava writes what differs between a store and one with an entry more.
func (f *files) endJava(entries int, end []byte, at int64) error {
	file, err := f.open(javaPath, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(javaBegin(entries), 0)
	if err == nil {
		_, err = file.WriteAt(end, at)
	}
	if err == nil {
		err = file.Truncate(at + int64(len(end)))
	}
	return errors.Join(err, file.Close())
}

func certificatesOf(text []byte) [][]byte {
	var found [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			found = append(found, block.Bytes)
		}
	}
	return found
}

// javaDigest begins the digest of a store, as sun.security.provider.JavaKeyStore has it.
func javaDigest(entries int) hash.Hash {
	digest := sha1.New() //nolint:gosec // see above
	for _, unit := range utf16.Encode([]rune(javaPassword)) {
		digest.Write(binary.BigEndian.AppendUint16(nil, unit))
	}
	digest.Write([]byte("Mighty Aphrodite"))
	digest.Write(javaBegin(entries))
	return digest
}

func javaBegin(entries int) []byte {
	begin := binary.BigEndian.AppendUint32(nil, javaMagic)
	begin = binary.BigEndian.AppendUint32(begin, javaVersion)
	return binary.BigEndian.AppendUint32(begin, uint32(entries))
}

// javaEntry has no time: nobody asks when it was made.
func javaEntry(alias string, certificate []byte) []byte {
	entry := binary.BigEndian.AppendUint32(nil, javaTrusted)
	entry = appendJavaText(entry, alias)
	entry = binary.BigEndian.AppendUint64(entry, 0)
	entry = appendJavaText(entry, "X.509")
	entry = binary.BigEndian.AppendUint32(entry, uint32(len(certificate)))
	return append(entry, certificate...)
}

func appendJavaText(to []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(text))), text...)
}
