package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"pergola/deployment"
	"pergola/internal/apiclient"
	"pergola/internal/inside"
	"pergola/lattice"
)

// site furnishes a deployment through its API.
type site struct {
	ctx        context.Context
	deployment *deployment.Deployment
	api        *apiclient.Client
}

// body is a JSON body.
type body map[string]any

func newSite(ctx context.Context, d *deployment.Deployment) (*site, error) {
	environment, err := d.Environment(ctx, "")
	if err != nil {
		return nil, err
	}
	return &site{ctx, d, &apiclient.Client{Environment: environment}}, nil
}

// create creates a resource and returns its id.
func (s *site) create(path string, in body) (id string, err error) {
	var out struct{ ID string }
	err = s.api.Lattice(s.ctx, http.MethodPost, path, in, &out)
	return out.ID, err
}

// siteCIDR is the range of every VPC, and of its one subnet.
var siteCIDR = netip.MustParsePrefix("10.20.0.0/16")

// vpc is a VPC with one subnet.
type vpc struct{ id, subnet string }

func (s *site) makeVPC() (vpc, error) {
	var made struct {
		ID string `xml:"vpc>vpcId"`
	}
	if err := s.api.Query(s.ctx, "ec2", "CreateVpc", url.Values{"CidrBlock": {siteCIDR.String()}}, &made); err != nil {
		return vpc{}, err
	}
	var subnet struct {
		ID string `xml:"subnet>subnetId"`
	}
	err := s.api.Query(s.ctx, "ec2", "CreateSubnet", url.Values{"VpcId": {made.ID}, "CidrBlock": {siteCIDR.String()}}, &subnet)
	if err == nil {
		_, _, err = s.api.AdmitLattice(s.ctx, made.ID)
	}
	return vpc{made.ID, subnet.ID}, err
}

// runInstance runs an instance and waits until it is running.
func (s *site) runInstance(v vpc, address string) (inside.Instance, error) {
	var launched struct {
		ID string `xml:"instancesSet>item>instanceId"`
	}
	parameters := url.Values{"SubnetId": {v.subnet}, "PrivateIpAddress": {address}, "MinCount": {"1"}, "MaxCount": {"1"}}
	if err := s.api.Query(s.ctx, "ec2", "RunInstances", parameters, &launched); err != nil {
		return inside.Instance{}, err
	}
	running := func() (bool, error) {
		var described struct {
			State string `xml:"reservationSet>item>instancesSet>item>instanceState>name"`
		}
		err := s.api.Query(s.ctx, "ec2", "DescribeInstances", url.Values{"InstanceId.1": {launched.ID}}, &described)
		return described.State == "running", err
	}
	return inside.Instance{
		Fabric: s.deployment.Fabric(), VPC: v.id, ID: launched.ID,
		Address: netip.MustParseAddr(address), Resolver: siteCIDR.Addr().Next().Next(),
	}, s.eventually("run "+launched.ID, running)
}

// join associates a VPC with a service network and waits until that is so everywhere.
func (s *site) join(vpcID, network string) error {
	association, err := s.create("/servicenetworkvpcassociations", body{"serviceNetworkIdentifier": network, "vpcIdentifier": vpcID})
	if err != nil {
		return err
	}
	return s.eventually("associate "+vpcID, func() (bool, error) {
		var now lattice.GetServiceNetworkVPCAssociationResponse
		err := s.api.Lattice(s.ctx, http.MethodGet, "/servicenetworkvpcassociations/"+association, nil, &now)
		return now.Status == lattice.StatusActive, err
	})
}

// eventuallyTime is how long anything may take to happen.
const eventuallyTime = 2 * time.Minute

// eventually asks until the answer is yes or an error.
func (s *site) eventually(what string, yes func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(s.ctx, eventuallyTime)
	defer cancel()
	for {
		done, err := yes()
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: it did not happen in time: %w", what, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
