// Package template loads the RAM of templates into sealed memory files that all clones map copy-on-write.
//
// QEMU 7.2 opens the file behind a memory backend read-write even when it maps it privately. A memfd sealed against writing is
// a file that can be opened so and that nobody, root included, can change.
package template

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"cofferdam.dev/node-helper/internal/safepath"
	"golang.org/x/sys/unix"
)

const (
	maxRAM = 64 << 30
	page   = 4096
	// VMMs hold what they use; the store only spares a second load.
	kept = 16
	// Of all that is kept together, holes left out: it is the host's memory.
	keptBytes = 8 << 30

	seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
)

// Store keeps the memory files, by digest.
type Store struct {
	root string
	mu   sync.Mutex
	held map[string]*memory
}

type memory struct {
	file  *os.File
	used  time.Time
	bytes int64 // without holes
}

// NewStore loads nothing yet.
func NewStore(root string) *Store { return &Store{root: root, held: map[string]*memory{}} }

// Dir opens the template's directory.
func (s *Store) Dir(digest string) (*os.File, error) {
	root, err := safepath.OpenDir(s.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return safepath.OpenAt(root, digest, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// Memory returns a descriptor of the template's RAM, the caller's to close. It loads the file if no earlier call did.
func (s *Store) Memory(digest string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.held[digest]
	if m == nil {
		file, err := s.load(digest)
		if err != nil {
			return nil, err
		}
		var stat unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
			return nil, errors.Join(err, file.Close())
		}
		m = &memory{file: file, bytes: stat.Blocks * 512}
		s.held[digest] = m
		s.evict(digest)
	}
	m.used = time.Now()
	fd, err := unix.FcntlInt(m.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), m.file.Name()), nil
}

// Forget gives back the memory that a template took; VMMs that have it keep it. Idempotent.
func (s *Store) Forget(digest string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.held[digest]
	if m == nil {
		return nil
	}
	delete(s.held, digest)
	return m.file.Close()
}

func (s *Store) evict(except string) {
	var bytes int64
	for _, m := range s.held {
		bytes += m.bytes
	}
	for len(s.held) > 1 && (len(s.held) > kept || bytes > keptBytes) {
		oldest := ""
		for digest, m := range s.held {
			if digest != except && (oldest == "" || m.used.Before(s.held[oldest].used)) {
				oldest = digest
			}
		}
		bytes -= s.held[oldest].bytes
		s.held[oldest].file.Close()
		delete(s.held, oldest)
	}
}

func (s *Store) load(digest string) (*os.File, error) {
	dir, err := s.Dir(digest)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	ram, stat, err := safepath.OpenRegular(dir, "ram", unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer ram.Close()
	if stat.Size <= 0 || stat.Size > maxRAM || stat.Size%page != 0 {
		return nil, fmt.Errorf("%s has %d bytes, expected whole pages up to %d", ram.Name(), stat.Size, int64(maxRAM))
	}
	name := "template-" + digest
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd: %w", err)
	}
	memory := os.NewFile(uintptr(fd), name)
	if err := fill(memory, ram, stat.Size); err != nil {
		return nil, errors.Join(fmt.Errorf("load %s: %w", ram.Name(), err), memory.Close())
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, errors.Join(fmt.Errorf("seal: %w", err), memory.Close())
	}
	return memory, nil
}

// fill copies the data and leaves the holes.
func fill(to, from *os.File, size int64) error {
	if err := unix.Ftruncate(int(to.Fd()), size); err != nil {
		return err
	}
	for offset := int64(0); offset < size; {
		data, err := unix.Seek(int(from.Fd()), offset, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // a hole up to the end
		}
		if err != nil {
			return err
		}
		hole, err := unix.Seek(int(from.Fd()), data, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if err := copyRange(to, from, data, min(hole, size)); err != nil {
			return err
		}
		offset = hole
	}
	return nil
}

func copyRange(to, from *os.File, start, end int64) error {
	if _, err := unix.Seek(int(to.Fd()), start, io.SeekStart); err != nil {
		return err
	}
	for at := start; at < end; {
		n, err := unix.Sendfile(int(to.Fd()), int(from.Fd()), &at, int(min(end-at, 1<<30)))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrUnexpectedEOF
		}
	}
	return nil
}
