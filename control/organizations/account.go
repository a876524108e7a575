package organizations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pergola/aws"
	"pergola/aws/organizations"
	"pergola/lattice"
	"pergola/store"
)

// numbers has, under "last", the number of the account that was made last.
var numbers = store.NewIndex("account-number")

// accounts lists the accounts that keep accepts.
func (op *call) accounts(keep func(*organizations.Account) bool) ([]organizations.Account, error) {
	all, err := allOf(op, accounts.Objects)
	return slices.DeleteFunc(all, func(a organizations.Account) bool { return !keep(&a) }), err
}

// inOrganization accepts all but the accounts that stand alone.
func inOrganization(a *organizations.Account) bool { return a.Parent != "" }

// account reads the account of the organisation that an operation is about.
func (op *call) account(id string) (*organizations.Account, error) {
	return op.member(id, aws.Errorf("AccountNotFoundException", "Account %s is not in the organization", id))
}

// member is account where the error that there is none is another.
func (op *call) member(id string, none error) (*organizations.Account, error) {
	account, err := find(op, accounts, id, none)
	if err == nil && !inOrganization(account) {
		return nil, none
	}
	return account, err
}

// CreateAccount makes an account below the root.
func (op *call) CreateAccount(in *organizations.CreateAccountRequest) (*organizations.CreateAccountResponse, error) {
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if err := op.MayCreate("*", tags, "TagResource"); err != nil {
		return nil, err
	}
	creation := organizations.AccountCreation{
		ID: organizations.AccountCreationPrefix + lattice.NewSuffix(op.Random), Name: in.AccountName, Requested: op.Now(),
	}
	taken, err := op.accounts(func(a *organizations.Account) bool { return strings.EqualFold(a.Email, in.Email) })
	if err != nil {
		return nil, err
	}
	if len(taken) > 0 {
		creation.State, creation.Failure = organizations.CreationFailed, "EMAIL_ALREADY_EXISTS"
	} else {
		creation.State = organizations.CreationSucceeded
		if creation.Account, err = op.createAccount(in, tags); err != nil {
			return nil, err
		}
	}
	return &organizations.CreateAccountResponse{Status: describeCreation(creation)}, op.remember(creation)
}

// maxCreations is how many requests to make accounts are remembered; AWS lists those of 90 days.
const maxCreations = 1000

// creationsByTime has, for each request to make an account, "<nanoseconds since 1970>/<its id>".
var creationsByTime = store.NewIndex("account-creation")

// remember writes down what has become of a request to make an account, in place of the oldest if there are many.
func (op *call) remember(creation organizations.AccountCreation) error {
	have, err := creationsByTime.Count(op.Tx, "")
	if err != nil {
		return err
	}
	if have >= maxCreations {
		oldest, _, err := creationsByTime.List(op.Tx, "", "", 1)
		if err != nil {
			return err
		}
		for _, entry := range oldest {
			creationsByTime.Delete(op.Tx, entry.ID)
			creationObjects.Delete(op.Tx, lattice.IDOf(entry.ID))
		}
	}
	key := fmt.Sprintf("%020d/%s", creation.Requested.UnixNano(), creation.ID)
	return errors.Join(creationsByTime.Put(op.Tx, key, ""), creationObjects.Put(op.Tx, creation.ID, creation))
}

func (op *call) createAccount(in *organizations.CreateAccountRequest, tags map[string]string) (id string, err error) {
	if id, err = op.nextNumber(); err != nil {
		return "", err
	}
	return id, accounts.Add(op.Call, &organizations.Account{
		ID: id, Name: in.AccountName, Email: in.Email, Parent: op.organization.Root.ID, Joined: op.Now(),
		Method: organizations.JoinedCreated, Policies: op.firstPolicies(), Tags: tags,
	})
}

// nextNumber is the id of a new account.
func (op *call) nextNumber() (string, error) {
	last, err := numbers.Get(op.Tx, "last")
	if errors.Is(err, store.ErrNotFound) {
		last, err = op.first, nil
	}
	if err != nil {
		return "", err
	}
	n, err := strconv.ParseInt(last, 10, 64)
	if err != nil {
		return "", err
	}
	next := fmt.Sprintf("%012d", n+1)
	return next, numbers.Put(op.Tx, "last", next)
}

func describeCreation(c organizations.AccountCreation) organizations.AccountCreationDescription {
	return organizations.AccountCreationDescription{
		ID: c.ID, AccountName: c.Name, State: c.State, AccountID: c.Account, FailureReason: c.Failure,
		Requested: aws.Timestamp{Time: c.Requested}, Completed: aws.Timestamp{Time: c.Requested},
	}
}

