package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"

	"pergola/addressing"
	"pergola/deployment"
	"pergola/internal/apiclient"
	"pergola/internal/inside"
	"pergola/lattice"
)

// serveDeployment serves with a whole deployment in its loopback fabric. Clients and target take the places of
// instances.
func serveDeployment(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "pergola-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := deployment.Start(ctx, deployment.Config{Dir: dir, Listen: "127.0.0.1:0", Network: "loopback", RequestsPerSecond: -1})
	if err != nil {
		return err
	}
	defer d.Close()
	where, err := furnish(ctx, d)
	if err != nil {
		return err
	}
	if err := tell(os.Stdout, where); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.Failed():
		return err
	}
}

// furnish makes a service in a deployment that forwards everything to a single target.
func furnish(ctx context.Context, d *deployment.Deployment) (place, error) {
	s, err := newSite(ctx, d)
	if err != nil {
		return place{}, err
	}
	vpc, err := s.makeVPC()
	if err != nil {
		return place{}, err
	}
	client, err := s.runInstance(vpc, "10.20.0.10")
	if err != nil {
		return place{}, err
	}
	server, err := s.runInstance(vpc, "10.20.0.11")
	if err != nil {
		return place{}, err
	}
	listener, err := server.Listen(ctx, 0)
	if err != nil {
		return place{}, err
	}
	port := listener.Addr().(*net.TCPAddr).AddrPort().Port()
	_, targetAt, err := onHost(ctx, client, netip.AddrPortFrom(server.Address, port))
	if err := errors.Join(err, listener.Close()); err != nil {
		return place{}, err
	}
	domain, err := s.makeService(server, port)
	if err != nil {
		return place{}, err
	}
	from, front, err := onHost(ctx, client, netip.AddrPortFrom(addressing.FirstDoor, 80))
	return place{Front: front, From: from.Addr(), Host: domain, Target: targetAt}, err
}

// makeService makes a service that forwards everything to one instance, and returns its name once it is served.
func (s *site) makeService(server inside.Instance, port uint16) (domain string, err error) {
	group, err := s.create("/targetgroups", body{"name": "bench", "type": "INSTANCE", "config": body{
		"port": port, "protocol": "HTTP", "vpcIdentifier": server.VPC, "healthCheck": body{"enabled": false},
	}})
	if err != nil {
		return "", err
	}
	targets := body{"targets": []body{{"id": server.ID}}}
	registered := func() (bool, error) {
		err := s.api.Lattice(s.ctx, http.MethodPost, "/targetgroups/"+group+"/registertargets", targets, nil)
		if refusal, ok := errors.AsType[*apiclient.Error](err); ok && refusal.Status == http.StatusConflict {
			return false, nil // the group is still being created
		}
		return err == nil, err
	}
	if err := s.eventually("register a target", registered); err != nil {
		return "", err
	}
	var service lattice.CreateServiceResponse
	if err := s.api.Lattice(s.ctx, http.MethodPost, "/services", body{"name": "bench"}, &service); err != nil {
		return "", err
	}
	forward := body{"forward": body{"targetGroups": []body{{"targetGroupIdentifier": group}}}}
	if _, err := s.create("/services/"+service.ID+"/listeners", body{"name": "http", "protocol": "HTTP", "port": 80, "defaultAction": forward}); err != nil {
		return "", err
	}
	network, err := s.create("/servicenetworks", body{"name": "bench"})
	if err != nil {
		return "", err
	}
	if _, err := s.create("/servicenetworkserviceassociations", body{"serviceNetworkIdentifier": network, "serviceIdentifier": service.ID}); err != nil {
		return "", err
	}
	return service.DNSEntry.DomainName, s.join(server.VPC, network)
}

// onHost connects from an instance to an address in its VPC, and returns the addresses that both ends of the connection
// really have on this host.
func onHost(ctx context.Context, from inside.Instance, to netip.AddrPort) (local, remote netip.AddrPort, err error) {
	conn, err := from.Dial(ctx, to)
	if err != nil {
		return local, remote, err
	}
	defer conn.Close()
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return local, remote, fmt.Errorf("a %T is not a socket of this host", conn)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return local, remote, err
	}
	failed := raw.Control(func(fd uintptr) {
		var near, far syscall.Sockaddr
		if near, err = syscall.Getsockname(int(fd)); err != nil {
			return
		}
		if far, err = syscall.Getpeername(int(fd)); err == nil {
			local, remote = addrPort(near), addrPort(far)
		}
	})
	return local, remote, errors.Join(failed, err)
}

func addrPort(a syscall.Sockaddr) netip.AddrPort {
	four := a.(*syscall.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(four.Addr), uint16(four.Port))
}
