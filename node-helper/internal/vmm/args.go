package vmm

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Limits of one VMM.
const (
	MaxVolumes   = 8
	MaxVCPUs     = 64
	MinMemoryMiB = 32
	MaxMemoryMiB = 64 << 10

	maxArgs     = 160
	maxArgBytes = 4096
)

// Sandboxing is the only value -sandbox may have.
const Sandboxing = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

// Command is what a command line is checked against.
type Command struct {
	Args      []string
	MemoryMiB int
	VCPUs     int
	Template  bool
	Image     bool
	// Own: the VMM goes on from the memory and the state in its own directory.
	Own     bool
	Volumes int
}

// Paths name a file directly inside a directory of the jail: no further slash, so no way up.
const (
	fileName = `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`
	ident    = `[A-Za-z][A-Za-z0-9_-]{0,31}`
	onOff    = `on|off`
	number   = `[0-9]{1,12}`
)

var (
	inSandbox  = `/sandbox/` + fileName
	inImage    = `/image/` + fileName
	volumeFile = `/volume/[0-7]`
	anyDisk    = `/(?:sandbox|image)/` + fileName + `|` + volumeFile
	sharedRAM  = `/proc/self/fd/4`
	networkMAC = `02:cf:00:00:00:15`
)

// shape is a value of comma-separated parts: an optional leading word, then key=value, each key once.
type shape struct {
	word *regexp.Regexp
	keys map[string]*regexp.Regexp
	must []string
}

