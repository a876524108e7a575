package route53

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"pergola/aws"
	"pergola/aws/route53"
)

// CreateHostedZone makes a zone with its name servers and its start of authority: a private one where it is given a
// VPC.
func (op *call) CreateHostedZone(in *route53.CreateHostedZoneRequest) (*route53.CreateHostedZoneResponse, error) {
	if in.VPC != nil {
		op.setVPC(*in.VPC)
	}
	zone, err := op.newZone(in)
	if err := cmp.Or(op.May("*", nil), err); err != nil {
		return nil, err
	}
	if in.VPC != nil {
		if err := op.ownVPC(*in.VPC, zone); err != nil {
			return nil, err
		}
	}
	if err := op.RoomFor(route53.QuotaZones, zones.Count, 1); err != nil {
		return nil, err
	}
	if err := zones.Add(op.Call, zone); err != nil {
		return nil, err
	}
	for _, first := range zone.FirstRecords() {
		err = errors.Join(err, recordSets.Put(op.Tx, first.Path(), first))
	}
	change, beginErr := op.begun("")
	described, describeErr := op.describe(zone)
	answer := &route53.CreateHostedZoneResponse{HostedZone: described, ChangeInfo: change, VPC: in.VPC,
		DelegationSet: delegationOf(zone),
		Location:      "https://route53.amazonaws.com/" + route53.APIVersion + "/hostedzone/" + zone.ID}
	return answer, errors.Join(err, beginErr, describeErr)
}

// newZone is the zone that a request asks for.
func (op *call) newZone(in *route53.CreateHostedZoneRequest) (*route53.HostedZone, error) {
	config := route53.ZoneConfig{}
	if in.HostedZoneConfig != nil {
		config = *in.HostedZoneConfig
	}
	name, err := route53.ParseName(in.Name)
	switch {
	case err != nil:
		return nil, aws.Errorf("InvalidDomainName", "%v", err)
	case config.PrivateZone && in.VPC == nil:
		return nil, invalidInput("When you're creating a private hosted zone (when you specify true for PrivateZone), " +
			"you must also specify values for VPCId and VPCRegion.")
	}
	zone := &route53.HostedZone{ID: newID("Z", nil, op.Random), Account: op.Account, Name: name,
		Reference: in.CallerReference, Comment: config.Comment, Created: op.Now()}
	if in.VPC != nil {
		zone.Private, zone.VPCs = true, []string{in.VPC.VPCID}
	}
	return zone, nil
}

// delegationOf are the name servers of a zone; a private one has none.
func delegationOf(z *route53.HostedZone) *route53.DelegationSet {
	if z.Private {
		return nil
	}
	return &route53.DelegationSet{NameServers: route53.NameServers()}
}

func (op *call) describe(z *route53.HostedZone) (route53.ZoneDescription, error) {
	n, err := recordSets.Count(op.Tx, z.ID+"/")
	return route53.ZoneDescription{ID: route53.ZonePrefix + z.ID, Name: string(z.Name), CallerReference: z.Reference,
		Config: &route53.ZoneConfig{Comment: z.Comment, PrivateZone: z.Private}, Records: int64(n)}, err
}

func (op *call) describeAll(all []*route53.HostedZone) ([]route53.ZoneDescription, error) {
	described := make([]route53.ZoneDescription, len(all))
	for i, z := range all {
		var err error
		if described[i], err = op.describe(z); err != nil {
			return nil, err
		}
	}
	return described, nil
}

// GetHostedZone describes a zone, with the VPCs of a private one.
func (op *call) GetHostedZone(in *route53.ZoneRequest) (*route53.GetHostedZoneResponse, error) {
	zone, err := op.find(in.ID)
	if err != nil {
		return nil, err
	}
	described, err := op.describe(zone)
	return &route53.GetHostedZoneResponse{HostedZone: described, DelegationSet: delegationOf(zone),
		VPCs: op.vpcsOf(zone.VPCs)}, err
}

// maxZonesOfPage is how many zones a page has at most.
const maxZonesOfPage = 100

// sizeOf is how many items a page has: what is asked for, and so many at most.
func sizeOf(asked string, most int) (int, error) {
	if asked == "" {
		return most, nil
	}
	n, err := strconv.Atoi(asked)
	if err != nil || n < 1 {
		return 0, invalidInput("The number of items of a page must be a number above 0, is %q", asked)
	}
	return min(n, most), nil
}

// pageOf cuts a page out of elements in order, from the first that is not before its begin. next begins the following
// page, nil if there is none.
func pageOf[T any](all []T, before func(T) bool, size int) (page []T, next *T) {
	all = slices.Clone(all)
	if i := slices.IndexFunc(all, func(e T) bool { return !before(e) }); i >= 0 {
		all = all[i:]
	} else {
		all = nil
	}
	if len(all) > size {
		return all[:size], &all[size]
	}
	return all, nil
}

