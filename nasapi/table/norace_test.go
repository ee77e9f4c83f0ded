//go:build !race

package table

// openFactor leaves time limits as they are.
const openFactor = 1
