package helper

import (
	"errors"
	"fmt"
	"os"

	"cofferdam.dev/node-helper/internal/safepath"
	"cofferdam.dev/node-helper/internal/vmm"
	"cofferdam.dev/node-helper/internal/wire"
	"golang.org/x/sys/unix"
)

func (h *Helper) vmmStart(a *startArgs) (any, error) {
	unlock, err := h.lock(a.Slot)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := a.check(); err != nil {
		return nil, err
	}
	jail, err := h.jail(a)
	if err != nil {
		return nil, err
	}
	owner, err := h.owner(a.Slot)
	if err != nil {
		return nil, err
	}
	if owner.NetNS == 0 {
		return nil, wire.Errorf(wire.NotFound, "slot %d", a.Slot)
	}
	live, err := owner.Find()
	if err != nil {
		return nil, err
	}
	if len(live) > 0 {
		return nil, wire.Errorf(wire.Exists, "slot %d has a VMM, pid %d", a.Slot, live[0])
	}
	output := &vmm.Output{}
	jail.UID, jail.Slot, jail.Output = owner.UID, a.Slot, output
	jail.Limits = vmm.Limits{MemoryMiB: a.MemoryMiB, VCPUs: a.VCPUs}
	var opened closers
	defer opened.close()
	if err := h.fill(jail, a, &opened); err != nil {
		return nil, err
	}
	if jail.Limits.SharedBytes, err = missingPages(jail.RAM); err != nil {
		return nil, err
	}
	if len(a.Volumes) > 0 {
		// Until the jail shows it: of two starts with one volume the second has to find the first.
		h.volumesMu.Lock()
		defer h.volumesMu.Unlock()
		if err := h.fillVolumes(jail, a, &opened); err != nil {
			return nil, err
		}
	}
	p, err := jail.Start(h.cgroups)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w (output: %s)", err, output), h.kill(a.Slot))
	}
	h.running[a.Slot] = &running{output, p.Ended}
	return started{p.PID, p.StartTime}, nil
}

// missingPages is how much of a file in memory is not there yet.
func missingPages(file *os.File) (int64, error) {
	if file == nil {
		return 0, nil
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return 0, err
	}
	return max(stat.Size-stat.Blocks*512, 0), nil
}

// jail is what the driver decides of it.
func (h *Helper) jail(a *startArgs) (*vmm.Jail, error) {
	switch a.Driver {
	case qemu:
		command := &vmm.Command{
			Args: a.Args, MemoryMiB: a.MemoryMiB, VCPUs: a.VCPUs, Template: a.Template != "", Image: a.Image != "", Own: a.Own,
			Volumes: len(a.Volumes),
		}
		if err := command.Check(); err != nil {
			return nil, wire.Errorf(wire.Invalid, "%v", err)
		}
		return &vmm.Jail{Program: h.config.QEMU, Args: a.Args, KVM: command.UsesKVM()}, nil
	case cloudHypervisor:
		if h.config.CloudHypervisor == "" {
			return nil, wire.Errorf(wire.NotFound, "driver %s: this host's configuration names no binary", a.Driver)
		}
		if err := vmm.CheckCloudHypervisor(a.Args); err != nil {
			return nil, wire.Errorf(wire.Invalid, "%v", err)
		}
		// Userfaultfd is for memory that was kept; who boots has no use for it.
		return &vmm.Jail{Program: h.config.CloudHypervisor, Args: a.Args, KVM: true, TUN: true, API: true, Userfault: a.Template != "" || a.Own}, nil
	default:
		return nil, wire.Errorf(wire.Invalid, "driver %.32q, expected %s or %s", a.Driver, qemu, cloudHypervisor)
	}
}