// ListHostedZones lists the zones of the account, by their ids.
func (op *call) ListHostedZones(in *route53.ListHostedZonesRequest) (*route53.ListHostedZonesResponse, error) {
	size, err := sizeOf(in.MaxItems, maxZonesOfPage)
	if err != nil {
		return nil, err
	}
	all, err := zones.All(op.Tx, op.Account)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(z *route53.HostedZone) bool { return in.HostedZoneType != "" && !z.Private })
	page, next := pageOf(all, func(z *route53.HostedZone) bool { return z.ID < in.Marker }, size)
	answer := &route53.ListHostedZonesResponse{Marker: in.Marker, IsTruncated: next != nil, MaxItems: strconv.Itoa(size)}
	if next != nil {
		answer.NextMarker = (*next).ID
	}
	answer.HostedZones, err = op.describeAll(page)
	return answer, err
}

// ListHostedZonesByName lists the zones of the account by the labels of their names, from the last.
func (op *call) ListHostedZonesByName(
	in *route53.ListHostedZonesByNameRequest) (*route53.ListHostedZonesByNameResponse, error) {
	size, err := sizeOf(in.MaxItems, maxZonesOfPage)
	if err != nil {
		return nil, err
	}
	if in.HostedZoneID != "" && in.DNSName == "" {
		return nil, invalidInput("A hosted zone ID goes with the name of the hosted zone; give both, or the name alone")
	}
	from, id := "", route53.ID(in.HostedZoneID, route53.ZonePrefix)
	if in.DNSName != "" {
		name, err := route53.ParseName(in.DNSName)
		if err != nil {
			return nil, aws.Errorf("InvalidDomainName", "%v", err)
		}
		from = name.Reversed()
	}
	all, err := zones.All(op.Tx, op.Account)
	if err != nil {
		return nil, err
	}
	place := func(z *route53.HostedZone, name, id string) int {
		return cmp.Or(cmp.Compare(z.Name.Reversed(), name), cmp.Compare(z.ID, id))
	}
	slices.SortFunc(all, func(a, b *route53.HostedZone) int { return place(a, b.Name.Reversed(), b.ID) })
	page, next := pageOf(all, func(z *route53.HostedZone) bool { return place(z, from, id) < 0 }, size)
	answer := &route53.ListHostedZonesByNameResponse{DNSName: in.DNSName, HostedZoneID: in.HostedZoneID,
		IsTruncated: next != nil, MaxItems: strconv.Itoa(size)}
	if next != nil {
		answer.NextDNSName, answer.NextHostedZoneID = string((*next).Name), (*next).ID
	}
	answer.HostedZones, err = op.describeAll(page)
	return answer, err
}

// GetHostedZoneCount tells how many zones the account has.
func (op *call) GetHostedZoneCount(*route53.GetHostedZoneCountRequest) (*route53.GetHostedZoneCountResponse, error) {
	n, err := zones.Count(op.Tx, op.Account)
	return &route53.GetHostedZoneCountResponse{HostedZoneCount: int64(n)}, err
}

// UpdateHostedZoneComment gives a zone another comment, or none.
func (op *call) UpdateHostedZoneComment(
	in *route53.UpdateHostedZoneCommentRequest) (*route53.UpdateHostedZoneCommentResponse, error) {
	zone, err := op.find(in.ID)
	if err != nil {
		return nil, err
	}
	zone.Comment = in.Comment
	described, err := op.describe(zone)
	return &route53.UpdateHostedZoneCommentResponse{HostedZone: described}, errors.Join(err, zones.Put(op.Call, zone))
}

// DeleteHostedZone deletes a zone that has no records but those that it began with.
func (op *call) DeleteHostedZone(in *route53.ZoneRequest) (*route53.ChangeResponse, error) {
	zone, err := op.find(in.ID)
	if err != nil {
		return nil, err
	}
	all, _, err := recordSets.List(op.Tx, zone.ID+"/", "", 3)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if !zone.IsFirst(&all[i].Value) {
			return nil, aws.Errorf("HostedZoneNotEmpty",
				"The specified hosted zone contains non-required resource record sets and so cannot be deleted.")
		}
	}
	if err := recordSets.DeletePrefix(op.Tx, zone.ID+"/"); err != nil {
		return nil, err
	}
	zones.Delete(op.Tx, zone)
	return op.answered("")
}

// GetDNSSEC tells that a public zone is not signed. Tools ask before they delete one.
func (op *call) GetDNSSEC(in *route53.GetDNSSECRequest) (*route53.GetDNSSECResponse, error) {
	zone, err := op.find(in.HostedZoneID)
	switch {
	case err != nil:
		return nil, err
	case zone.Private:
		return nil, aws.Errorf("InvalidArgument", "Operation is unsupported for private hosted zones.")
	}
	return &route53.GetDNSSECResponse{Status: route53.DNSSECStatus{ServeSignature: "NOT_SIGNING"}}, nil
}
