package route53

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/route53"
	"pergola/store"
)

// setVPC sets the condition key about the VPC of a request.
func (op *call) setVPC(v route53.VPC) {
	op.Set("route53:VPCs", fmt.Sprintf("VPCId=%s,VPCRegion=%s", v.VPCID, v.VPCRegion))
}

// vpcsOf are VPCs as answers have them.
func (op *call) vpcsOf(ids []string) []route53.VPC {
	all := make([]route53.VPC, len(ids))
	for i, id := range ids {
		all[i] = route53.VPC{VPCRegion: op.Region, VPCID: id}
	}
	return all
}

// invalidVPC refuses what names no VPC.
func (op *call) invalidVPC(v route53.VPC) error {
	return aws.Errorf("InvalidVPCId", "The VPC ID %q in region %q is invalid: it must be that of a VPC in %s", v.VPCID,
		v.VPCRegion, op.Region)
}

// ownVPC refuses a VPC that the account does not have, or may not read. zone is the one that it is to be associated
// with.
func (op *call) ownVPC(v route53.VPC, zone *route53.HostedZone) error {
	if err := op.MayAlso("ec2:DescribeVpcs", "*", nil); err != nil {
		return err
	}
	if v.VPCRegion != op.Region || v.VPCID == "" {
		return op.invalidVPC(v)
	}
	vpc, err := vpcs.Get(op.Tx, v.VPCID)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && vpc.Account != op.Account && zone.Account != op.Account:
		return op.invalidVPC(v)
	case err == nil && vpc.Account != op.Account:
		return withStatus(401, aws.Errorf("NotAuthorizedException",
			"The VPC: %s has not authorized to associate with your hosted zone.", v.VPCID))
	}
	return err
}

