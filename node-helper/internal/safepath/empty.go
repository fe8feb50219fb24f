package safepath

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const namesAtATime = 1024

// Empty removes all that lies in a directory. Whoever filled it may have nested directories without end, so what lies deeper is moved up first:
// neither descriptors nor the stack grow with the depth. No link is followed.
func Empty(dir *os.File) error {
	moved := 0
	for {
		names, err := someNames(dir)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, name := range names {
			isDir, err := unlink(dir, name)
			if err == nil && isDir {
				err = removeFlat(dir, name, &moved)
			}
			if err != nil {
				return fmt.Errorf("remove %s/%s: %w", dir.Name(), name, err)
			}
		}
	}
}

// removeFlat removes a directory of dir, whose own directories become dir's.
func removeFlat(dir *os.File, name string, moved *int) error {
	child, err := OpenAt(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer child.Close()
	for {
		names, err := someNames(child)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return unix.Unlinkat(int(dir.Fd()), name, unix.AT_REMOVEDIR)
		}
		for _, inner := range names {
			isDir, err := unlink(child, inner)
			if err == nil && isDir {
				err = moveUp(child, inner, dir, moved)
			}
			if err != nil {
				return err
			}
		}
	}
}

func moveUp(child *os.File, name string, dir *os.File, moved *int) error {
	for {
		*moved++
		err := unix.Renameat2(int(child.Fd()), name, int(dir.Fd()), fmt.Sprintf(".moved-%d", *moved), unix.RENAME_NOREPLACE)
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
}

// unlink removes anything but a directory, which it only recognises.
func unlink(dir *os.File, name string) (isDir bool, err error) {
	err = unix.Unlinkat(int(dir.Fd()), name, 0)
	if errors.Is(err, unix.EISDIR) {
		return true, nil
	}
	return false, err
}

func someNames(dir *os.File) ([]string, error) {
	if _, err := dir.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	names, err := dir.Readdirnames(namesAtATime)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return names, err
}
