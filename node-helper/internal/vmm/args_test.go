package vmm

import (
	"slices"
	"strings"
	"testing"
)

// protocolLine is the command line that node-agent uses for a clone.
func protocolLine() []string {
	return []string{
		"-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-sandbox", Sandboxing, "-S", "-cpu", "max,la57=off,erms=off,fsrm=off,smap=off,pku=off", "-smp", "2", "-m", "512",
		"-machine", "pc,graphics=off,memory-backend=m0", "-accel", "tcg,tb-size=96",
		"-object", "memory-backend-file,id=m0,size=512M,mem-path=/proc/self/fd/4,share=off",
		"-kernel", "/image/vmlinuz", "-initrd", "/image/initrd", "-append", "console=ttyS0 quiet root=/dev/vda, x=\"y\"",
		"-drive", "if=none,id=root,file=/image/rootfs.erofs,format=raw,readonly=on,file.locking=off", "-device", "virtio-blk-pci,drive=root",
		"-drive", "if=none,id=disk,file=/sandbox/disk.ext4,format=raw", "-device", "virtio-blk-pci,drive=disk",
		"-netdev", "tap,id=n0,fd=3", "-device", "virtio-net-pci,netdev=n0,mac=02:cf:00:00:00:15,romfile=",
		"-qmp", "unix:/sandbox/qmp.sock,server=on,wait=off", "-serial", "null", "-incoming", "defer",
	}
}

func clone(args []string) *Command {
	return &Command{Args: args, MemoryMiB: 512, VCPUs: 2, Template: true, Image: true}
}

func TestTheProtocolsLineIsAccepted(t *testing.T) {
	if err := clone(protocolLine()).Check(); err != nil {
		t.Fatal(err)
	}
	with := func(replace map[string]string) []string {
		args := protocolLine()
		for i, a := range args {
			if r, ok := replace[a]; ok {
				args[i] = r
			}
		}
		return args
	}
	const object = "memory-backend-file,id=m0,size=512M,mem-path=/proc/self/fd/4,share=off"
	own := clone(with(map[string]string{object: "memory-backend-file,id=m0,size=512M,mem-path=/sandbox/ram,share=off", "null": "file:/sandbox/serial.log"}))
	own.Own, own.Template = true, false
	private := clone(with(map[string]string{object: "memory-backend-ram,id=m0,size=512M"}))
	private.Template = false
	kvm := clone(with(map[string]string{"pc,graphics=off,memory-backend=m0": "q35,memory-backend=m0", "tcg,tb-size=96": "kvm"}))
	volumes := clone(append(protocolLine(), "-drive", "if=none,id=volume1,file=/volume/1,format=raw", "-device", "virtio-blk-pci,drive=volume1,serial=volume-1"))
	volumes.Volumes = 2
	for name, c := range map[string]*Command{"own": own, "private": private, "kvm": kvm, "volumes": volumes} {
		if err := c.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.UsesKVM() != (name == "kvm") {
			t.Errorf("%s: UsesKVM is %v", name, c.UsesKVM())
		}
	}
}

