package reaper_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"cofferdam.dev/guest-agent/internal/reaper"
)

var shared = reaper.New()

func start(t *testing.T, script string) *reaper.Child {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	child, err := shared.Start("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	return child
}

func TestEveryChildGetsItsOwnExitStatus(t *testing.T) {
	var group sync.WaitGroup
	for code := range 40 {
		group.Go(func() {
			child := start(t, fmt.Sprintf("exit %d", code))
			<-child.Done()
			if got := child.Status().ExitStatus(); got != code {
				t.Errorf("exit status of the child that ended with %d: %d", code, got)
			}
		})
	}
	group.Wait()
}

func TestOrphansAreReaped(t *testing.T) {
	// As PID 1 is for the whole guest, a subreaper is for its descendants.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pid")
	parent := start(t, "sh -c 'echo $$ > "+file+"; exec sleep 0.05' & while [ ! -s "+file+" ]; do :; done")
	<-parent.Done()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	// A pidfd of a zombie is still to be had; once reaped, the number is unknown.
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(fd)
		for !errors.Is(err, unix.ESRCH) {
			err = unix.PidfdSendSignal(fd, 0, nil, 0)
		}
	} else if !errors.Is(err, unix.ESRCH) {
		t.Fatal(err)
	}
}

func TestSignalReachesTheWholeGroup(t *testing.T) {
	child := start(t, "sleep 600 & wait")
	if err := child.SignalGroup(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-child.Done()
	if !child.Status().Signaled() || child.Status().Signal() != syscall.SIGKILL {
		t.Errorf("status %v, expected an end by SIGKILL", child.Status())
	}
	if err := child.SignalGroup(syscall.SIGKILL); !errors.Is(err, reaper.ErrEnded) {
		t.Errorf("signal to an ended process: %v", err)
	}
}

func TestProgramThatCannotStartIsAnError(t *testing.T) {
	_, err := shared.Start("/nonexistent", []string{"x"}, &syscall.ProcAttr{})
	if !errors.Is(err, syscall.ENOENT) {
		t.Fatalf("start of a missing program: %v", err)
	}
	child := start(t, "exit 3")
	<-child.Done()
	if child.Status().ExitStatus() != 3 {
		t.Errorf("the next child's status: %v", child.Status())
	}
}
