package vmm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// device is a character device of the jail's /dev.
type device struct {
	Name  string `json:"name"`
	Major uint32 `json:"major"`
	Minor uint32 `json:"minor"`
}

// userfaultDevice has no number of its own: the kernel gives it a free one.
const userfaultDevice = "/dev/userfaultfd"

func (j *Jail) devices() ([]device, error) {
	devices := []device{{"null", 1, 3}, {"zero", 1, 5}, {"urandom", 1, 9}}
	if j.KVM {
		devices = append(devices, device{"kvm", 10, 232})
	}
	if j.TUN {
		// With it and without CAP_NET_ADMIN a process attaches to the tap that its user owns, and makes none.
		devices = append(devices, device{"net/tun", 10, 200})
	}
	if j.Userfault {
		var stat unix.Stat_t
		err := unix.Stat(userfaultDevice, &stat)
		switch {
		case errors.Is(err, os.ErrNotExist): // before Linux 6.1: the VMM does without
		case err != nil:
			return nil, fmt.Errorf("%s: %w", userfaultDevice, err)
		default:
			devices = append(devices, device{"userfaultfd", unix.Major(stat.Rdev), unix.Minor(stat.Rdev)})
		}
	}
	return devices, nil
}
