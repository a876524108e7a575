package ec2

import (
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// zones are the region's availability zones: three, as most regions have.
func (c *Control) zones() []ec2.AvailabilityZone {
	var zones []ec2.AvailabilityZone
	for i, letter := range []string{"a", "b", "c"} {
		zones = append(zones, ec2.AvailabilityZone{
			OptInStatus: "opt-in-not-required", RegionName: c.Region, Name: c.Region + letter,
			ID: shortRegion(c.Region) + "-az" + strconv.Itoa(i+1), GroupName: c.Region + "-zg-1",
			NetworkBorderGroup: c.Region, Type: "availability-zone", State: "available",
		})
	}
	return zones
}

// shortRegion is a region as zone ids spell it: usw2 for us-west-2, apse1 for ap-southeast-1.
func shortRegion(region string) string {
	return strings.NewReplacer("north", "n", "south", "s", "east", "e", "west", "w", "central", "c", "gov", "g", "-", "").Replace(region)
}

// zone finds a zone by name or by id; the first one if both are empty.
func (c *Control) zone(name, id string) (ec2.AvailabilityZone, error) {
	zones := c.zones()
	i := slices.IndexFunc(zones, func(z ec2.AvailabilityZone) bool {
		return (name == "" || z.Name == name) && (id == "" || z.ID == id)
	})
	if i < 0 {
		return ec2.AvailabilityZone{}, aws.Errorf("InvalidParameterValue",
			"Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s, %s, %s.",
			name+id, zones[0].Name, zones[1].Name, zones[2].Name)
	}
	return zones[i], nil
}

// DescribeAvailabilityZones lists the zones of the region.
func (op *call) DescribeAvailabilityZones(
	in *ec2.DescribeAvailabilityZonesRequest) (*ec2.DescribeAvailabilityZonesResponse, error) {
	for _, name := range in.Names {
		if _, err := op.zone(name, ""); err != nil {
			return nil, err
		}
	}
	zones, err := filtered(op.zones(), in.Filters, func(z ec2.AvailabilityZone) map[string][]string {
		return map[string][]string{
			"zone-name": {z.Name}, "zone-id": {z.ID}, "zone-type": {z.Type}, "region-name": {z.RegionName},
			"state": {z.State}, "opt-in-status": {z.OptInStatus}, "group-name": {z.GroupName},
		}
	})
	zones = slices.DeleteFunc(zones, func(z ec2.AvailabilityZone) bool {
		return len(in.Names) > 0 && !slices.Contains(in.Names, z.Name) || len(in.IDs) > 0 && !slices.Contains(in.IDs, z.ID)
	})
	return &ec2.DescribeAvailabilityZonesResponse{Zones: zones}, err
}
