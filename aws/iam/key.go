package iam

import (
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"pergola/lattice"
)

// AccessKey is a long-term credential of a user.
type AccessKey struct {
	ID string `json:"id"`
	// Secret is sealed with the deployment's key; it is never stored in clear.
	Secret  []byte `json:"secret"`
	Account string `json:"account"`
	// User is the name of the user whose key it is.
	User     string       `json:"user"`
	Inactive bool         `json:"inactive,omitempty"`
	Created  lattice.Time `json:"created"`
}

// The beginnings of ids (IAM user guide, "Unique identifiers").
const (
	PrefixAccessKey       = "AKIA"
	PrefixSessionKey      = "ASIA"
	PrefixUser            = "AIDA"
	PrefixGroup           = "AGPA"
	PrefixRole            = "AROA"
	PrefixPolicy          = "ANPA"
	PrefixInstanceProfile = "AIPA"
)

// uniqueLetters is how long a unique id is beyond its prefix.
const uniqueLetters = 17

// NewUniqueID makes a unique id of 85 random bits. It panics when the source of randomness fails, which the operating
// system's never does.
func NewUniqueID(prefix string, random io.Reader) string {
	var raw [uniqueLetters]byte
	fill(random, raw[:])
	return prefix + base32.StdEncoding.EncodeToString(raw[:])[:uniqueLetters]
}

// An access key id is a prefix and ten bytes in base32. As in AWS, the account is in 40 bits after the first; the others
// are random, and the first is set.
const (
	keyBytes     = 10
	accountBits  = 40
	accountShift = 64 - 1 - accountBits
)

// NewKeyID makes an access key id that tells its account. It is no secret.
func NewKeyID(prefix, account string, random io.Reader) string {
	number, _ := strconv.ParseUint(account, 10, accountBits) // an id that is no number comes from tests, and tells 0
	var raw [keyBytes]byte
	fill(random, raw[:])
	random64 := binary.BigEndian.Uint64(raw[:])
	binary.BigEndian.PutUint64(raw[:], 1<<63|number<<accountShift|random64&(1<<accountShift-1))
	return prefix + base32.StdEncoding.EncodeToString(raw[:])
}

// AccountOfKey is the account that an access key id tells. It does not say that there is such a key.
func AccountOfKey(id string) (account string, ok bool) {
	if !strings.HasPrefix(id, PrefixAccessKey) && !strings.HasPrefix(id, PrefixSessionKey) {
		return "", false
	}
	raw, err := base32.StdEncoding.DecodeString(id[len(PrefixAccessKey):])
	if err != nil || len(raw) != keyBytes {
		return "", false
	}
	return fmt.Sprintf("%012d", binary.BigEndian.Uint64(raw)>>accountShift&(1<<accountBits-1)), true
}

func fill(random io.Reader, raw []byte) {
	if _, err := io.ReadFull(random, raw); err != nil {
		panic(fmt.Sprintf("iam: no randomness for an id: %v", err))
	}
}
