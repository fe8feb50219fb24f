package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	bundlePath = "/etc/ssl/certs/ca-certificates.crt"
	rootPath   = "/usr/local/share/ca-certificates/cofferdam.crt"
)

// trustEnvironment is for the clients that do not read the guest's bundle by themselves: OpenSSL without Debian's
// defaults (and with it Python, Ruby, Go), Python's requests with its own bundle, Node.js, Java. A process's own values win;
// Java's are those of its command line.
var trustEnvironment = map[string]string{
	"SSL_CERT_FILE":       bundlePath,
	"REQUESTS_CA_BUNDLE":  bundlePath,
	"CURL_CA_BUNDLE":      bundlePath,
	"GIT_SSL_CAINFO":      bundlePath,
	"NODE_EXTRA_CA_CERTS": rootPath,
	"JAVA_TOOL_OPTIONS":   "-Djavax.net.ssl.trustStore=" + javaPath,
}

// files is a guest's file system; root is "/" but in tests.
//
// Files are written in place: before Configure has answered nobody can read half of one, and under emulation making and
// renaming four files of an overlay takes 60 ms more than filling four that are there (see stage).
type files struct {
	root string
	java *javaStore // nil until it is staged
}

// stage makes each file writable ahead, while a template is prepared: the overlay has then copied it to the sandbox's
// disk, and its clones need not.
func (f *files) stage() error {
	for _, path := range []string{"/etc/hostname", "/etc/hosts", "/etc/machine-id", rootPath, bundlePath} {
		file, err := f.open(path, 0)
		if err != nil {
			return err
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return f.stageJava()
}

func (f *files) writeNames(hostname, machineID string) error {
	hosts := fmt.Sprintf("127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n", hostname)
	if err := f.fill("/etc/hostname", hostname+"\n"); err != nil {
		return err
	}
	if err := f.fill("/etc/hosts", hosts); err != nil {
		return err
	}
	return f.fill("/etc/machine-id", machineID+"\n")
}

// trust adds certificates to the bundle that the guest's programs read, and to where update-ca-certificates(8) looks,
// so that a run of it keeps them. One that fails leaves the bundle as it was.
func (f *files) trust(certificates string) error {
	if certificates == "" {
		return nil
	}
	added := strings.TrimRight(certificates, "\n") + "\n"
	if known, err := os.ReadFile(f.at(rootPath)); err == nil && string(known) == added {
		// A copy of a sandbox has its lineage's root already; one of an older agent's has no store for Java.
		if _, err := os.Stat(f.at(javaPath)); err == nil {
			return nil
		}
		return f.trustJava(added)
	}
	if err := f.fill(rootPath, added); err != nil {
		return err
	}
	// Before it is in the bundle too: a store that was not staged is made of that.
	if err := f.trustJava(added); err != nil {
		return err
	}
	bundle, err := f.open(bundlePath, os.O_APPEND)
	if err != nil {
		return err
	}
	defer bundle.Close()
	info, err := bundle.Stat()
	if err != nil {
		return err
	}
	// The empty line is for a bundle whose last line has no end.
	if _, err := bundle.WriteString("\n" + added); err != nil {
		return errors.Join(err, bundle.Truncate(info.Size()))
	}
	return nil
}

// distrust takes back what trust added last.
func (f *files) distrust(certificates string) error {
	if certificates == "" {
		return nil
	}
	if err := errors.Join(f.fill(rootPath, ""), f.distrustJava()); err != nil {
		return err
	}
	bundle, err := f.open(bundlePath, 0)
	if err != nil {
		return err
	}
	defer bundle.Close()
	info, err := bundle.Stat()
	if err != nil {
		return err
	}
	added := int64(len("\n") + len(strings.TrimRight(certificates, "\n")) + len("\n"))
	return bundle.Truncate(info.Size() - added)
}

// fill leaves a file with this content. It is cut after it was written, not before: what ext4 finds emptied and filled
// again it writes to the disk at the close (auto_da_alloc, ext4(5)), which took half of Configure's time.
func (f *files) fill(path, content string) error {
	file, err := f.open(path, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(content)
	if err == nil {
		err = file.Truncate(int64(len(content)))
	}
	return errors.Join(err, file.Close())
}

func (f *files) open(path string, flags int) (*os.File, error) {
	path = f.at(path)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, 0o644)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|flags, 0o644)
}

func (f *files) at(path string) string { return filepath.Join(f.root, path) }