func exactly(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)$`) }

func keys(pairs ...string) map[string]*regexp.Regexp {
	m := map[string]*regexp.Regexp{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = exactly(pairs[i+1])
	}
	return m
}

// option is one option of the closed list. A value has one of the shapes; no shape means that the option takes no value.
type option struct {
	shapes   []shape
	plain    *regexp.Regexp
	repeated bool
	required bool
}

func plain(pattern string) option { return option{plain: exactly(pattern)} }

// What node-agent uses, and no more: every option of QEMU's that is not needed is one less to be sure of.
var options = map[string]option{
	"-nodefaults":     {required: true},
	"-no-user-config": {required: true},
	"-nographic":      {},
	"-no-reboot":      {},
	"-S":              {},
	"-sandbox":        {plain: exactly(regexp.QuoteMeta(Sandboxing)), required: true},
	"-cpu":            plain(`max,la57=off,erms=off,fsrm=off,smap=off,pku=off`),
	"-smp":            {plain: exactly(number), required: true},
	"-m":              {plain: exactly(number), required: true},
	"-machine":        {required: true, shapes: []shape{{word: exactly(`pc|q35`), keys: keys("graphics", onOff, "memory-backend", ident)}}},
	// A guest that runs much code fills the translation cache, by default up to 1 GiB that the cgroup does not allow for.
	"-accel": {required: true, shapes: []shape{
		{word: exactly(`tcg`), keys: keys("tb-size", number), must: []string{"tb-size"}},
		{word: exactly(`kvm`)},
	}},
	"-object": {repeated: true, shapes: []shape{
		{word: exactly(`memory-backend-file`), keys: keys("id", ident, "size", `[0-9]{1,9}M`, "mem-path", sharedRAM+`|/sandbox/ram`, "share", onOff),
			must: []string{"id", "size", "mem-path", "share"}},
		{word: exactly(`memory-backend-ram`), keys: keys("id", ident, "size", `[0-9]{1,9}M`), must: []string{"id", "size"}},
	}},
	"-kernel": plain(inImage),
	"-initrd": plain(inImage),
	"-append": plain(`[ -~]*`),
	"-drive": {repeated: true, shapes: []shape{
		// Always raw: another format could name a backing file.
		{keys: keys("if", `none`, "id", ident, "file", anyDisk, "format", `raw`, "readonly", onOff, "file.locking", `on|off|auto`),
			must: []string{"if", "id", "file", "format"}},
	}},
	"-device": {repeated: true, shapes: []shape{
		{word: exactly(`virtio-blk-pci`), keys: keys("drive", ident, "serial", `volume-[0-7]`), must: []string{"drive"}},
		{word: exactly(`virtio-net-pci`), keys: keys("netdev", ident, "mac", networkMAC, "romfile", ``), must: []string{"netdev", "mac", "romfile"}},
	}},
	"-netdev":   {shapes: []shape{{word: exactly(`tap`), keys: keys("id", ident, "fd", `3`), must: []string{"id", "fd"}}}},
	"-serial":   plain(`null|file:` + inSandbox),
	"-qmp":      plain(`unix:` + inSandbox + `,server=on,wait=off`),
	"-incoming": plain(`defer`),
}

// values is a checked value: the leading word under "", the rest by key.
type values map[string]string

// Check holds a QEMU command line (without the program's name) to the closed list.
func (c *Command) Check() error {
	if len(c.Args) > maxArgs {
		return fmt.Errorf("%d arguments, expected at most %d", len(c.Args), maxArgs)
	}
	seen := map[string]bool{}
	for i := 0; i < len(c.Args); i++ {
		name := c.Args[i]
		o, ok := options[name]
		if !ok {
			return fmt.Errorf("option %.64q is not on the list", name)
		}
		if seen[name] && !o.repeated {
			return fmt.Errorf("option %s given twice", name)
		}
		seen[name] = true
		if o.plain == nil && o.shapes == nil {
			continue
		}
		i++
		if i == len(c.Args) {
			return fmt.Errorf("option %s lacks its value", name)
		}
		if len(c.Args[i]) > maxArgBytes {
			return fmt.Errorf("value of %s has %d bytes, expected at most %d", name, len(c.Args[i]), maxArgBytes)
		}
		v, err := o.read(c.Args[i])
		if err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
		if err := c.agree(name, v); err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
	}
	for name, o := range options {
		if o.required && !seen[name] {
			return fmt.Errorf("option %s is missing", name)
		}
	}
	return nil
}

func (o *option) read(text string) (values, error) {
	if o.plain != nil {
		if !o.plain.MatchString(text) {
			return nil, fmt.Errorf("value %.128q, expected %s", text, o.plain)
		}
		return values{"": text}, nil
	}
	var err error
	for _, s := range o.shapes {
		var v values
		if v, err = s.read(text); err == nil {
			return v, nil
		}
		// With its own word recognised, a shape's complaint is the useful one.
		if word, _, _ := strings.Cut(text, ","); s.word != nil && s.word.MatchString(word) {
			return nil, err
		}
	}
	return nil, err
}

func (s *shape) read(text string) (values, error) {
	v := values{}
	parts := strings.Split(text, ",")
	if s.word != nil {
		if !s.word.MatchString(parts[0]) {
			return nil, fmt.Errorf("%.64q, expected %s", parts[0], s.word)
		}
		v[""] = parts[0]
		parts = parts[1:]
	}
	for _, part := range parts {
		// A doubled comma, QEMU's escape, shows here as an empty part.
		key, value, ok := strings.Cut(part, "=")
		pattern := s.keys[key]
		if !ok || key == "" || pattern == nil {
			return nil, fmt.Errorf("%.64q is not on the list", part)
		}
		if _, twice := v[key]; twice {
			return nil, fmt.Errorf("%s given twice", key)
		}
		if !pattern.MatchString(value) {
			return nil, fmt.Errorf("%s=%.128q, expected %s", key, value, pattern)
		}
		v[key] = value
	}
	for _, key := range s.must {
		if _, ok := v[key]; !ok {
			return nil, fmt.Errorf("%s is missing", key)
		}
	}
	return v, nil
}

// agree holds a value to the rest of the request.
func (c *Command) agree(name string, v values) error {
	whole := v[""]
	switch name {
	case "-m":
		return same("memory_mib", c.MemoryMiB, whole)
	case "-smp":
		return same("vcpus", c.VCPUs, whole)
	case "-kernel", "-initrd":
		return c.has(whole)
	case "-drive":
		if exactly(inImage).MatchString(v["file"]) && v["readonly"] != "on" {
			return fmt.Errorf("file=%s needs readonly=on", v["file"])
		}
		return c.has(v["file"])
	case "-object":
		return c.agreeObject(v)
	}
	return nil
}

func (c *Command) agreeObject(v values) error {
	if size, ok := v["size"]; ok {
		if err := same("memory_mib", c.MemoryMiB, strings.TrimSuffix(size, "M")); err != nil {
			return err
		}
	}
	switch v["mem-path"] {
	case sharedRAM:
		if !c.Template || v["share"] != "off" {
			return fmt.Errorf("mem-path=%s needs a template and share=off", sharedRAM)
		}
	case "/sandbox/ram":
		// Shared or not: the VMM may write to its own directory as it likes.
		if !c.Own {
			return fmt.Errorf("mem-path=/sandbox/ram needs own")
		}
	}
	return nil
}

func (c *Command) has(path string) error {
	if strings.HasPrefix(path, "/image/") && !c.Image {
		return fmt.Errorf("%s, but the request names no such directory", path)
	}
	if number, ok := strings.CutPrefix(path, "/volume/"); ok {
		if n, err := strconv.Atoi(number); err != nil || n >= c.Volumes {
			return fmt.Errorf("%s, but the request names %d volumes", path, c.Volumes)
		}
	}
	return nil
}

func same(field string, want int, text string) error {
	if got, err := strconv.Atoi(text); err != nil || got != want {
		return fmt.Errorf("value %s, expected %s=%d", text, field, want)
	}
	return nil
}

// UsesKVM says whether the command line asks for hardware virtualisation; only then is /dev/kvm in the jail.
func (c *Command) UsesKVM() bool {
	for i, a := range c.Args {
		if (a == "-machine" || a == "-accel") && i+1 < len(c.Args) {
			parts := strings.Split(c.Args[i+1], ",")
			if slices.Contains(parts, "accel=kvm") || parts[0] == "kvm" {
				return true
			}
		}
	}
	return false
}
