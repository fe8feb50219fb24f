package vmm

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const sysBlock = "/sys/dev/block"

// diskOf is the "major:minor" that limits of I/O go by: of the whole disk that a directory lies on. It is empty where there is none, as on a tmpfs, or where a file system
// spans several.
func diskOf(dir *os.File) (string, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &stat); err != nil {
		return "", err
	}
	return wholeDisk(sysBlock, fmt.Sprintf("%d:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev))), nil
}

func wholeDisk(sys, device string) string {
	place, err := filepath.EvalSymlinks(filepath.Join(sys, device))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(place, "partition")); err != nil {
		return device
	}
	// A partition's place in /sys lies in its disk's.
	text, err := os.ReadFile(filepath.Join(filepath.Dir(place), "dev"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
