package table

import (
	"sync"

	"evalnas/nasapi/rng"
	"evalnas/nasapi/space"
)

// Account is a table with the budget counters of the reference's API: every look-up adds
// what the training took that it stands for. A repeat that is drawn comes from the account's
// seed, so the same seed and the same look-ups in the same order give the same answers. It
// is safe for concurrent use.
type Account struct {
	table Table
	seed  int64

	mu    sync.Mutex
	draws *rng.Stream
	spent Spent
}

// Spent is what an account's look-ups stand for.
type Spent struct {
	Queries int     `json:"queries"`
	Seconds float64 `json:"seconds"` // of training, where the table knows its times
	Epochs  int     `json:"epochs"`  // of training
}

// NewAccount opens an account.
func NewAccount(t Table, seed int64) *Account {
	return &Account{table: t, seed: seed, draws: Draws(seed)}
}

// Draws is where the repeats of look-ups come from.
func Draws(seed int64) *rng.Stream { return rng.New(seed, "table look-ups") }

// Table is what the account asks.
func (a *Account) Table() Table { return a.table }

// Seed draws the repeats.
func (a *Account) Seed() int64 { return a.seed }

// Query looks an architecture up, see LookUp, and charges for the training once.
func (a *Account) Query(arch space.Arch, q Query) (Look, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	look, err := LookUp(a.table, arch, q, a.draws)
	if err != nil {
		return Look{}, err
	}
	a.spent.Queries++
	a.spent.Seconds += look.Cost.Seconds
	a.spent.Epochs += look.Cost.Epochs
	return look, nil
}

// Spent reads the counters.
func (a *Account) Spent() Spent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spent
}

// Reset sets the counters to zero. The draws go on where they are.
func (a *Account) Reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spent = Spent{}
}
