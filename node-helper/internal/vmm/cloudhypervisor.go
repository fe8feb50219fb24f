package vmm

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// cloudHypervisorLine is all that Cloud Hypervisor is ever started with: its machine is described over the API, from inside the jail, and can
// name nothing that the jail does not hold. With a machine on the command line the guest would run before it was told to.
var cloudHypervisorLine = []string{
	"--api-socket", "fd=3", "--event-monitor", "fd=5", "--seccomp", "true",
}

// CheckCloudHypervisor holds a command line (without the program's name) to the one that there is. Landlock is not on it: Cloud Hypervisor takes
// that option with a machine alone, and so it comes with the machine's description.
func CheckCloudHypervisor(args []string) error {
	if !slices.Equal(args, cloudHypervisorLine) {
		return fmt.Errorf("arguments %.512q, expected %q", args, cloudHypervisorLine)
	}
	return nil
}

const (
	apiSocket = "/sandbox/ch.sock"
	apiEvents = "/sandbox/ch-events.json"
	fdAPI     = fdTap
	fdEvents  = fdState

	apiBacklog = 16
)

// offerAPI runs in the jail, as the VMM's user: who connects sees that user as the peer. Cloud Hypervisor would make both by itself for no eyes
// but its own, which is what its umask says.
func offerAPI() error {
	for _, path := range []string{apiSocket, apiEvents} {
		// A machine that ran in this directory before has left its own.
		if err := unix.Unlink(path); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("API: %w", err)
	}
	if err := unix.Bind(socket, &unix.SockaddrUnix{Name: apiSocket}); err != nil {
		return fmt.Errorf("bind %s: %w", apiSocket, err)
	}
	if err := unix.Listen(socket, apiBacklog); err != nil {
		return fmt.Errorf("listen on %s: %w", apiSocket, err)
	}
	events, err := unix.Open(apiEvents, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o660)
	if err != nil {
		return fmt.Errorf("%s: %w", apiEvents, err)
	}
	// These two survive the exec, in the place of descriptors that this VMM has no use for.
	for from, to := range map[int]int{socket: fdAPI, events: fdEvents} {
		if err := unix.Dup3(from, to, 0); err != nil {
			return fmt.Errorf("descriptor %d: %w", to, err)
		}
	}
	return nil
}
