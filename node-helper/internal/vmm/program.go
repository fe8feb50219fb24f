package vmm

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Where a program is seen that does not lie in /usr, which is in every jail.
const ownPlace = "vmm"

// program says what the jail's process will execute, and brings it in if it is not there anyway.
func (j *Jail) program(o *orders, files *[]*os.File) error {
	interpreter, err := interpreterOf(j.Program)
	if err != nil {
		return fmt.Errorf("%s: %w", j.Program, err)
	}
	o.Interpreter = interpreter
	if strings.HasPrefix(j.Program, "/usr/") {
		return nil
	}
	f, err := detached(unix.AT_FDCWD, j.Program, attrReadOnly)
	if err != nil {
		return fmt.Errorf("mount for %s: %w", j.Program, err)
	}
	*files = append(*files, f)
	o.Mounts = append(o.Mounts, mount{Target: ownPlace, File: true})
	o.Program = "/" + ownPlace
	return nil
}

// interpreterOf reads PT_INTERP; it is empty for a static program.
func interpreterOf(program string) (string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(p.Open(), unix.PathMax))
		if err != nil {
			return "", err
		}
		path := strings.TrimRight(string(text), "\x00")
		if !strings.HasPrefix(path, "/") {
			return "", errors.New("its interpreter is no absolute path")
		}
		return path, nil
	}
	return "", nil
}
