package deployment

import (
	"context"
	"errors"
	"net"
	"os"

	"pergola/fabric"
	"pergola/functions"
)

// Functions is what runs Lambda functions.
type Functions struct{ part }

// StartFunctions starts what runs functions. Close stops it.
func StartFunctions(cfg Config) (*Functions, error) {
	f := &Functions{}
	if err := f.start(f.begin(cfg)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Functions) start(background context.Context) error {
	if err := prepare(f.cfg.Dir); err != nil {
		return err
	}
	// Functions run on the host, outside of all VPCs. The fabric's lock also says that no other process has the directory.
	host, err := fabric.Open(fabric.Config{
		Kind: fabric.Loopback, StateDir: f.cfg.path("functions", "fabric"), Logger: f.cfg.Logger,
		Private: fabric.Private{Dir: f.cfg.Dir},
	})
	if err != nil {
		return err
	}
	f.opened(host.Close)
	codes, err := functions.OpenCodes(f.cfg.path("functions", "code"))
	if err != nil {
		return err
	}
	runtime, err := functions.New(functions.Config{
		Fabric: host, Codes: codes, Dir: f.cfg.path("functions", "tmp"),
		Region: f.cfg.Region, Endpoint: f.cfg.Endpoint, AllowUnconfined: f.cfg.AllowUnconfined, Logger: f.cfg.Logger,
	})
	if err != nil {
		return err
	}
	f.opened(runtime.Close)
	socket := f.cfg.path(functionsSocket)
	_ = os.Remove(socket) // what an earlier process left
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	f.opened(listener.Close)
	if err := os.Chmod(socket, 0o600); err != nil {
		return err
	}
	f.run("functions", func() error { return functions.Serve(background, listener, runtime, f.cfg.Logger) })
	return nil
}
