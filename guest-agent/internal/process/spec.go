package process

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/image"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	maxArguments     = 1024
	maxArgumentBytes = 128 << 10
	searchPath       = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

var processID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// command is a spec that was checked and resolved against the guest: what to execute, as whom, where.
type command struct {
	program    string
	argv       []string
	env        []string
	directory  string
	credential *syscall.Credential
	terminal   *v1.TerminalSize
}

// resolve refuses what cannot be run. The environment is the image's, then the agent's defaults, then the sandbox's, then
// the spec's own: the later wins. User and directory are the image's where the spec names none.
func resolve(spec *v1.ProcessSpec, said image.Image, defaults, sandbox map[string]string) (*command, error) {
	if err := checkArguments(spec.GetArgv()); err != nil {
		return nil, err
	}
	if err := CheckEnvironment(spec.GetEnv()); err != nil {
		return nil, err
	}
	if err := checkTerminal(spec.GetTerminal()); err != nil {
		return nil, err
	}
	account, credential, err := lookUp(cmp.Or(spec.GetUser(), said.User))
	if err != nil {
		return nil, err
	}
	directory, err := workingDirectory(cmp.Or(spec.GetWorkingDirectory(), said.Directory), account)
	if err != nil {
		return nil, err
	}
	env := map[string]string{
		"PATH": searchPath, "HOME": account.HomeDir, "USER": account.Username, "LOGNAME": account.Username, "LANG": "C.UTF-8",
	}
	if spec.GetTerminal() != nil {
		env["TERM"] = "xterm-256color"
	}
	for _, layer := range []map[string]string{said.Environment, defaults, sandbox, spec.GetEnv()} {
		for name, value := range layer {
			env[name] = value
		}
	}
	program, err := find(spec.GetArgv()[0], env["PATH"], directory)
	if err != nil {
		return nil, err
	}
	return &command{
		program: program, argv: spec.GetArgv(), env: flatten(env), directory: directory, credential: credential,
		terminal: spec.GetTerminal(),
	}, nil
}

func checkArguments(argv []string) error {
	if len(argv) == 0 || argv[0] == "" {
		return refusal.Invalid("argv names no program")
	}
	if len(argv) > maxArguments {
		return refusal.Invalid("argv has %d arguments, at most %d are allowed", len(argv), maxArguments)
	}
	total := 0
	for n, argument := range argv {
		if strings.ContainsRune(argument, 0) {
			return refusal.Invalid("argv[%d] contains NUL", n)
		}
		total += len(argument)
	}
	if total > maxArgumentBytes {
		return refusal.Invalid("argv has %d bytes, at most %d are allowed", total, maxArgumentBytes)
	}
	return nil
}

// CheckEnvironment refuses names and values that an environment cannot hold.
func CheckEnvironment(env map[string]string) error {
	for name, value := range env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return refusal.New(v1.ErrorReason_ERROR_REASON_ENVIRONMENT_INVALID,
				"%q is no name for an environment variable: it must not be empty nor contain '=' or NUL", name)
		}
		if strings.ContainsRune(value, 0) {
			// The value may be a placeholder: only its name is told.
			return refusal.New(v1.ErrorReason_ERROR_REASON_ENVIRONMENT_INVALID, "the value of %s contains NUL", name)
		}
	}
	return nil
}

func checkTerminal(size *v1.TerminalSize) error {
	if size.GetRows() > 65535 || size.GetColumns() > 65535 {
		return refusal.Invalid("terminal of %d rows and %d columns: each must be at most 65535", size.GetRows(), size.GetColumns())
	}
	return nil
}

// lookUp finds an account of the guest, by `user[:group]`, each a name or a number (OCI image specification, config.md, "User").
// A number needs no account. Without a name it is the agent's own, root in a guest.
func lookUp(wanted string) (*user.User, *syscall.Credential, error) {
	name, group, hasGroup := strings.Cut(wanted, ":")
	account, err := accountOf(name)
	if err != nil {
		return nil, nil, err
	}
	own := account.Uid == strconv.Itoa(os.Getuid())
	if own && !hasGroup {
		return account, nil, nil
	}
	credential := &syscall.Credential{}
	if credential.Uid, err = number(account.Uid); err != nil {
		return nil, nil, err
	}
	if hasGroup {
		// As with container engines: a named group is the only one.
		credential.Gid, err = groupOf(group)
		return account, credential, err
	}
	if credential.Gid, err = number(account.Gid); err != nil {
		return nil, nil, err
	}
	groups, err := account.GroupIds()
	if err != nil {
		groups = nil // An image without /etc/group has none to be a member of.
	}
	for _, group := range groups {
		gid, err := number(group)
		if err != nil {
			return nil, nil, err
		}
		credential.Groups = append(credential.Groups, gid)
	}
	return account, credential, nil
}