// DescribeCreateAccountStatus says what has become of a request to make an account.
func (op *call) DescribeCreateAccountStatus(
	in *organizations.DescribeCreateAccountStatusRequest) (*organizations.DescribeCreateAccountStatusResponse, error) {
	creation, err := creationObjects.Get(op.Tx, in.ID)
	if err != nil {
		return nil, missing(err, "CreateAccountStatusNotFoundException", "There is no request %s to create an account", in.ID)
	}
	return &organizations.DescribeCreateAccountStatusResponse{Status: describeCreation(creation)}, nil
}

// ListCreateAccountStatus lists the requests to make accounts that are in one of some states, or all.
func (op *call) ListCreateAccountStatus(
	in *organizations.ListCreateAccountStatusRequest) (*organizations.ListCreateAccountStatusResponse, error) {
	found, err := allOf(op, creationObjects)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(c organizations.AccountCreation) bool {
		return len(in.States) > 0 && !slices.Contains(in.States, c.State)
	})
	found, next := page(found, in.Page, func(c organizations.AccountCreation) string { return c.ID })
	return &organizations.ListCreateAccountStatusResponse{Statuses: each(found, describeCreation), NextToken: next}, nil
}

// DescribeAccount describes one account.
func (op *call) DescribeAccount(
	in *organizations.DescribeAccountRequest) (*organizations.DescribeAccountResponse, error) {
	account, err := op.account(in.ID)
	if err != nil {
		return nil, err
	}
	paths, err := op.paths()
	if err != nil {
		return nil, err
	}
	return &organizations.DescribeAccountResponse{Account: op.describeAccount(*account, paths)}, nil
}

// describeAccount describes an account; paths are those of the parents.
func (op *call) describeAccount(a organizations.Account, paths map[string]string) organizations.AccountDescription {
	return organizations.AccountDescription{
		ID: a.ID, ARN: op.named(a.ID), Email: a.Email, Name: a.Name, Status: "ACTIVE", State: "ACTIVE",
		Paths: []string{paths[a.Parent] + a.ID + "/"}, Method: a.Method, Joined: aws.Timestamp{Time: a.Joined},
	}
}

// ListAccounts lists all accounts of the organisation.
func (op *call) ListAccounts(in *organizations.ListAccountsRequest) (*organizations.ListAccountsResponse, error) {
	return op.listAccounts(in.Page, inOrganization)
}

// ListAccountsForParent lists the accounts that are right below the root or a unit.
func (op *call) ListAccountsForParent(
	in *organizations.ListAccountsForParentRequest) (*organizations.ListAccountsResponse, error) {
	if err := op.parent(in.ParentID, "ParentNotFoundException"); err != nil {
		return nil, err
	}
	return op.listAccounts(in.Page, func(a *organizations.Account) bool { return a.Parent == in.ParentID })
}

func (op *call) listAccounts(p organizations.Page, keep func(*organizations.Account) bool) (*organizations.ListAccountsResponse, error) {
	found, err := op.accounts(keep)
	if err != nil {
		return nil, err
	}
	paths, err := op.paths()
	if err != nil {
		return nil, err
	}
	found, next := page(found, p, func(a organizations.Account) string { return a.ID })
	describe := func(a organizations.Account) organizations.AccountDescription { return op.describeAccount(a, paths) }
	return &organizations.ListAccountsResponse{Accounts: each(found, describe), NextToken: next}, nil
}

// MoveAccount moves an account to another parent.
func (op *call) MoveAccount(in *organizations.MoveAccountRequest) (*lattice.Empty, error) {
	account, err := op.account(in.ID)
	if err != nil {
		return nil, err
	}
	if err := op.parent(in.Source, "SourceParentNotFoundException"); err != nil {
		return nil, err
	}
	if account.Parent != in.Source {
		return nil, aws.Errorf("SourceParentNotFoundException", "Account %s is in %s, not in %s", in.ID,
			account.Parent, in.Source)
	}
	if err := op.parent(in.Destination, "DestinationParentNotFoundException"); err != nil {
		return nil, err
	}
	if in.Source == in.Destination {
		return nil, aws.Errorf("DuplicateAccountException", "Account %s is already in %s", in.ID, in.Destination)
	}
	account.Parent = in.Destination
	return done(accounts.Put(op.Call, account))
}

// RemoveAccountFromOrganization lets an account stand alone.
func (op *call) RemoveAccountFromOrganization(
	in *organizations.RemoveAccountFromOrganizationRequest) (*lattice.Empty, error) {
	account, err := op.account(in.ID)
	if err != nil {
		return nil, err
	}
	if in.ID == op.organization.Management {
		return nil, aws.Errorf("MasterCannotLeaveOrganizationException",
			"Account %s manages the organization; delete the organization instead", in.ID)
	}
	account.Parent, account.Policies = "", nil
	return done(accounts.Put(op.Call, account))
}

// Exists reports whether the deployment has an account: the first, or one that was ever made.
func (c *Control) Exists(ctx context.Context, account string) (bool, error) {
	if account == c.first {
		return true, nil
	}
	err := c.Store.View(ctx, func(tx *store.Tx) error {
		_, err := accounts.Objects.Get(tx, account)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
