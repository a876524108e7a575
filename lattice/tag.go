package lattice

// MaxTags is how many tags one resource may have.
const MaxTags = 50
