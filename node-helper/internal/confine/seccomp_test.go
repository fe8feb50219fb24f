package confine

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// The filter stays for good, so those under it are children.
const roleVariable = "CONFINE_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	os.Exit(m.Run())
}

func play(role string) {
	runtime.LockOSThread()
	if strings.HasPrefix(role, "filtered ") {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			panic(err)
		}
		if err := SystemCalls(); err != nil {
			panic(err)
		}
	}
	_, numbers, _ := strings.Cut(role, " ")
	for _, word := range strings.Fields(numbers) {
		number, err := strconv.Atoi(word)
		if err != nil {
			panic(err)
		}
		_, _, e := unix.RawSyscall6(uintptr(number), ^uintptr(0), ^uintptr(0), ^uintptr(0), ^uintptr(0), ^uintptr(0), ^uintptr(0))
		fmt.Println(unix.ErrnoName(e))
	}
}

func child(t *testing.T, role string) (string, syscall.WaitStatus) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{roleVariable + "=" + role}
	out, _ := cmd.Output()
	return string(out), cmd.ProcessState.Sys().(syscall.WaitStatus)
}

func TestEveryNameOfTheListIsRefused(t *testing.T) {
	for wanted, names := range map[string][]string{"EPERM": refused, "ENOSYS": absent} {
		var numbers []string
		for _, name := range names {
			number, ok := arch.X86_64.SyscallNames[name]
			if !ok {
				t.Fatalf("%s is no system call", name)
			}
			numbers = append(numbers, strconv.Itoa(number))
		}
		out, status := child(t, "filtered "+strings.Join(numbers, " "))
		lines := strings.Fields(out)
		if len(lines) != len(names) || status.ExitStatus() != 0 {
			t.Fatalf("%d answers of %d: %v", len(lines), len(names), status)
		}
		for i, line := range lines {
			if line != wanted {
				t.Errorf("%s: %q, expected %s", names[i], line, wanted)
			}
		}
	}
}

func TestACallFromTheFutureIsAbsent(t *testing.T) {
	for _, number := range []int{firstUnknown, firstUnknown + 1000, 1 << 30, 1<<30 | unix.SYS_GETPID, 1<<31 | unix.SYS_GETPID} {
		if out, _ := child(t, fmt.Sprint("filtered ", number)); out != "ENOSYS\n" {
			t.Errorf("%d: %q", number, out)
		}
	}
	// One from the past is not.
	if out, _ := child(t, fmt.Sprint("filtered ", unix.SYS_OPENAT2)); out == "ENOSYS\n" {
		t.Error("openat2 is absent")
	}
}
