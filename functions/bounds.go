package functions

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"pergola/aws"
	"pergola/fabric"
)

// Bounds of an environment (Lambda developer guide, "Lambda quotas").
const (
	// maxTemporary is how much the temporary directory holds, in bytes: the size of /tmp that a function has by default.
	maxTemporary = 512 << 20
	// maxProcesses and maxDescriptors are how many processes and threads a function may have, and files each may have
	// open.
	maxProcesses   = 1024
	maxDescriptors = 1024
)

// dataFactor and dataBase make the hard limit out of a function's memory: what a process may allocate at all. It is
// wide, because programs reserve much that they never use; within it, the memory in use is watched.
const (
	dataFactor = 4
	dataBase   = 512 << 20
)

// ErrUnconfined is what Invoke returns where functions would run with all of the host's files at hand.
var ErrUnconfined error = &aws.Error{
	Code: "ServiceException", Status: http.StatusInternalServerError,
	Message: "functions are not run here: this host has no means to keep them from the deployment's keys and sockets; " +
		"allow user namespaces or Landlock, as the log says, or start pergola serve with --allow-unconfined-functions",
}

// bounds are how this host keeps functions to what they are meant to see.
type bounds struct {
	means fabric.Means
	cells bool             // each environment has a network of its own
	reach []netip.AddrPort // of the host, from there
	ports []uint16         // that functions may connect to where the kernel counts those
	err   error            // why no function runs
}

// boundsOf finds the strongest means that this host offers, and says so.
func boundsOf(config *Config) bounds {
	means, reason := config.Fabric.Confines()
	return boundsBy(config, means, reason)
}

func boundsBy(config *Config, means fabric.Means, reason string) bounds {
	b := bounds{means: means}
	if b.means == fabric.ByNothing && !config.AllowUnconfined {
		b.err = ErrUnconfined
	}
	b.ports = []uint16{53, 80, 443}
	if endpoint, err := url.Parse(config.Endpoint); err == nil {
		if at, err := netip.ParseAddrPort(endpoint.Host); err == nil {
			b.reach, b.ports = append(b.reach, loopbackOf(at)), append(b.ports, at.Port())
		}
	}
	network := "the host's"
	if b.means == fabric.ByNamespaces {
		cell, err := config.Fabric.MakeCell(context.Background(), b.reach...)
		if b.cells = err == nil; b.cells {
			network, err = "its own", cell.Close()
		}
		if err != nil {
			reason = errors.Join(errors.New(reason), err).Error()
		}
	}
	level := slog.LevelInfo
	if b.means != fabric.ByNamespaces || !b.cells {
		level = slog.LevelWarn
	}
	config.Logger.Log(context.Background(), level, "how functions are confined", "means", b.means, "network", network,
		"refused", b.err != nil, "reason", reason)
	return b
}

// loopbackOf is where a program of this host finds what listens on all addresses.
func loopbackOf(at netip.AddrPort) netip.AddrPort {
	switch at.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	}
	return at
}

// codeSeen and temporarySeen are where the function finds its code and its temporary directory.
func (b *bounds) codeSeen(dir string) string {
	if b.means == fabric.ByNamespaces {
		return fabric.CodeDir
	}
	return dir
}

func (b *bounds) temporarySeen(dir string) string {
	if b.means == fabric.ByNamespaces {
		return fabric.TemporaryDir
	}
	return dir
}

// confinement is that of an environment.
func (e *environment) confinement(code string) *fabric.Confinement {
	c := &fabric.Confinement{
		Means: e.runtime.bounds.means, Code: code, Temporary: e.dir, TemporarySize: maxTemporary,
		Data:      uint64(e.function.Memory)<<20*dataFactor + dataBase,
		Processes: maxProcesses, Descriptors: maxDescriptors,
	}
	if at, err := netip.ParseAddrPort(e.listener.Addr().String()); err == nil && e.cell == nil {
		c.Ports = append(slices.Clone(e.runtime.bounds.ports), at.Port())
	}
	return c
}

// diskEvery is how often a temporary directory on disk is looked at. What a program can write meanwhile is beyond its
// bound.
const diskEvery = 200 * time.Millisecond

// watchDisk ends the process of an environment whose temporary directory is on disk once that has too much in it.
func (e *environment) watchDisk() {
	ticks := time.NewTicker(diskEvery)
	defer ticks.Stop()
	for {
		select {
		case <-e.exited:
			return
		case <-ticks.C:
			if sizeOf(e.dir, maxTemporary) > maxTemporary {
				e.mu.Lock()
				e.failed = failure("Runtime.ExitError", fmt.Sprintf("Error: the temporary directory has more than %d MB in it",
					maxTemporary>>20))
				e.mu.Unlock()
				e.kill()
				return
			}
		}
	}
}

// fileCost is what a file takes that has nothing in it, so that names alone do not fill a disk.
const fileCost = 4096

// sizeOf is how much is in a directory, in bytes; it looks no further once that is more than enough.
func sizeOf(dir string, enough int64) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error { // what is gone again has no size
		if err == nil {
			total += fileCost
			if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
				total += info.Size()
			}
		}
		if total > enough {
			return fs.SkipAll
		}
		return nil
	})
	return total
}