func accountOf(name string) (*user.User, error) {
	own := strconv.Itoa(os.Getuid())
	if name == "" || name == own {
		name = own
		if account, err := user.LookupId(own); err == nil {
			return account, nil
		}
		// An image without /etc/passwd has a root nevertheless.
		return &user.User{Uid: own, Gid: strconv.Itoa(os.Getgid()), Username: "root", HomeDir: "/"}, nil
	}
	if account, err := user.Lookup(name); err == nil {
		return account, nil
	}
	if name == "root" {
		return accountOf("")
	}
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		uid := strconv.FormatUint(id, 10)
		if account, err := user.LookupId(uid); err == nil {
			return account, nil
		}
		return &user.User{Uid: uid, Gid: "0", Username: uid, HomeDir: "/"}, nil
	}
	return nil, refusal.Invalid("the guest has no user %q", name)
}

func groupOf(name string) (uint32, error) {
	if group, err := user.LookupGroup(name); err == nil {
		return number(group.Gid)
	}
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return uint32(id), nil
	}
	return 0, refusal.Invalid("the guest has no group %q", name)
}

func number(id string) (uint32, error) {
	value, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return 0, refusal.Invalid("the guest's accounts name the id %q", id)
	}
	return uint32(value), nil
}

func workingDirectory(wanted string, account *user.User) (string, error) {
	if wanted == "" {
		if info, err := os.Stat(account.HomeDir); err == nil && info.IsDir() {
			return account.HomeDir, nil
		}
		return "/", nil
	}
	if !filepath.IsAbs(wanted) || strings.ContainsRune(wanted, 0) {
		return "", refusal.New(v1.ErrorReason_ERROR_REASON_PATH_INVALID, "working_directory %q: it must be absolute", wanted)
	}
	info, err := os.Stat(wanted)
	if err != nil {
		return "", refusal.OfFile(err, wanted)
	}
	if !info.IsDir() {
		return "", refusal.New(v1.ErrorReason_ERROR_REASON_NOT_A_DIRECTORY, "working_directory %s is no directory", wanted)
	}
	return wanted, nil
}

// find looks a program up as a shell does, in the environment that the process will have.
func find(name, path, directory string) (string, error) {
	if strings.Contains(name, "/") {
		full := name
		if !filepath.IsAbs(full) {
			full = filepath.Join(directory, full)
		}
		if err := executable(full); err != nil {
			return "", notRunnable(err, name)
		}
		return full, nil
	}
	var denied error
	for _, entry := range filepath.SplitList(path) {
		if !filepath.IsAbs(entry) {
			entry = filepath.Join(directory, entry)
		}
		full := filepath.Join(entry, name)
		err := executable(full)
		if err == nil {
			return full, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			denied = err
		}
	}
	if denied != nil {
		return "", notRunnable(denied, name)
	}
	return "", notRunnable(fs.ErrNotExist, name)
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fs.ErrPermission
	}
	return nil
}

// notRunnable is the refusal for what came of looking for a program or executing it.
func notRunnable(err error, name string) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return refusal.New(v1.ErrorReason_ERROR_REASON_PERMISSION_DENIED_IN_GUEST, "%s may not be executed", name)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return refusal.New(v1.ErrorReason_ERROR_REASON_COMMAND_NOT_FOUND, "%s: command not found", name)
	case errors.Is(err, syscall.ENOEXEC), errors.Is(err, syscall.E2BIG), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENAMETOOLONG):
		return refusal.Invalid("%s cannot be executed: %v", name, err)
	default:
		return refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "%s could not be started: %v", name, err)
	}
}

func flatten(env map[string]string) []string {
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, fmt.Sprintf("%s=%s", name, value))
	}
	return list
}
