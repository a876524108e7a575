package control

import (
	"strconv"

	"pergola/control/resource"
	"pergola/lattice"
	"pergola/store"
)

// claims holds what only one object may have, each with the id of the object that has it:
//
//	ACCOUNT/KIND/NAME             a service network's, service's or target group's name
//	SERVICE/listener/NAME         a listener's name
//	SERVICE/port/PORT             a listener's port
//	SERVICE/LISTENER/rule/NAME    a rule's name
//	SERVICE/LISTENER/priority/N   a rule's priority
//	SERVICE/group/GROUP           a target group that the service uses
//	SERVICE/network/NETWORK       an association of the service
//	GROUP/service                 the one service that uses a target group
//	NETWORK/service/SERVICE       the same association, seen from the network
//	NETWORK/domain/DOMAIN         a custom domain name among the services of a network
//	NETWORK/vpc/VPC               an association of a VPC, seen from the network
//	VPC/association               the one association of a VPC
//	VPC/address/ADDRESS           an address in a VPC at which a service network is reached
//	BALANCER/group/GROUP          a target group that a load balancer is in
//	VPC/gateway/GATEWAY           a resource gateway in a VPC
//	GATEWAY/TYPE/CONFIGURATION    a resource configuration behind a gateway, by its type
//	GROUP/child/CONFIGURATION     a child of a group of resources
//	NETWORK/resource/CONFIGURATION  an association with a resource, seen from the network
//	CONFIGURATION/network/NETWORK   the same association, seen from the resource
//	ACCOUNT/domainverification/DOMAIN  the verification of a domain
//	resource-address/ADDRESS      the address of a resource, in the whole deployment
//
// Since the keys with a common prefix are a set, they are also what quotas count and what says that an object is
// referred to and cannot be deleted.
var claims = store.NewIndex("claim").Counted()

// claimsComplete has a key for each sort of claim that is younger than the first stores, once all of its claims are
// there.
var claimsComplete = store.NewIndex("claim-complete")

func nameClaim(account string, k lattice.Kind, name string) string {
	return account + "/" + k.Name + "/" + name
}

func listenerNameClaim(service, name string) string { return service + "/listener/" + name }

func portClaim(service string, port int32) string {
	return service + "/port/" + strconv.Itoa(int(port))
}

func ruleNameClaim(service, listener, name string) string {
	return below(service, listener) + "rule/" + name
}

func serviceGroupClaim(service, group string) string { return service + "/group/" + group }

func groupServiceClaim(group string) string { return group + "/service" }

func serviceNetworkClaim(service, network string) string { return service + "/network/" + network }

func networkServiceClaim(network, service string) string { return network + "/service/" + service }

func networkDomainClaim(network, domain string) string { return network + "/domain/" + domain }

func networkVPCClaim(network, vpc string) string { return network + "/vpc/" + vpc }

func vpcClaim(vpc string) string { return vpc + "/association" }

func addressClaim(vpc, address string) string { return vpc + "/address/" + address }

func balancerGroupClaim(balancer, group string) string { return balancer + "/group/" + group }

func vpcGatewayClaim(vpc, gateway string) string { return vpc + "/gateway/" + gateway }

func gatewayConfigurationClaim(gateway, kind, configuration string) string {
	return gateway + "/" + kind + "/" + configuration
}

func groupChildClaim(group, child string) string { return group + "/child/" + child }

func networkResourceClaim(network, configuration string) string {
	return network + "/resource/" + configuration
}

func resourceNetworkClaim(configuration, network string) string {
	return configuration + "/network/" + network
}

func resourceAddressClaim(address string) string { return "resource-address/" + address }

// nameTaken says that another object of the kind has the name.
func nameTaken(k lattice.Kind, name string) func(string) error {
	return func(holder string) error {
		return lattice.ConflictError(k, holder, "%s with name %s already exists: %s", k.ResourceType, name, holder)
	}
}

// holderOf is who has a key, or "".
func holderOf(tx *store.Tx, key string) (string, error) { return resource.Holder(tx, claims, key) }
