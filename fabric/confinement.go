package fabric

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Means is by what a program is kept in its bounds.
type Means string

// The means, the strongest first.
const (
	// ByNamespaces gives a program its own view of files and processes. What it is not to see is not there, and when it
	// ends all that it has started ends with it, since the kernel says so.
	ByNamespaces Means = "namespaces"
	// ByLandlock lets the kernel refuse what a program is not to open (landlock(7)). An init of this package ends what the
	// program has started.
	ByLandlock Means = "landlock"
	// ByNothing leaves files and network as they are; what a program has started ends as with ByLandlock.
	ByNothing Means = "nothing"
)

// CodeDir is where a confined program finds its code with ByNamespaces. Otherwise it is where it really is.
const CodeDir = "/var/task"

// TemporaryDir is where a confined program finds its temporary directory with ByNamespaces.
const TemporaryDir = "/tmp"

// Confinement is what a program has that is to see little: its code, a temporary directory, and those files of the
// system that interpreters and TLS need, all but the temporary directory for reading alone. It has no privileges and
// gains none.
type Confinement struct {
	// Means is how; see Fabric.Confines.
	Means Means
	// Code is the directory with its code.
	Code string
	// Temporary is an empty directory of its own. ByNamespaces shows it as a file system in memory.
	Temporary string
	// TemporarySize is how large that file system may get, and with any means how large a file may be; in bytes.
	TemporarySize int64
	// Data is how much memory each process may allocate, in bytes; 0 is no limit.
	Data uint64
	// Processes and Descriptors are how many the program may have; 0 is no limit. Processes are counted with ByNamespaces
	// only, since elsewhere all of a user's would count.
	Processes, Descriptors uint64
	// Ports are the TCP ports that the program may connect to, on any address, where Landlock can tell (from Linux 6.7
	// on). It may listen on none then. With ByNamespaces none means that the network that its Place has is all its own.
	Ports []uint16
}

// Private is a directory that programs do not see.
type Private struct {
	// Dir is the directory; "" hides nothing.
	Dir string
	// Shown are files right in it that programs see, for reading.
	Shown []string
}

// stage is all that the program stage is told; see Main.
type stage struct {
	Args     []string
	Env      []string
	Dir      string
	Terminal bool
	Resolv   string // what to show as /etc/resolv.conf; "" for the host's
	Means    Means
	Private  Private
	Confined *Confinement
	Probe    bool // prepare everything, and start nothing
}

// errSetup is wrapped when what a program is to have, or not to have, could not be arranged. It was not started.
var errSetup = errors.New("it cannot be prepared here")

// confines finds the strongest means by which this host keeps programs in their bounds, and why not by a stronger one.
func confines(private Private, confined bool) (means Means, reason string) {
	var reasons []string
	for _, means := range []Means{ByNamespaces, ByLandlock} {
		err := tryMeans(means, private, confined)
		if err == nil {
			return means, strings.Join(reasons, "; ")
		}
		reasons = append(reasons, fmt.Sprintf("%s: %v", means, err))
	}
	return ByNothing, strings.Join(reasons, "; ")
}

// tryMeans runs the program stage up to the point at which it would start a program.
func tryMeans(means Means, private Private, confined bool) error {
	dir, err := os.MkdirTemp("", "pergola-")
	if err != nil {
		return err
	}
	defer os.Remove(dir)
	s := &stage{Means: means, Private: private, Dir: "/", Probe: true, Args: []string{"/"}}
	if confined {
		s.Confined = &Confinement{Means: means, Code: dir, Temporary: dir, TemporarySize: 1 << 20}
	}
	return s.try()
}
