package policy

// headLength is the length of an ARN up to the colon before its resource part; of anything else, all of it.
func headLength(s string) int {
	colons := 0
	for i := range len(s) {
		if s[i] == ':' {
			if colons++; colons == headParts {
				return i
			}
		}
	}
	return len(s)
}
