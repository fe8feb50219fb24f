package guest

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Machine is what Configure changes in the guest's kernel. Tests have one of their own, for it is theirs that runs them.
type Machine interface {
	// AddEntropy mixes bytes into the kernel's generator, credits them fully and makes the generator reseed at once.
	AddEntropy(entropy []byte) error
	SetClock(unix time.Time) error
	SetHostname(name string) error
	BootID() (string, error)
	// GrowDisk lets the file system of the sandbox's own disk fill it. The disk has grown, or is about to.
	GrowDisk() error
	// MountVolumes mounts the disk of each volume, by number, at its directory. May be repeated.
	MountVolumes(directories []string) error
}

// Kernel is the real Machine.
type Kernel struct{}

// AddEntropy uses RNDADDENTROPY and RNDRESEEDCRNG (random(4)).
func (Kernel) AddEntropy(entropy []byte) error {
	device, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	// struct rand_pool_info: entropy_count in bits, buf_size in bytes, then the bytes.
	info := make([]int32, 2+(len(entropy)+3)/4)
	info[0], info[1] = int32(len(entropy)*8), int32(len(entropy))
	// Safety: views the same allocation as bytes, for a copy of exactly the bytes it has room for.
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&info[2])), 4*(len(info)-2)), entropy)
	defer clear(info)
	// Safety: the kernel reads 8 + buf_size bytes from a pointer that stays live for the call.
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, device.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&info[0]))); errno != 0 {
		return fmt.Errorf("RNDADDENTROPY: %w", errno)
	}
	if err := unix.IoctlSetInt(int(device.Fd()), unix.RNDRESEEDCRNG, 0); err != nil {
		return fmt.Errorf("RNDRESEEDCRNG: %w", err)
	}
	return nil
}

// SetClock sets the wall clock.
func (Kernel) SetClock(now time.Time) error {
	spec := unix.NsecToTimespec(now.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &spec); err != nil {
		return fmt.Errorf("clock_settime: %w", err)
	}
	return nil
}

// SetHostname sets the kernel's idea of it.
func (Kernel) SetHostname(name string) error { return unix.Sethostname([]byte(name)) }

// BootID reads the kernel's.
func (Kernel) BootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(text)), err
}
