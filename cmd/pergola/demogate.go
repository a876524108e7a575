package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// silent is how long the demo waits for an answer that does not come.
const silent = 500 * time.Millisecond

// admitLattice opens the targets' security group to the addresses from which VPC Lattice comes.
func (s *story) admitLattice() (string, error) {
	group, list, err := s.api.AdmitLattice(s.ctx, s.partner.vpc)
	return fmt.Sprintf("%s of partner lets in %s, the addresses of VPC Lattice", group, list), err
}

// silence closes the way out of risk scoring, which then hears nothing at all, and opens it again.
func (s *story) silence() (string, error) {
	group, err := s.api.DefaultGroup(s.ctx, s.payments.vpc)
	if err != nil {
		return "", err
	}
	out := url.Values{"GroupId": {group}, "IpPermissions.1.IpProtocol": {"-1"},
		"IpPermissions.1.IpRanges.1.CidrIp": {"0.0.0.0/0"}}
	if err := s.api.Query(s.ctx, "ec2", "RevokeSecurityGroupEgress", out, &struct{}{}); err != nil {
		return "", err
	}
	if err := s.hearsNothing(); err != nil {
		return "", err
	}
	if err := s.api.Query(s.ctx, "ec2", "AuthorizeSecurityGroupEgress", out, &struct{}{}); err != nil {
		return "", err
	}
	answer, err := s.get(s.client.Client(), nil)
	return fmt.Sprintf("without its rule for egress, %s hears nothing for %v; with it, %d", group, silent, answer.status),
		err
}

// hearsNothing is nil if a call of the service by a new connection gets neither an answer nor a refusal.
func (s *story) hearsNothing() error {
	client := s.client.Client()
	client.Timeout = silent
	_, err := s.get(client, nil)
	var waited interface{ Timeout() bool }
	switch {
	case err == nil:
		return errors.New("the call was answered, though no security group lets it out")
	case !errors.As(err, &waited) || !waited.Timeout():
		return fmt.Errorf("the call was refused, and not left without an answer: %w", err)
	}
	return nil
}
