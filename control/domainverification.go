package control

import (
	"pergola/lattice"
)

// verificationLabel begins the value of the TXT record that proves a domain.
const verificationLabel = "vpc-lattice:"

// StartDomainVerification makes the TXT record known that will prove that the account owns a domain. A Verifier looks
// for the record from then on.
func (op *call) StartDomainVerification(
	in *lattice.StartDomainVerificationRequest) (*lattice.StartDomainVerificationResponse, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := checkDomainName("domainName", in.DomainName); err != nil {
		return nil, err
	}
	op.Set("vpc-lattice:DomainName", in.DomainName)
	return respond(lattice.NewStartDomainVerificationResponse)(domainVerifications.create(op,
		order{request: in, token: in.ClientToken, tags: in.Tags}, func() (*lattice.DomainVerification, error) {
			id, token := lattice.KindDomainVerification.NewID(op.Random), lattice.NewSuffix(op.Random)
			return &lattice.DomainVerification{
				ID: id, ARN: op.home(op.Account).ARN(lattice.KindDomainVerification, id), DomainName: in.DomainName,
				Status:          lattice.VerificationPending,
				TxtMethodConfig: &lattice.TxtMethodConfig{Name: "_" + token, Value: verificationLabel + token},
				CreatedAt:       op.time(), Tags: in.Tags, ClientToken: in.ClientToken,
			}, nil
		}))
}

// GetDomainVerification describes a verification.
func (op *call) GetDomainVerification(
	in *lattice.GetDomainVerificationRequest) (*lattice.GetDomainVerificationResponse, error) {
	return respond(lattice.NewGetDomainVerificationResponse)(
		domainVerifications.find(op, "", in.DomainVerificationIdentifier))
}

// ListDomainVerifications lists the verifications of the account.
func (op *call) ListDomainVerifications(
	in *lattice.ListDomainVerificationsRequest) (*lattice.List[lattice.DomainVerificationSummary], error) {
	return list(op, in.Page, domainVerifications, "", lattice.NewDomainVerificationSummary)
}

// DeleteDomainVerification deletes a verification. The domains of resource configurations that have it are not verified
// any more.
func (op *call) DeleteDomainVerification(in *lattice.DeleteDomainVerificationRequest) (*lattice.Empty, error) {
	verification, err := domainVerifications.find(op, "", in.DomainVerificationIdentifier)
	if err != nil {
		return nil, err
	}
	domainVerifications.Delete(op.Tx, verification)
	return &lattice.Empty{}, nil
}