func (a *startArgs) check() error {
	if err := matches("sandbox", sandboxID, a.Sandbox); err != nil {
		return err
	}
	if a.Template != "" {
		if err := matches("template", digest, a.Template); err != nil {
			return err
		}
	}
	if a.Image != "" {
		if err := matches("image", digest, a.Image); err != nil {
			return err
		}
	}
	if a.Own && a.Template != "" {
		return wire.Errorf(wire.Invalid, "own and template %s: a VMM has one state", a.Template)
	}
	if err := checkVolumes(a.Volumes); err != nil {
		return err
	}
	if a.MemoryMiB < vmm.MinMemoryMiB || a.MemoryMiB > vmm.MaxMemoryMiB {
		return wire.Errorf(wire.Invalid, "memory_mib %d, expected %d to %d", a.MemoryMiB, vmm.MinMemoryMiB, vmm.MaxMemoryMiB)
	}
	if a.VCPUs < 1 || a.VCPUs > vmm.MaxVCPUs {
		return wire.Errorf(wire.Invalid, "vcpus %d, expected 1 to %d", a.VCPUs, vmm.MaxVCPUs)
	}
	return nil
}

// The VMMs that there are.
const (
	qemu            = "qemu"
	cloudHypervisor = "cloud-hypervisor"
)

type closers []*os.File

func (c *closers) add(f *os.File) *os.File {
	*c = append(*c, f)
	return f
}

func (c *closers) close() {
	for _, f := range *c {
		f.Close()
	}
}

// fill opens what the request names. Nothing is opened by name again afterwards.
func (h *Helper) fill(j *vmm.Jail, a *startArgs, opened *closers) error {
	ns, err := h.network.OpenSlot(a.Slot)
	if err != nil {
		return missing(err)
	}
	j.NetNS = opened.add(ns)
	root, err := safepath.OpenDir(h.config.SandboxRoot)
	if err != nil {
		return err
	}
	opened.add(root)
	sandbox, stat, err := h.openSandbox(root, a.Sandbox)
	if err != nil {
		return err
	}
	j.Sandbox = opened.add(sandbox)
	if int(stat.Uid) != j.UID {
		return wire.Errorf(wire.Invalid, "%s belongs to uid %d, expected %d: sandbox.prepare comes first", a.Sandbox, stat.Uid, j.UID)
	}
	if a.Image != "" {
		image, err := h.image(a.Image)
		if err != nil {
			return invalidPath(err)
		}
		j.Image = opened.add(image)
	}
	if a.Template != "" {
		if err := h.fillTemplate(j, a, opened); err != nil {
			return err
		}
	}
	if a.Driver == cloudHypervisor {
		return nil
	}
	if a.Own {
		// The VMM itself opens its memory, which is its user's.
		state, _, err := safepath.OpenRegular(sandbox, "state", unix.O_RDONLY, 0)
		if err != nil {
			return invalidPath(err)
		}
		j.State = opened.add(state)
	}
	tap, err := h.network.OpenTap(a.Slot)
	if err != nil {
		return missing(err)
	}
	j.Tap = opened.add(tap)
	return nil
}

// image is one of root's, or one that node-agent made: a guest's root and kernel are as little trusted as what runs on them.
func (h *Helper) image(name string) (*os.File, error) {
	made, err := h.imageIn(h.config.ImageRoot, name)
	if errors.Is(err, os.ErrNotExist) && h.config.MadeImageRoot != "" {
		return h.imageIn(h.config.MadeImageRoot, name)
	}
	return made, err
}

func (h *Helper) imageIn(path, name string) (*os.File, error) {
	root, err := safepath.OpenDir(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return safepath.OpenAt(root, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

func (h *Helper) fillTemplate(j *vmm.Jail, a *startArgs, opened *closers) error {
	dir, err := h.templates.Dir(a.Template)
	if err != nil {
		return missing(err)
	}
	j.Template = opened.add(dir)
	if a.Driver == qemu {
		// Cloud Hypervisor's comes out of the same file and into the sandbox's directory by node-agent.
		state, _, err := safepath.OpenRegular(dir, "state", unix.O_RDONLY, 0)
		if err != nil {
			return missing(err)
		}
		j.State = opened.add(state)
	}
	memory, err := h.templates.Memory(a.Template)
	if err != nil {
		return missing(err)
	}
	j.RAM = opened.add(memory)
	return nil
}
