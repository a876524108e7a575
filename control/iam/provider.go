package iam

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/store"
)

// CreateOpenIDConnectProvider registers an issuer of web identities. Nothing is asked of the issuer yet.
func (op *call) CreateOpenIDConnectProvider(in *iam.CreateProviderRequest) (*iam.CreateProviderResponse, error) {
	name, err := issuerName(in.URL)
	if err == nil {
		err = op.fetchable(in.URL)
	}
	if err != nil {
		return nil, err
	}
	if err := op.room(iam.QuotaClientIDs, len(in.ClientIDs)-1); err != nil {
		return nil, err
	}
	provider, err := providers.create(op, name, "/", in.Tags, func(p *iam.Provider) error {
		p.URL, p.ClientIDs, p.Thumbprints = in.URL, in.ClientIDs, in.Thumbprints
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &iam.CreateProviderResponse{ARN: provider.ARN(), Tags: sortedTags(provider.Tags)}, nil
}

// issuerName is the URL of an issuer without its scheme.
func issuerName(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(raw, "#"):
		return "", aws.Errorf("InvalidInput", "Invalid Open ID Connect Provider URL: want https://HOST/PATH without a query or a fragment")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", aws.Errorf("InvalidInput", "Invalid Open ID Connect Provider URL: it must begin with https://")
	}
	_, name, _ := strings.Cut(raw, "://")
	return name, nil
}

// fetchable refuses the URL of an issuer from which keys are not fetched: one that is not https, and one that says
// itself that it is in here. Where local issuers are allowed, one on this host may be http.
func (c *Control) fetchable(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return err
	}
	internal := iam.IsInternalHost(u.Hostname())
	switch {
	case u.Scheme != "https" && !(c.allowLocalIssuers && internal):
		return aws.Errorf("InvalidInput", "Invalid Open ID Connect Provider URL: it must begin with https://")
	case internal && !c.allowLocalIssuers:
		return aws.Errorf("InvalidInput",
			"Invalid Open ID Connect Provider URL: %s is in this host or in a private network, from which nothing is fetched; "+
				"register the issuer with its keys (pergola issuer), or start with --allow-local-issuers", u.Host)
	}
	return nil
}

// maxKeySet is how many bytes the keys of an issuer may have that are given.
const maxKeySet = 64 << 10

// IssuerKeys are the keys of an issuer that are given rather than fetched.
type IssuerKeys struct {
	// URL is the issuer as its tokens name it, such as https://kubernetes.default.svc.cluster.local. It need not be one
	// that can be reached.
	URL string
	// ClientIDs are audiences to add; none, for a new provider, means sts.amazonaws.com.
	ClientIDs []string
	// Keys is the JSON Web Key Set, as kubectl get --raw /openid/v1/jwks prints that of a cluster.
	Keys []byte
}

// RegisterIssuer gives an account a provider whose keys are known, so that nothing is ever fetched from its issuer; a
// provider that there is gets other keys. It returns the provider's ARN. Who runs the deployment may do this, and no
// policy is asked. The errors are those of CreateOpenIDConnectProvider.
func (c *Control) RegisterIssuer(ctx context.Context, account string, given IssuerKeys) (arn string, err error) {
	name, err := issuerName(given.URL)
	if err != nil {
		return "", err
	}
	if len(given.Keys) > maxKeySet {
		return "", aws.Errorf("InvalidInput", "The keys of an issuer may have %d bytes, these have %d", maxKeySet,
			len(given.Keys))
	}
	if keys, err := iam.ReadKeys(given.Keys); err != nil || len(keys) == 0 {
		return "", aws.Errorf("InvalidInput", "No key of the issuer can be used: want a JSON Web Key Set with RSA keys of "+
			"2048 bits or more, or keys on the curve P-256 (%v)", err)
	}
	_, err = c.Store.Update(ctx, func(tx *store.Tx) error {
		op := c.inside(tx, account)
		found, err := providers.Objects.Get(tx, iam.ID(account, name))
		provider, isNew := &found, errors.Is(err, store.ErrNotFound)
		switch {
		case isNew:
			provider, _ = providers.make(op, name, "/", nil) // which has no tags to be refused
			provider.URL = given.URL
		case err != nil:
			return err
		case provider.URL != given.URL:
			return alreadyExists("Provider %s is that of %s.", provider.ARN(), provider.URL)
		}
		provider.ClientIDs = withAudiences(provider.ClientIDs, given.ClientIDs)
		provider.Keys, arn = string(given.Keys), provider.ARN()
		if err := op.room(iam.QuotaClientIDs, len(provider.ClientIDs)-1); err != nil {
			return err
		}
		if isNew {
			return providers.Add(op.Call, provider)
		}
		return providers.Put(op.Call, provider)
	})
	return arn, c.Explain(err)
}

