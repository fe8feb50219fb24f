// Package boot brings a guest from the kernel's hand-over to a system that can run processes.
//
// The agent is /init of an initramfs that holds nothing but it and kernel modules. It mounts the disks, moves into them
// and stays PID 1: no second program is loaded, and the image needs no trace of the agent.
package boot

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"cofferdam.dev/guest-agent/internal/ext4"
	"cofferdam.dev/guest-agent/internal/image"
)

const (
	modules = "/mod"
	// What the image says of its processes, where it says anything.
	imageFile = "/image.json"
	// The first virtio disk is the image, shared by all sandboxes and read-only; the second is the sandbox's own.
	imageDisk   = "/dev/vda"
	sandboxDisk = "/dev/vdb"
	diskWithin  = 10 * time.Second

	squashfsMagic = "hsqs"
)

type mount struct {
	source, target, kind string
	flags                uintptr
	options              string
}

func (m mount) do() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.options); err != nil {
		return fmt.Errorf("mount %s on %s as %s: %w", m.source, m.target, m.kind, err)
	}
	return nil
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := m.do(); err != nil {
			return err
		}
	}
	return nil
}

// Initramfs loads the modules and leaves the initramfs for the guest's root file system.
func Initramfs() (image.Image, error) {
	said, err := image.Read(imageFile)
	if err != nil {
		return said, err
	}
	return said, leave()
}

func leave() error {
	if err := (mount{"dev", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=0755"}).do(); err != nil {
		return err
	}
	if err := loadModules(modules); err != nil {
		return err
	}
	for _, disk := range []string{imageDisk, sandboxDisk} {
		if err := await(disk); err != nil {
			return err
		}
	}
	kind, err := fileSystem(imageDisk)
	if err != nil {
		return err
	}
	if err := mountAll([]mount{
		{imageDisk, "/image", kind, unix.MS_RDONLY | unix.MS_NODEV, ""},
		{sandboxDisk, "/disk", "ext4", unix.MS_NODEV | unix.MS_NOATIME, ""},
	}); err != nil {
		return err
	}
	// It may be a copy of a smaller one. What is in it is there all the same.
	if err := ext4.Fill(sandboxDisk, "/disk"); err != nil {
		slog.Warn("disk_not_grown", "cause", err.Error())
	}
	for _, directory := range []string{"/disk/upper", "/disk/work"} {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	// redirect_dir lets directories of the image be renamed.
	overlay := "lowerdir=/image,upperdir=/disk/upper,workdir=/disk/work,redirect_dir=on"
	if err := (mount{"overlay", "/root", "overlay", unix.MS_NOATIME, overlay}).do(); err != nil {
		return err
	}
	if err := os.MkdirAll("/root/dev", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("/dev", "/root/dev", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move /dev: %w", err)
	}
	return enter("/root")
}

// fileSystem of the image: the built-in one is erofs, and what was made of OCI layers is squashfs, which starts with its magic.
func fileSystem(disk string) (string, error) {
	file, err := os.Open(disk)
	if err != nil {
		return "", err
	}
	defer file.Close()
	magic := make([]byte, len(squashfsMagic))
	if _, err := io.ReadFull(file, magic); err != nil {
		return "", fmt.Errorf("%s: %w", disk, err)
	}
	if string(magic) == squashfsMagic {
		return "squashfs", nil
	}
	return "erofs", nil
}

// enter makes a mounted directory the root, and frees what the initramfs holds in memory. The agent's own pages stay as
// long as it runs.
func enter(root string) error {
	for _, path := range []string{modules, imageFile, "/init"} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s to /: %w", root, err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

// loadModules loads in the order of the files' names, which is the order of their dependencies.
func loadModules(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int {
		if a.Name() < b.Name() {
			return -1
		}
		return 1
	})
	for _, entry := range entries {
		if err := loadModule(filepath.Join(directory, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	err = unix.FinitModule(int(file.Fd()), "", 0)
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.ENODEV):
		// Made for hardware that is not there, as CRC instructions; the kernel has the same in plain code.
		slog.Info("module_not_needed", "module", filepath.Base(path))
		return nil
	case errors.Is(err, unix.ENOEXEC), errors.Is(err, unix.ENOSYS):
		// Of another kernel than the one that was chosen, which has the same built in or brings its own; or of one that takes none.
		slog.Warn("module_of_another_kernel", "module", filepath.Base(path))
		return nil
	case err != nil:
		return fmt.Errorf("module %s: %w", filepath.Base(path), err)
	}
	return nil
}

// await waits for a device: modules answer before they have found all of theirs.
func await(device string) error {
	for deadline := time.Now().Add(diskWithin); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(device); err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no %s within %v", device, diskWithin)
		}
	}
}
