// Package reaper starts processes and collects their ends.
//
// PID 1 inherits every orphan of the guest and must reap it, yet a wait for any child also takes the exit status of a
// child that someone waits for by name. So all waiting is done here, in one place: start a process with Reaper.Start
// and never with os/exec, whose own wait would lose the race.
package reaper

import (
	"errors"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrEnded says that a process has ended, so that its number may already belong to another.
var ErrEnded = errors.New("the process has ended")

// Reaper is safe for concurrent use.
type Reaper struct {
	// Guards children, and makes starting and collecting exclusive: a child cannot be collected before it is known, nor
	// its number be used after it was collected.
	mu       sync.Mutex
	children map[int]*Child
	started  chan struct{}
	home     Home
}

// Home is where processes are born.
type Home interface {
	// Directory opens the cgroup, for the caller to close.
	Directory() (*os.File, error)
}

// Child is a process that was started here.
type Child struct {
	reaper *Reaper
	pid    int
	done   chan struct{}
	status syscall.WaitStatus
}

// New starts reaping every child of this program, for good.
func New() *Reaper { return NewIn(nil) }

// NewIn is New with a cgroup for all that is started; nil is the agent's own.
func NewIn(home Home) *Reaper {
	r := &Reaper{children: make(map[int]*Child), started: make(chan struct{}, 1), home: home}
	go r.reap()
	return r
}

// Start runs a program. Its session and process group must be its own (attr.Sys.Setsid), for SignalGroup to mean it.
func (r *Reaper) Start(program string, argv []string, attr *syscall.ProcAttr) (*Child, error) {
	if r.home != nil {
		directory, err := r.home.Directory()
		if err != nil {
			return nil, err
		}
		defer directory.Close()
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(directory.Fd())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(program, argv, attr)
	if err != nil {
		return nil, err
	}
	child := &Child{reaper: r, pid: pid, done: make(chan struct{})}
	r.children[pid] = child
	select {
	case r.started <- struct{}{}:
	default:
	}
	return child, nil
}

// Pid is the number in the guest.
func (c *Child) Pid() int { return c.pid }

// Done is closed once the process has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Status is valid once Done is closed.
func (c *Child) Status() syscall.WaitStatus { return c.status }

// SignalGroup signals the process and those of its group. ErrEnded once the process itself has ended.
func (c *Child) SignalGroup(signal syscall.Signal) error {
	c.reaper.mu.Lock()
	defer c.reaper.mu.Unlock()
	if c.reaper.children[c.pid] != c {
		return ErrEnded
	}
	return syscall.Kill(-c.pid, signal)
}

func (r *Reaper) reap() {
	for {
		pid, err := peek()
		switch {
		case err == nil:
			r.collect(pid)
		case errors.Is(err, unix.ECHILD):
			// No child, hence no orphan to come either: sleep until the next start.
			<-r.started
		}
	}
}

func (r *Reaper) collect(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var status syscall.WaitStatus
	collected, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
	if err != nil || collected != pid {
		return // ForkExec itself took it: its exec had failed.
	}
	if child := r.children[pid]; child != nil {
		delete(r.children, pid)
		child.status = status
		close(child.done)
	}
}

// peek blocks until some child has ended and leaves it a zombie, so that its number stays taken until collect.
func peek() (int, error) {
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		return 0, err
	}
	// Safety: siginfo_t is 128 bytes and, for SIGCHLD on 64-bit Linux, holds si_pid at offset 16 (asm-generic/siginfo.h);
	// x/sys keeps that part of the struct private.
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), 16))), nil
}
