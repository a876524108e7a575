package fabric

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What confined programs see of the system, for reading: programs and libraries, and those settings of /etc by which
// names are found, certificates are trusted and libraries are loaded. Private keys and passwords are not among them.
var (
	systemDirs  = []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"}
	systemFiles = []string{
		"passwd", "group", "nsswitch.conf", "hosts", "host.conf", "gai.conf", "resolv.conf", "services", "protocols",
		"mime.types", "localtime", "os-release", "ld.so.cache", "ld.so.conf", "ssl/openssl.cnf", "ssl/cert.pem",
		"pki/tls/openssl.cnf", "pki/tls/cert.pem",
	}
	systemSettings = []string{
		"ld.so.conf.d", "alternatives", "ssl/certs", "pki/tls/certs", "pki/ca-trust", "pki/java", "ca-certificates",
		"crypto-policies",
	}
	devices = []string{"null", "zero", "full", "random", "urandom"}
)

// mount makes the command's view of files. With ByNamespaces this process has a mount namespace of its own already.
func (s *stage) mount(report io.Writer) error {
	switch {
	case s.Means != ByNamespaces:
		if s.Resolv != "" {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				fmt.Fprintln(report, reportResolver, err)
				return nil
			}
		}
	case s.Confined != nil:
		return s.Confined.tree(s.Private, s.Resolv)
	}
	if s.Means == ByNamespaces || s.Resolv != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make the mounts private: %w", err)
		}
	}
	if s.Resolv != "" {
		if err := unix.Mount(s.Resolv, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
			fmt.Fprintln(report, reportResolver, err)
		}
	}
	if s.Means != ByNamespaces {
		return nil
	}
	// Where it is refused, as in containers that hide some of it, the one of the host shows more processes than there are;
	// to look into them the command has no power.
	_ = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	return s.Private.cover("/")
}

// cover covers a private directory, as it is found below a root, with one that has the files in it that are shown.
func (p Private) cover(root string) error {
	if p.Dir == "" {
		return nil
	}
	dir := filepath.Join(root, p.Dir)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	shown := map[string]int{}
	for _, file := range p.Shown {
		fd, err := unix.Open(filepath.Join(root, file), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // a file that is not there need not be shown
		}
		defer unix.Close(fd)
		shown[filepath.Base(file)] = fd
	}
	if err := mountMemory(dir, "size=64k,nr_inodes=64,mode=755"); err != nil {
		return err
	}
	for name, fd := range shown {
		if err := bindFile(fmt.Sprintf("/proc/self/fd/%d", fd), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return readOnly(dir, 0)
}

// tree makes a root of its own for a confined program, on its temporary directory, and enters it.
func (c *Confinement) tree(private Private, resolv string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	root := c.Temporary
	code, err := unix.Open(c.Code, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("find the code: %w", err)
	}
	defer unix.Close(code)
	if err := mountMemory(root, "size=1m,nr_inodes=1k,mode=755"); err != nil {
		return err
	}
	steps := []func() error{
		func() error { return c.system(root, private, resolv) },
		func() error { return bindDir(fmt.Sprintf("/proc/self/fd/%d", code), root+CodeDir) },
		func() error { return devicesIn(root + "/dev") },
		func() error { return processes(root + "/proc") },
		func() error { return os.MkdirAll(root+"/opt", 0o755) },
		func() error { return os.MkdirAll(root+TemporaryDir, 0o700) },
		func() error {
			return mountMemory(root+TemporaryDir, fmt.Sprintf("size=%d,nr_inodes=%d,mode=700", c.TemporarySize,
				c.TemporarySize>>12))
		},
		func() error { return enterRoot(root) },
		func() error { return readOnly("/", 0) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// system shows the system's files.
func (c *Confinement) system(root string, private Private, resolv string) error {
	for _, dir := range systemDirs {
		if target, err := os.Readlink(dir); err == nil { // as /bin is a link to usr/bin
			if err := os.Symlink(target, root+dir); err != nil {
				return err
			}
			continue
		}
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		if err := bindDir(dir, root+dir); err != nil {
			return err
		}
		if isBelow(private.Dir, dir) {
			if err := (Private{Dir: private.Dir}).cover(root); err != nil {
				return err
			}
		}
	}
	for _, name := range systemFiles {
		from := "/etc/" + name
		if name == "resolv.conf" && resolv != "" {
			from = resolv
		}
		if err := copyFile(from, root+"/etc/"+name); err != nil {
			return err
		}
	}
	for _, name := range systemSettings {
		if info, err := os.Stat("/etc/" + name); err != nil || !info.IsDir() {
			continue
		}
		if err := bindDir("/etc/"+name, root+"/etc/"+name); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies a small file, if it is there and may be read.
func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// devicesIn shows the devices that are no more than sources and sinks of bytes.
func devicesIn(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range devices {
		if err := bindFile("/dev/"+name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1",
		"stderr": "fd/2"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// processes shows the processes of this namespace. Where the kernel refuses that, as in containers that hide some of
// the host's, those are listed; a program without powers cannot look into them.
func processes(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("proc", dir, "proc", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err == nil {
		return nil
	}
	return bindDir("/proc", dir)
}

// mountMemory mounts a file system in memory.
func mountMemory(at, options string) error {
	if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("mount memory at %s: %w", at, err)
	}
	return nil
}

// bindDir shows a directory, with what is mounted in it, at a second place for reading.
func bindDir(from, at string) error {
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s: %w", from, err)
	}
	return readOnly(at, unix.AT_RECURSIVE)
}

// bindFile shows a file, or a device, at a second place.
func bindFile(from, at string) error {
	if err := os.WriteFile(at, nil, 0o644); err != nil {
		return err
	}
	if err := unix.Mount(from, at, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show %s: %w", from, err)
	}
	return nil
}

// readOnly makes a mount one for reading.
func readOnly(at string, flags uint) error {
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if err := unix.MountSetattr(unix.AT_FDCWD, at, flags, attr); err != nil {
		return fmt.Errorf("make %s read-only: %w", at, err)
	}
	return nil
}

// enterRoot makes a mount the root of this process's namespace and lets the old one go.
func enterRoot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil { // the old root lies over the new one then (pivot_root(2))
		return fmt.Errorf("enter %s: %w", root, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let the old root go: %w", err)
	}
	return os.Chdir("/")
}
