// Package confine is what a VMM may ask of the kernel: a filter of system calls and Landlock's rules for files. Both are put on by the stage,
// survive its exec and cannot be taken off. They stand beside the namespaces and QEMU's own filter: whoever takes over a VMM, and finds a way
// around one of them, has the others before him.
package confine

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// In struct seccomp_data (seccomp(2)).
const (
	offsetNumber = 0
	offsetArch   = 4
)

// A call that is newer than this list does not exist, so that programs that only try it fall back. x32's numbers, which begin at 1<<30, are among them.
const firstUnknown = unix.SYS_LSM_LIST_MODULES + 1

// Each is of no use to a VMM and has been a way to the kernel's inside, or out of a jail.
var refused = []string{
	// Other processes.
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp", "pidfd_open", "pidfd_getfd", "pidfd_send_signal",
	// Mounts and namespaces.
	"mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
	"statmount", "listmount", "swapon", "swapoff", "quotactl", "quotactl_fd", "acct", "open_by_handle_at", "name_to_handle_at", "fanotify_init",
	// Names that would lead node-agent or node-helper astray. A file of a VMM's is a plain file, and its sockets are made by bind.
	"symlink", "symlinkat", "link", "linkat", "mknod", "mknodat",
	// Doors into the kernel's inside.
	"bpf", "perf_event_open", "userfaultfd", "add_key", "request_key", "keyctl", "memfd_secret", "modify_ldt", "personality", "uselib", "vmsplice",
	"lookup_dcookie", "migrate_pages", "move_pages",
	// The host.
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "syslog", "iopl", "ioperm", "sethostname", "setdomainname",
	"settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "vhangup",
	// Who it is.
	"setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capset",
}

// What programs try first and do without: for them it is as on an older kernel.
var absent = []string{"io_uring_setup", "io_uring_enter", "io_uring_register", "clone3"}

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

func policy() seccomp.Policy {
	return seccomp.Policy{
		DefaultAction: seccomp.ActionAllow,
		Syscalls: []seccomp.SyscallGroup{
			{
				Action: seccomp.ActionErrno, // EPERM
				Names:  refused,
				NamesWithCondtions: []seccomp.NameWithConditions{
					{Name: "clone", Conditions: []seccomp.Condition{{Argument: 0, Operation: seccomp.BitsSet, Value: newNamespaces}}},
					// The tap comes as a descriptor; QMP and migration are Unix sockets. The kernel looks at the lower half of the argument alone,
					// and "not equal" refuses whatever has anything in the upper one.
					{Name: "socket", Conditions: []seccomp.Condition{{Argument: 0, Operation: seccomp.NotEqual, Value: unix.AF_UNIX}}},
				},
			},
			{Action: seccomp.ActionErrno | seccomp.Action(unix.ENOSYS), Names: absent},
		},
	}
}

// assemble puts before the library's filter what it lacks: it lets calls of another architecture pass as the default says, and by int 0x80 every process
// of x86-64 can make those of i386, whose numbers mean something else.
func assemble() ([]unix.SockFilter, error) {
	p := policy()
	calls, err := p.Assemble()
	if err != nil {
		return nil, err
	}
	guards := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(arch.X86_64.ID), SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS},
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: firstUnknown, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	}
	raw, err := bpf.Assemble(append(guards, calls...))
	if err != nil {
		return nil, err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return filter, nil
}

// SystemCalls puts the filter on the calling thread, which has no_new_privs and execs from here.
func SystemCalls() error {
	if runtime.GOARCH != "amd64" {
		return errors.New("the filter of system calls is for x86-64 alone")
	}
	filter, err := assemble()
	if err != nil {
		return fmt.Errorf("filter of system calls: %w", err)
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return fmt.Errorf("filter of system calls: %w", err)
	}
	runtime.KeepAlive(filter)
	return nil
}
