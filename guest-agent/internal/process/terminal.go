package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
)

// openTerminal gives both ends of a new pseudo terminal: ours, which never blocks a thread, and the process's. The
// process's user owns its end, as login(1) would have it.
func openTerminal(size *v1.TerminalSize, uid int) (ours, theirs *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("/dev/ptmx: %w", err)
	}
	ours = os.NewFile(uintptr(fd), "terminal")
	if theirs, err = slave(fd, size, uid); err != nil {
		ours.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

func slave(master int, size *v1.TerminalSize, uid int) (*os.File, error) {
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock terminal: %w", err)
	}
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("number of terminal: %w", err)
	}
	if err := unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, winsize(size)); err != nil {
		return nil, fmt.Errorf("size of terminal: %w", err)
	}
	path := fmt.Sprintf("/dev/pts/%d", number)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	if uid != os.Getuid() {
		if err := file.Chown(uid, -1); err != nil {
			file.Close()
			return nil, err
		}
	}
	return file, nil
}

// resize tells the terminal's size; its foreground processes get SIGWINCH.
func resize(terminal *os.File, size *v1.TerminalSize) error {
	raw, err := terminal.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, winsize(size))
	}); err != nil {
		return err
	}
	return failed
}

func winsize(size *v1.TerminalSize) *unix.Winsize {
	return &unix.Winsize{Row: uint16(size.GetRows()), Col: uint16(size.GetColumns())}
}
