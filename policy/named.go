package policy

// AWSPrincipals are all that a document names as AWS principals, in Principal and in NotPrincipal, as written and in
// order: accounts, ARNs and "*". There are none in a document that is not JSON.
func AWSPrincipals(document string) (all []string) {
	root := readJSON(&problems{source: []byte(document)})
	if root == nil {
		return nil
	}
	for _, statement := range each(root.member("Statement")) {
		for _, element := range []string{"Principal", "NotPrincipal"} {
			principal := statement.member(element)
			if principal != nil && principal.shape == jsonObject {
				principal = principal.member("AWS")
			}
			for _, named := range each(principal) {
				all = append(all, named.text)
			}
		}
	}
	return all
}
