package ec2

import (
	"encoding/xml"
	"time"
)

// APIVersion is the version of the API whose shapes this package holds, each as large as its users need. Requests carry
// the names of their parameters in query tags and their constraints in check tags, which package lattice explains;
// responses carry the names of their elements in xml tags.
const APIVersion = "2016-11-15"

// Set is a list as EC2 writes it: each element in an item, and the list itself present even when it is empty.
type Set[T any] []T

// MarshalXML writes the list.
func (s Set[T]) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	if err := e.EncodeToken(start); err != nil {
		return err
	}
	for _, item := range s {
		if err := e.EncodeElement(item, xml.StartElement{Name: xml.Name{Local: "item"}}); err != nil {
			return err
		}
	}
	return e.EncodeToken(start.End())
}

// Instant is a time as EC2 writes it: UTC with milliseconds.
type Instant struct{ time.Time }

// MarshalText writes the instant.
func (t Instant) MarshalText() ([]byte, error) {
	return []byte(t.UTC().Format("2006-01-02T15:04:05.000Z")), nil
}

// Tag is one tag of a resource.
type Tag struct {
	Key   string `query:"Key" xml:"key" check:"required,len=1..127"`
	Value string `query:"Value" xml:"value" check:"len=0..255"`
}

// TagSpecification tags what a request creates, if it is of that type.
type TagSpecification struct {
	ResourceType string `query:"ResourceType" check:"required"`
	Tags         []Tag  `query:"Tag" check:"len=0..50"`
}

// Filter keeps the resources of which some attribute has one of the values. In a value, * stands for any characters and
// ? for one.
type Filter struct {
	Name   string   `query:"Name" check:"required"`
	Values []string `query:"Value" check:"required,len=1..200,each=(len=0..255)"`
}

// Page asks for one page of a listing: at most MaxResults items, all for 0, after the one that NextToken names.
type Page struct {
	MaxResults int32  `query:"MaxResults" check:"range=1..1000"`
	NextToken  string `query:"NextToken"`
}

// Done answers the operations that have nothing to tell but that they have been done.
type Done struct {
	Return bool `xml:"return"`
}

type CreateTagsRequest struct {
	Resources []string `query:"ResourceId" check:"required,len=1..1000"`
	Tags      []Tag    `query:"Tag" check:"required,len=1..50"`
}

// DeleteTagsRequest removes the tags of those keys; one with a value only if that is the tag's value; all tags if no
// key is given.
type DeleteTagsRequest struct {
	Resources []string     `query:"ResourceId" check:"required,len=1..1000"`
	Tags      []DeletedTag `query:"Tag"`
}

// DeletedTag is a tag to remove.
type DeletedTag struct {
	Key   string  `query:"Key" check:"required,len=1..127"`
	Value *string `query:"Value"`
}

type DescribeTagsRequest struct {
	Filters []Filter `query:"Filter"`
	Page
}

type DescribeTagsResponse struct {
	NextToken string              `xml:"nextToken,omitempty"`
	Tags      Set[TagDescription] `xml:"tagSet"`
}

// TagDescription is a tag with the resource that has it.
type TagDescription struct {
	ResourceID   string `xml:"resourceId"`
	ResourceType string `xml:"resourceType"`
	Key          string `xml:"key"`
	Value        string `xml:"value"`
}

type DescribeAvailabilityZonesRequest struct {
	Names   []string `query:"ZoneName"`
	IDs     []string `query:"ZoneId"`
	Filters []Filter `query:"Filter"`
}

type DescribeAvailabilityZonesResponse struct {
	Zones Set[AvailabilityZone] `xml:"availabilityZoneInfo"`
}

// AvailabilityZone is one of the region's zones.
type AvailabilityZone struct {
	OptInStatus        string `xml:"optInStatus"`
	RegionName         string `xml:"regionName"`
	Name               string `xml:"zoneName"`
	ID                 string `xml:"zoneId"`
	GroupName          string `xml:"groupName"`
	NetworkBorderGroup string `xml:"networkBorderGroup"`
	Type               string `xml:"zoneType"`
	State              string `xml:"zoneState"`
}