// theirs reads a zone of another account that has authorized the association with a VPC of this one, or has it; nil for
// any other.
func (op *call) theirs(named string, v route53.VPC) (*route53.HostedZone, error) {
	vpc, err := vpcs.Get(op.Tx, v.VPCID)
	if errors.Is(err, store.ErrNotFound) || err == nil && vpc.Account != op.Account {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	id := route53.ID(named, route53.ZonePrefix)
	zone, err := zones.Objects.Get(op.Tx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case zone.Account == op.Account || !slices.Contains(zone.Authorized, v.VPCID) && !zone.Uses(v.VPCID):
		return nil, nil
	}
	return &zone, op.May(zoneARN(id), nil)
}

// zoneFor reads the zone with which a VPC is to be associated, or is: one of the account, or one that theirs finds.
func (op *call) zoneFor(in *route53.AssociationRequest) (*route53.HostedZone, error) {
	if in.VPC.VPCID == "" {
		return nil, op.invalidVPC(in.VPC)
	}
	op.setVPC(in.VPC)
	if zone, err := op.theirs(in.HostedZoneID, in.VPC); zone != nil || err != nil {
		return zone, err
	}
	return op.find(in.HostedZoneID)
}

// AssociateVPCWithHostedZone has the resolver of a VPC answer from a private zone.
func (op *call) AssociateVPCWithHostedZone(in *route53.AssociationRequest) (*route53.ChangeResponse, error) {
	zone, err := op.zoneFor(in)
	if err != nil {
		return nil, err
	}
	if err := op.ownVPC(in.VPC, zone); err != nil {
		return nil, err
	}
	switch {
	case !zone.Private:
		return nil, aws.Errorf("PublicZoneVPCAssociation",
			"You're trying to associate a VPC with the public hosted zone %s. Only private ones have VPCs.", zone.ID)
	case zone.Uses(in.VPC.VPCID):
		return nil, aws.Errorf("ConflictingDomainExists",
			"The VPC %s in region %s has already been associated with the hosted zone %s with the same domain name.",
			in.VPC.VPCID, op.Region, zone.ID)
	}
	if err := op.Quotas.Room(route53.QuotaVPCs, len(zone.VPCs)+1); err != nil {
		return nil, err
	}
	zone.VPCs = append(zone.VPCs, in.VPC.VPCID)
	if err := zones.Put(op.Call, zone); err != nil {
		return nil, err
	}
	return op.answered(in.Comment)
}

// DisassociateVPCFromHostedZone takes that back. A private zone keeps one VPC at least.
func (op *call) DisassociateVPCFromHostedZone(in *route53.AssociationRequest) (*route53.ChangeResponse, error) {
	zone, err := op.zoneFor(in)
	switch {
	case err != nil:
		return nil, err
	case in.VPC.VPCRegion != op.Region:
		return nil, op.invalidVPC(in.VPC)
	case !zone.Uses(in.VPC.VPCID):
		return nil, withStatus(404, aws.Errorf("VPCAssociationNotFound",
			"The VPC: %s in region: %s is not associated with the hosted zone %s.", in.VPC.VPCID, op.Region, zone.ID))
	case len(zone.VPCs) == 1:
		return nil, aws.Errorf("LastVPCAssociation", "The VPC: %s in region: %s is the last one that the private hosted "+
			"zone %s is associated with; delete the hosted zone instead.", in.VPC.VPCID, op.Region, zone.ID)
	}
	if zone.Account != op.Account {
		if err := op.ownVPC(in.VPC, zone); err != nil {
			return nil, err
		}
	}
	zone.VPCs = slices.DeleteFunc(zone.VPCs, func(id string) bool { return id == in.VPC.VPCID })
	if err := zones.Put(op.Call, zone); err != nil {
		return nil, err
	}
	return op.answered(in.Comment)
}

// ListHostedZonesByVPC lists the private zones that a VPC is associated with, of any account, by their names.
func (op *call) ListHostedZonesByVPC(
	in *route53.ListHostedZonesByVPCRequest) (*route53.ListHostedZonesByVPCResponse, error) {
	size, err := sizeOf(in.MaxItems, maxZonesOfPage)
	if err := cmp.Or(op.May("*", nil), err); err != nil {
		return nil, err
	}
	if err := op.ownVPC(route53.VPC{VPCRegion: in.VPCRegion, VPCID: in.VPCID}, &route53.HostedZone{}); err != nil {
		return nil, err
	}
	keys, more, err := byVPC.List(op.Tx, in.VPCID+"/", in.NextToken, size)
	if err != nil {
		return nil, err
	}
	answer := &route53.ListHostedZonesByVPCResponse{HostedZoneSummaries: []route53.ZoneSummary{},
		MaxItems: strconv.Itoa(size)}
	for _, key := range keys {
		zone, err := zones.Objects.Get(op.Tx, key.Value)
		if err != nil {
			return nil, err
		}
		answer.HostedZoneSummaries = append(answer.HostedZoneSummaries, route53.ZoneSummary{HostedZoneID: zone.ID,
			Name: string(zone.Name), Owner: route53.ZoneOwner{OwningAccount: zone.Account}})
	}
	if more {
		answer.NextToken = keys[len(keys)-1].ID
	}
	return answer, nil
}

// maxAuthorizations is how many VPCs of other accounts may be authorized for one zone (developer guide, "Quotas").
const maxAuthorizations = 1000

// private reads a zone that must be private.
func (op *call) private(named string) (*route53.HostedZone, error) {
	zone, err := op.find(named)
	if err == nil && !zone.Private {
		return nil, invalidInput("The hosted zone %s is public, and only private ones are associated with VPCs.", zone.ID)
	}
	return zone, err
}

// CreateVPCAssociationAuthorization lets another account associate its VPC with a private zone.
func (op *call) CreateVPCAssociationAuthorization(
	in *route53.AuthorizationRequest) (*route53.CreateVPCAssociationAuthorizationResponse, error) {
	op.setVPC(in.VPC)
	zone, err := op.private(in.HostedZoneID)
	switch {
	case err != nil:
		return nil, err
	case in.VPC.VPCRegion != op.Region || !strings.HasPrefix(in.VPC.VPCID, "vpc-"):
		return nil, op.invalidVPC(in.VPC)
	case !slices.Contains(zone.Authorized, in.VPC.VPCID) && len(zone.Authorized) >= maxAuthorizations:
		return nil, aws.Errorf("TooManyVPCAssociationAuthorizations",
			"The hosted zone %s has %d authorizations, and no more can be made.", zone.ID, len(zone.Authorized))
	case !slices.Contains(zone.Authorized, in.VPC.VPCID):
		zone.Authorized = append(zone.Authorized, in.VPC.VPCID)
	}
	return &route53.CreateVPCAssociationAuthorizationResponse{HostedZoneID: zone.ID, VPC: in.VPC},
		zones.Put(op.Call, zone)
}

// ListVPCAssociationAuthorizations lists the VPCs of other accounts that may be associated with a zone.
func (op *call) ListVPCAssociationAuthorizations(
	in *route53.ListVPCAssociationAuthorizationsRequest) (*route53.ListVPCAssociationAuthorizationsResponse, error) {
	zone, err := op.private(in.HostedZoneID)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(in.MaxResults, maxZonesOfPage)
	if err != nil {
		return nil, err
	}
	ids := slices.Sorted(slices.Values(zone.Authorized))
	page, next := pageOf(ids, func(id string) bool { return id < in.NextToken }, size)
	answer := &route53.ListVPCAssociationAuthorizationsResponse{HostedZoneID: zone.ID, VPCs: op.vpcsOf(page)}
	if next != nil {
		answer.NextToken = *next
	}
	return answer, nil
}

// DeleteVPCAssociationAuthorization takes an authorization back. An association that was made with it stays.
func (op *call) DeleteVPCAssociationAuthorization(in *route53.AuthorizationRequest) error {
	op.setVPC(in.VPC)
	zone, err := op.private(in.HostedZoneID)
	if err != nil {
		return err
	}
	i := slices.Index(zone.Authorized, in.VPC.VPCID)
	if i < 0 || in.VPC.VPCRegion != op.Region {
		return withStatus(404, aws.Errorf("VPCAssociationAuthorizationNotFound",
			"The VPC %s in region %s is not authorized for the hosted zone %s.", in.VPC.VPCID, in.VPC.VPCRegion, zone.ID))
	}
	zone.Authorized = slices.Delete(zone.Authorized, i, i+1)
	return zones.Put(op.Call, zone)
}
