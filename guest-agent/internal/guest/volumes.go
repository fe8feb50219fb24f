package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cofferdam.dev/guest-agent/internal/ext4"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	maxVolumes   = 8
	volumeWithin = 10 * time.Second
)

// kernels are the top directories that programs expect the kernel's own file systems in.
var kernels = []string{"dev", "proc", "sys"}

// checkVolumes wants directories that a file system can be mounted on without hiding what the guest lives by.
func checkVolumes(directories []string) error {
	if len(directories) > maxVolumes {
		return refusal.Invalid("%d volumes, expected at most %d", len(directories), maxVolumes)
	}
	seen := map[string]bool{}
	for _, directory := range directories {
		switch {
		case !filepath.IsAbs(directory) || filepath.Clean(directory) != directory || directory == "/" || strings.ContainsRune(directory, 0):
			return refusal.Invalid("volume at %q: expected a clean absolute path other than /", directory)
		case slices.Contains(kernels, strings.Split(directory, "/")[1]):
			return refusal.Invalid("volume at %q: /proc, /sys and /dev are the kernel's", directory)
		case seen[directory]:
			return refusal.Invalid("two volumes at %q", directory)
		}
		seen[directory] = true
	}
	return nil
}

// MountVolumes mounts the volumes in the order of their numbers. A clone of a template has no notion of their disks yet:
// they were plugged in while its memory lay on the host's disk.
func (Kernel) MountVolumes(directories []string) error {
	for number, directory := range directories {
		device, err := volumeDevice(number)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
		// Mounted already by a Configure that failed later.
		if mounted, err := isMountOf(device, directory); err != nil || mounted {
			if err != nil {
				return err
			}
			continue
		}
		if err := unix.Mount(device, directory, "ext4", unix.MS_NODEV|unix.MS_NOATIME, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", device, directory, err)
		}
		if err := ext4.Fill(device, directory); err != nil {
			// What is in it is there all the same.
			slog.Warn("volume_not_grown", "directory", directory, "cause", err.Error())
		}
	}
	return nil
}

// volumeDevice finds a volume's disk by the serial number that the hypervisor gave it, and looks for new devices if none
// has it.
func volumeDevice(number int) (string, error) {
	serial := fmt.Sprintf("volume-%d", number)
	rescanned := false
	for deadline := time.Now().Add(volumeWithin); ; time.Sleep(time.Millisecond) {
		disks, err := filepath.Glob("/sys/block/vd*")
		if err != nil {
			return "", err
		}
		for _, disk := range disks {
			text, err := os.ReadFile(filepath.Join(disk, "serial"))
			if err == nil && strings.TrimRight(string(text), "\x00\n") == serial {
				return filepath.Join("/dev", filepath.Base(disk)), nil
			}
		}
		if !rescanned {
			rescanned = true
			if err := os.WriteFile("/sys/bus/pci/rescan", []byte("1"), 0); err != nil {
				return "", fmt.Errorf("look for new devices: %w", err)
			}
			continue
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no disk with the serial number %s within %v", serial, volumeWithin)
		}
	}
}

func isMountOf(device, directory string) (bool, error) {
	var disk, at unix.Stat_t
	if err := unix.Stat(device, &disk); err != nil {
		return false, fmt.Errorf("%s: %w", device, err)
	}
	if err := unix.Stat(directory, &at); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("%s: %w", directory, err)
	}
	return at.Dev == disk.Rdev, nil
}
