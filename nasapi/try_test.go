package nasapi

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"evalnas/nasapi/data"
	"evalnas/nasapi/objective"
	"evalnas/nasapi/space"
	"evalnas/nasapi/policy"
)

type tryRep struct{ last time.Time }

func (r *tryRep) Progress(d, n int, v map[string]any) {
	if time.Since(r.last) > 10*time.Second {
		r.last = time.Now()
		fmt.Println(d, n, v)
	}
}
func (r *tryRep) Event(k string, p any) error {
	if q, ok := p.(RankedPool); ok {
		tau := 9.0
		if q.Tau != nil {
			tau = *q.Tau
		}
		fmt.Println(k, q.Epoch, q.Pool, len(q.Accuracy), tau)
	}
	return nil
}

func TestTry(t *testing.T) {
	name := os.Getenv("TRY")
	if name == "" {
		t.Skip()
	}
	e, err := data.Resolve("cifar10")
	if err != nil {
		t.Fatal(err)
	}
	sp, _ := space.FromSpec(space.Spec{Name: "nasbench101", MaxVertices: 4})
	set := e.Set()
	p, err := ProtocolOfSharing(name, sp, set, "minutes", map[string]any{"epochs": 2})
	if err != nil {
		t.Fatal(err)
	}
	cfg := SearchConfig{Policy: name, Space: sp.Spec(), Objective: objective.Spec{Kind: objective.SharedWeights, Metric: "valid"}, Shared: &SharedConfig{Data: e.Spec(), Protocol: p}, Params: policy.Config{}}
	began := time.Now()
	c, err := EstimateSearch(context.Background(), SearchRequest{SearchConfig: cfg, Seeds: []int64{1, 2, 3}})
	fmt.Println(c, err, time.Since(began))
	began = time.Now()
	r, err := RunSearch(context.Background(), cfg, 1, &tryRep{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(r.Hash, r.Value, r.Evaluations, time.Since(began), r.Shared.Seconds, r.Shared.Params)
}
