//go:build race

package table

// openFactor stretches time limits: the race detector checks every access.
const openFactor = 20