// Each line here is a way out of the jail, into the network, or into another format, if QEMU were given it.
func TestOptionsThatAreNotOnTheList(t *testing.T) {
	for _, more := range []string{
		"-drive if=none,id=v,file=/volume/0,format=raw", "-drive if=none,id=v,file=/volume/../etc,format=raw", "-drive if=none,id=v,file=/volume/8,format=raw",
		"-monitor stdio", "-monitor tcp:127.0.0.1:1", "-monitor unix:/sandbox/m,server=on", "-chardev socket,id=c,path=/sandbox/x", "-chardev file,id=c,path=/sandbox/x",
		"-chardev pipe,id=c,path=/x", "-chardev pty,id=c", "-chardev ringbuf,id=c,size=1,logfile=/sandbox/x", "-gdb tcp::1", "-s", "-daemonize", "-pidfile /sandbox/p",
		"-runas root", "-chroot /", "-D /sandbox/log", "-d all", "-trace file=/sandbox/x", "-readconfig /sandbox/c", "-writeconfig -", "-plugin /sandbox/x.so",
		"-bios /sandbox/b", "-L /sandbox", "-fw_cfg name=x,file=/etc/shadow", "-acpitable file=/etc/shadow", "-smbios file=/etc/shadow", "-dtb /etc/shadow",
		"-virtfs local,path=/,mount_tag=x,security_model=none", "-fsdev local,id=f,path=/", "-device virtio-9p-pci,fsdev=f,mount_tag=x", "-hda /sandbox/disk.ext4", "-cdrom /etc/shadow",
		"-blockdev driver=file,node-name=x,filename=/etc/shadow", "-add-fd fd=3,set=1", "-netdev user,id=n1", "-netdev tap,id=n1,fd=3", "-netdev socket,id=n1,fd=3", "-nic user", "-net nic",
		"-vnc :1", "-spice port=1", "-display gtk", "-k de", "-usb", "-usbdevice disk", "-device usb-host", "-device vfio-pci,host=00:00.0", "-device ivshmem-plain,memdev=m0",
		"-device loader,file=/etc/shadow", "-device virtio-blk-pci,drive=root,romfile=/sandbox/r", "-device pci-bridge", "-device vhost-vsock-pci,guest-cid=3", "-tpmdev passthrough,id=t",
		"-object memory-backend-memfd,id=x,size=512M", "-object secret,id=s,file=/etc/shadow", "-object filter-dump,id=f,netdev=n0,file=/sandbox/x", "-object tls-creds-x509,id=t,dir=/",
		"-object rng-random,id=r,filename=/dev/mem", "-object input-linux,id=i,evdev=/dev/input", "-qtest unix:/sandbox/q", "-accel qtest", "-global driver=x", "-set drive.root.file=/etc/shadow",
		"-incoming exec:id", "-incoming tcp:0:1", "-incoming fd:3", "-object rng-builtin,id=r", "-object iothread,id=i", "-device virtio-balloon-pci", "-chardev null,id=c", "-monitor none", "-uuid 0", "-msg timestamp=on", "-loadvm x", "-snapshot", "-semihosting", "-option-rom /sandbox/x", "-no-user-config", "@/sandbox/args", "--nodefaults", "/sandbox/disk.ext4", "",
		"-drive if=none,id=x,file=/sandbox/x,format=qcow2", "-drive if=none,id=x,file=/sandbox/x", "-drive if=none,id=x,file=/sandbox/../etc/shadow,format=raw", "-drive if=none,id=x,file=/sandbox/a/b,format=raw",
		"-drive if=none,id=x,file=nbd:127.0.0.1:1,format=raw", "-drive if=none,id=x,file=json:{},format=raw", "-drive if=none,id=x,file=/sandbox/x,format=raw,backing.file=/etc/shadow", "-drive if=none,id=x,file=/sandbox/x,,y,format=raw",
		"-drive if=none,id=x,file=/sandbox/x,file=/etc/shadow,format=raw", "-drive if=none,id=x,file=/image/x,format=raw", "-drive if=none,id=x,file=/image/x,format=raw,readonly=off", "-drive if=none,id=x,file=/template/ram,format=raw",
		"-drive if=none,id=x,file=/proc/self/fd/5,format=raw", "-drive if=none,id=x,file=/dev/kvm,format=raw", "-drive if=ide,id=x,file=/sandbox/x,format=raw", "-drive if=none,id=x,file=/sandbox/.x,format=raw", "-drive {\"file\":\"/etc/shadow\"}",
	} {
		option, value, hasValue := strings.Cut(more, " ")
		args := append(protocolLine(), option)
		if hasValue {
			args = append(args, value)
		}
		if err := clone(args).Check(); err == nil {
			t.Errorf("%q was accepted", more)
		}
	}
}