// defaultAudience is the audience of the tokens that AWS's software asks clusters for.
const defaultAudience = "sts.amazonaws.com"

// withAudiences adds audiences to those that a provider has.
func withAudiences(has, more []string) []string {
	all := slices.Clone(has)
	for _, id := range more {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	if len(all) == 0 {
		return []string{defaultAudience}
	}
	return all
}

func isNoSuchEntity(err error) bool {
	var refused *aws.Error
	return errors.As(err, &refused) && refused.Code == "NoSuchEntity"
}

// issuerIn is the name of a provider in its ARN: it may have slashes.
func issuerIn(arn string) string {
	_, name, _ := strings.Cut(arn, ":oidc-provider/")
	return name
}

// GetOpenIDConnectProvider tells about a provider.
func (op *call) GetOpenIDConnectProvider(in *iam.SubjectRequest) (*iam.GetProviderResponse, error) {
	p, err := providers.find(op, in.ProviderARN)
	if err != nil {
		return nil, err
	}
	return &iam.GetProviderResponse{
		URL: p.Name, ClientIDs: p.ClientIDs, Thumbprints: p.Thumbprints,
		Created: aws.Instant{Time: p.Created.Time}, Tags: sortedTags(p.Tags),
	}, nil
}

// ListOpenIDConnectProviders lists the providers.
func (op *call) ListOpenIDConnectProviders(_ *iam.ListProvidersRequest) (*iam.ListProvidersResponse, error) {
	if err := providers.mayList(op, ""); err != nil {
		return nil, err
	}
	all, err := providers.All(op.Tx, op.Account)
	return &iam.ListProvidersResponse{Providers: describeAll(all, func(p *iam.Provider) iam.ProviderSummary {
		return iam.ProviderSummary{ARN: p.ARN()}
	})}, err
}

// DeleteOpenIDConnectProvider deletes a provider. That it does not exist is no error, as in AWS.
func (op *call) DeleteOpenIDConnectProvider(in *iam.SubjectRequest) error {
	err := providers.remove(op, in.Subject, func(*iam.Provider) error { return nil })
	if isNoSuchEntity(err) {
		return nil
	}
	return err
}

// AddClientIDToOpenIDConnectProvider adds an audience. Once more does no harm.
func (op *call) AddClientIDToOpenIDConnectProvider(in *iam.ClientIDRequest) error {
	return op.changeClientIDs(in, func(ids []string) []string {
		if slices.Contains(ids, in.ClientID) {
			return ids
		}
		return append(ids, in.ClientID)
	})
}

// RemoveClientIDFromOpenIDConnectProvider removes an audience. That there is none such is no error.
func (op *call) RemoveClientIDFromOpenIDConnectProvider(in *iam.ClientIDRequest) error {
	return op.changeClientIDs(in, func(ids []string) []string {
		return slices.DeleteFunc(ids, func(id string) bool { return id == in.ClientID })
	})
}

func (op *call) changeClientIDs(in *iam.ClientIDRequest, f func([]string) []string) error {
	return providers.edit(op, in.ProviderARN, func(p *iam.Provider) error {
		p.ClientIDs = f(p.ClientIDs)
		return op.room(iam.QuotaClientIDs, len(p.ClientIDs)-1)
	})
}
