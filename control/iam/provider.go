package iam

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/iam"
	"pergola/store"
)

// maxClientIDs is how many audiences a provider may have (IAM user guide, "IAM and AWS STS quotas").
const maxClientIDs = 100

// CreateOpenIDConnectProvider registers an issuer of web identities. Nothing is asked of the issuer yet.
func (c *Control) CreateOpenIDConnectProvider(ctx context.Context, caller iam.Caller, in *iam.CreateProviderRequest) (*iam.CreateProviderResponse, error) {
	name, err := issuerName(in.URL)
	if err != nil {
		return nil, err
	}
	if len(in.ClientIDs) > maxClientIDs {
		return nil, limitExceeded("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: %d", maxClientIDs)
	}
	return update(ctx, c, caller, "CreateOpenIDConnectProvider", func(op *call) (*iam.CreateProviderResponse, error) {
		e, err := op.newEntity("", name, "/", in.Tags)
		if err != nil {
			return nil, err
		}
		provider := &iam.Provider{Entity: e, URL: in.URL, ClientIDs: in.ClientIDs, Thumbprints: in.Thumbprints}
		if err := providers.mayCreate(op, provider); err != nil {
			return nil, err
		}
		return &iam.CreateProviderResponse{ARN: provider.ARN(), Tags: sortedTags(e.Tags)}, providers.create(op, provider)
	})
}

// issuerName is the URL of an issuer without its scheme, which must be https. On a loopback address, for tests and for
// use on one machine, it may be http.
func issuerName(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(raw, "#"):
		return "", aws.Errorf("InvalidInput", "Invalid Open ID Connect Provider URL: want https://HOST/PATH without a query or a fragment")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return "", aws.Errorf("InvalidInput", "Invalid Open ID Connect Provider URL: it must begin with https://")
	}
	_, name, _ := strings.Cut(raw, "://")
	return name, nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// provider reads a provider of the caller's account.
func (op *call) provider(arn string) (*iam.Provider, error) {
	if arn == "" {
		return nil, missing("openIDConnectProviderArn")
	}
	_, name, _ := strings.Cut(arn, ":oidc-provider/")
	provider, err := providers.objects.Get(op.Tx, iam.ID(op.account, name))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err != nil || provider.ARN() != arn {
		return nil, noSuchEntity("OpenIDConnect Provider not found for arn %s", arn)
	}
	return &provider, nil
}

// aboutProvider reads the provider that an operation is about, if the caller may perform it on that.
func (op *call) aboutProvider(arn string) (*iam.Provider, error) {
	provider, err := op.provider(arn)
	if err != nil {
		return nil, cmp.Or(op.May(arn, nil), err)
	}
	return provider, providers.may(op, provider)
}

// GetOpenIDConnectProvider tells about a provider.
func (c *Control) GetOpenIDConnectProvider(ctx context.Context, caller iam.Caller, in *iam.SubjectRequest) (*iam.GetProviderResponse, error) {
	return view(ctx, c, caller, "GetOpenIDConnectProvider", func(op *call) (*iam.GetProviderResponse, error) {
		p, err := op.aboutProvider(in.ProviderARN)
		if err != nil {
			return nil, err
		}
		return &iam.GetProviderResponse{
			URL: p.Name, ClientIDs: p.ClientIDs, Thumbprints: p.Thumbprints,
			Created: aws.Instant{Time: p.Created.Time}, Tags: sortedTags(p.Tags),
		}, nil
	})
}

// ListOpenIDConnectProviders lists the providers.
func (c *Control) ListOpenIDConnectProviders(ctx context.Context, caller iam.Caller, _ *iam.ListProvidersRequest) (*iam.ListProvidersResponse, error) {
	return view(ctx, c, caller, "ListOpenIDConnectProviders", func(op *call) (*iam.ListProvidersResponse, error) {
		if err := providers.mayList(op, ""); err != nil {
			return nil, err
		}
		entries, _, err := providers.objects.List(op.Tx, op.account+"/", "", 0)
		answer := &iam.ListProvidersResponse{}
		for _, entry := range entries {
			answer.Providers = append(answer.Providers, iam.ProviderSummary{ARN: entry.Value.ARN()})
		}
		return answer, err
	})
}

// DeleteOpenIDConnectProvider deletes a provider. That it does not exist is no error, as in AWS.
func (c *Control) DeleteOpenIDConnectProvider(ctx context.Context, caller iam.Caller, in *iam.SubjectRequest) (*iam.Empty, error) {
	return change(ctx, c, caller, "DeleteOpenIDConnectProvider", func(op *call) error {
		provider, err := op.aboutProvider(in.ProviderARN)
		var refused *aws.Error
		switch {
		case errors.As(err, &refused) && refused.Code == "NoSuchEntity":
			return nil
		case err != nil:
			return err
		}
		providers.delete(op, provider)
		return nil
	})
}

// AddClientIDToOpenIDConnectProvider adds an audience. Once more does no harm.
func (c *Control) AddClientIDToOpenIDConnectProvider(ctx context.Context, caller iam.Caller, in *iam.ClientIDRequest) (*iam.Empty, error) {
	return c.changeClientIDs(ctx, caller, "AddClientIDToOpenIDConnectProvider", in, func(ids []string) []string {
		if slices.Contains(ids, in.ClientID) {
			return ids
		}
		return append(ids, in.ClientID)
	})
}

// RemoveClientIDFromOpenIDConnectProvider removes an audience. That there is none such is no error.
func (c *Control) RemoveClientIDFromOpenIDConnectProvider(ctx context.Context, caller iam.Caller, in *iam.ClientIDRequest) (*iam.Empty, error) {
	return c.changeClientIDs(ctx, caller, "RemoveClientIDFromOpenIDConnectProvider", in, func(ids []string) []string {
		return slices.DeleteFunc(ids, func(id string) bool { return id == in.ClientID })
	})
}

func (c *Control) changeClientIDs(ctx context.Context, caller iam.Caller, action string, in *iam.ClientIDRequest, f func([]string) []string) (*iam.Empty, error) {
	return c.Providers().change(ctx, caller, edit{action: action, subject: iam.Subject{ProviderARN: in.ProviderARN}}, func(_ *call, p *iam.Provider) error {
		if p.ClientIDs = f(p.ClientIDs); len(p.ClientIDs) > maxClientIDs {
			return limitExceeded("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: %d", maxClientIDs)
		}
		return nil
	})
}