func TestValuesThatDoNotFitTheRequest(t *testing.T) {
	replace := func(old, value string) []string {
		args := protocolLine()
		i := slices.Index(args, old)
		if i < 0 {
			t.Fatalf("no %q", old)
		}
		args[i] = value
		return args
	}
	object := "memory-backend-file,id=m0,size=512M,mem-path=/proc/self/fd/4,share="
	for name, args := range map[string][]string{
		"other memory":     replace("512", "513"),
		"other backend":    replace(object+"off", "memory-backend-file,id=m0,size=1024M,mem-path=/proc/self/fd/4,share=off"),
		"shared template":  replace(object+"off", object+"on"),
		"other file":       replace(object+"off", "memory-backend-file,id=m0,size=512M,mem-path=/proc/self/fd/5,share=off"),
		"ram, not own":     replace(object+"off", "memory-backend-file,id=m0,size=512M,mem-path=/sandbox/ram,share=off"),
		"no share":         replace(object+"off", "memory-backend-file,id=m0,size=512M,mem-path=/sandbox/ram"),
		"other cpus":       replace("2", "3"),
		"memory suffix":    replace("512", "512G"),
		"weak sandbox":     replace(Sandboxing, "on"),
		"no sandbox":       replace(Sandboxing, "off"),
		"other mac":        replace("virtio-net-pci,netdev=n0,mac=02:cf:00:00:00:15,romfile=", "virtio-net-pci,netdev=n0,mac=02:cf:00:00:00:17,romfile="),
		"rom":              replace("virtio-net-pci,netdev=n0,mac=02:cf:00:00:00:15,romfile=", "virtio-net-pci,netdev=n0,mac=02:cf:00:00:00:15"),
		"core of guest":    replace("pc,graphics=off,memory-backend=m0", "pc,dump-guest-core=on"),
		"firmware":         replace("pc,graphics=off,memory-backend=m0", "pc,pflash0=x"),
		"microvm":          replace("pc,graphics=off,memory-backend=m0", "microvm"),
		"unbounded cache":  replace("tcg,tb-size=96", "tcg"),
		"kernel outside":   replace("/image/vmlinuz", "/usr/vmlinuz"),
		"kernel upwards":   replace("/image/vmlinuz", "/image/../vmlinuz"),
		"initrd list":      replace("/image/initrd", "/image/a,/etc/shadow"),
		"append newline":   replace("console=ttyS0 quiet root=/dev/vda, x=\"y\"", "a\nb"),
		"append nul":       replace("console=ttyS0 quiet root=/dev/vda, x=\"y\"", "a\x00b"),
		"append too long":  replace("console=ttyS0 quiet root=/dev/vda, x=\"y\"", strings.Repeat("a", maxArgBytes+1)),
		"qmp by tcp":       replace("unix:/sandbox/qmp.sock,server=on,wait=off", "tcp:127.0.0.1:1,server=on,wait=off"),
		"qmp elsewhere":    replace("unix:/sandbox/qmp.sock,server=on,wait=off", "unix:/tmp/qmp.sock,server=on,wait=off"),
		"serial elsewhere": replace("null", "file:/template/x"),
		"serial by udp":    replace("null", "udp::1"),
		"lacks a value":    protocolLine()[:len(protocolLine())-1],
		"without sandbox":  slices.Delete(protocolLine(), 4, 6),
		"without defaults": protocolLine()[1:],
		"too many":         append(protocolLine(), slices.Repeat([]string{"-object", "memory-backend-ram,id=a,size=512M"}, maxArgs)...),
		"none":             nil,
	} {
		if err := clone(args).Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, c := range map[string]*Command{
		"no template": {Args: protocolLine(), MemoryMiB: 512, VCPUs: 2, Image: true},
		"no image":    {Args: protocolLine(), MemoryMiB: 512, VCPUs: 2, Template: true},
	} {
		if err := c.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
