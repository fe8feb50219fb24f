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
	command := &vmm.Command{
		Args: a.Args, MemoryMiB: a.MemoryMiB, VCPUs: a.VCPUs, Template: a.Template != "", Image: a.Image != "", Own: a.Own,
	}
	if err := command.Check(); err != nil {
		return nil, wire.Errorf(wire.Invalid, "%v", err)
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
	jail := &vmm.Jail{
		Program: h.config.QEMU, Args: a.Args, UID: owner.UID, KVM: command.UsesKVM(), Slot: a.Slot, Output: output,
		Limits: vmm.Limits{MemoryMiB: a.MemoryMiB, VCPUs: a.VCPUs},
	}
	var opened closers
	defer opened.close()
	if err := h.fill(jail, a, &opened); err != nil {
		return nil, err
	}
	p, err := jail.Start(h.cgroups)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w (output: %s)", err, output), h.kill(a.Slot))
	}
	h.running[a.Slot] = &running{output, p.Ended}
	return started{p.PID, p.StartTime}, nil
}

func (a *startArgs) check() error {
	if a.Driver != "qemu" {
		return wire.Errorf(wire.Invalid, "driver %.32q, expected qemu", a.Driver)
	}
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
	if a.MemoryMiB < vmm.MinMemoryMiB || a.MemoryMiB > vmm.MaxMemoryMiB {
		return wire.Errorf(wire.Invalid, "memory_mib %d, expected %d to %d", a.MemoryMiB, vmm.MinMemoryMiB, vmm.MaxMemoryMiB)
	}
	if a.VCPUs < 1 || a.VCPUs > vmm.MaxVCPUs {
		return wire.Errorf(wire.Invalid, "vcpus %d, expected 1 to %d", a.VCPUs, vmm.MaxVCPUs)
	}
	return nil
}

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
		root, err := safepath.OpenDir(h.config.ImageRoot)
		if err != nil {
			return err
		}
		opened.add(root)
		if j.Image, err = safepath.OpenAt(root, a.Image, unix.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
			return invalidPath(err)
		}
		opened.add(j.Image)
	}
	if a.Template != "" {
		if err := h.fillTemplate(j, a.Template, opened); err != nil {
			return err
		}
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

func (h *Helper) fillTemplate(j *vmm.Jail, name string, opened *closers) error {
	dir, err := h.templates.Dir(name)
	if err != nil {
		return missing(err)
	}
	j.Template = opened.add(dir)
	state, _, err := safepath.OpenRegular(dir, "state", unix.O_RDONLY, 0)
	if err != nil {
		return missing(err)
	}
	j.State = opened.add(state)
	memory, err := h.templates.Memory(name)
	if err != nil {
		return missing(err)
	}
	j.RAM = opened.add(memory)
	return nil
}
