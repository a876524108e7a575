package route53

import (
	"encoding/binary"

	"pergola/aws"
	"pergola/aws/route53"
	"pergola/control/resource"
	"pergola/lattice"
)

// maxChanges is how many changes of an account are remembered.
const maxChanges = 1000

// begun writes down a change that the operation has made, in place of the account's oldest if there are many, and tells
// of it.
func (op *call) begun(comment string) (route53.ChangeInfo, error) {
	have, err := changes.Count(op.Tx, op.Account)
	if err != nil {
		return route53.ChangeInfo{}, err
	}
	if have >= maxChanges {
		oldest, _, err := changes.Own(op.Tx, op.Account, "", 1)
		if err != nil {
			return route53.ChangeInfo{}, err
		}
		for i := range oldest {
			changes.Delete(op.Tx, &oldest[i].Value)
		}
	}
	now := op.Now()
	milliseconds := binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli()))[2:]
	change := &route53.Change{ID: newID("C", milliseconds, op.Random), Account: op.Account, Comment: comment,
		Submitted: now, Status: lattice.StatusCreateInProgress}
	return describeChange(change), changes.Add(op.Call, change)
}

// answered is the answer of an operation that has made a change.
func (op *call) answered(comment string) (*route53.ChangeResponse, error) {
	info, err := op.begun(comment)
	return &route53.ChangeResponse{ChangeInfo: info}, err
}

func describeChange(c *route53.Change) route53.ChangeInfo {
	info := route53.ChangeInfo{ID: route53.ChangePrefix + c.ID, Status: route53.Pending,
		SubmittedAt: aws.Instant{Time: c.Submitted}, Comment: c.Comment}
	if c.Status == lattice.StatusActive {
		info.Status = route53.InSync
	}
	return info
}

// GetChange tells whether all nodes serve a change.
func (op *call) GetChange(in *route53.GetChangeRequest) (*route53.ChangeResponse, error) {
	id := route53.ID(in.ID, route53.ChangePrefix)
	change, err := changes.Find(op.Call, resource.Ref{Path: op.Account + "/" + id, ARN: route53.ARN("change/" + id),
		Named: id})
	if err != nil {
		return nil, err
	}
	return &route53.ChangeResponse{ChangeInfo: describeChange(change)}, nil
}
