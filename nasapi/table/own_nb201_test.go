package table

import (
	"fmt"
	"strings"
	"testing"

	"evalnas/nasapi/space"
)

// nb201Export is an export as docs/tables.md makes it, of some cells: two data sets, 12
// and 200 epochs, uneven repeats, no validation images for cifar10.
func nb201Export(cells int) string {
	var b strings.Builder
	b.WriteString("index,arch,dataset,epochs,seed,train,valid,test,seconds\n")
	s := space.OpenNASBench201()
	for i := range cells {
		place := i * 7919 % s.Len() // the benchmark's order is not ours
		a := s.At(place)
		fmt.Fprintf(&b, "%d,%s,cifar10-valid,12,777,50,%v,%v,10.5\n", i, a, float64(place%800)/10, float64(place%900)/10)
		for r := range 1 + place%3 {
			fmt.Fprintf(&b, "%d,%s,cifar10-valid,200,%d,99.5,%v,%v,%d\n", i, a, 777+111*r, float64(place%800+10*r)/10, float64(place%900)/10, 100+r)
		}
		fmt.Fprintf(&b, "%d,%s,cifar10,200,777,99.5,,%v,\n", i, a, float64(place%700)/10)
	}
	return b.String()
}

func TestNASBench201Table(t *testing.T) {
	folder(t)
	path := write(t, "nb201.csv", nb201Export(15625))
	tab, err := OpenNASBench201(path, "nb201.csv", "cifar10-valid", false)
	if err != nil {
		t.Fatal(err)
	}
	sp := space.OpenNASBench201()
	if tab.Space().Spec() != sp.Spec() || tab.Name() != "nasbench201" || tab.Repeats() != 1 {
		t.Fatalf("%s: %s with %d repeats", tab.Name(), tab.Space(), tab.Repeats())
	}
	valid := metricOf(t, tab, Valid)
	if valid != (Metric{Name: Valid, Epochs: 200, Repeat: RepeatMean}) {
		t.Errorf("%+v", valid)
	}
	short, err := tab.Find(Query{Name: Test, Epochs: 12})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1, 2, 777, 15624} {
		a := sp.At(i)
		v, err := tab.Value(valid, a)
		// The mean of 1 to 3 repeats that rise by one per cent each.
		want := (float64(i%800)/10 + float64(i%3)/2) / 100
		if err != nil || v < want-1e-12 || v > want+1e-12 {
			t.Errorf("%s: %v, not %v (%v)", a, v, want, err)
		}
		if v, err := tab.Value(short, a); err != nil || v != float64(i%900)/10/100 {
			t.Errorf("%s after 12 epochs: %v (%v)", a, v, err)
		}
		cost, err := tab.Cost(valid, a)
		n := 1 + i%3
		if err != nil || cost != (Cost{Seconds: float64(100*n + n*(n-1)/2), Timed: true, Epochs: 200 * n}) {
			t.Errorf("%s: %+v (%v)", a, cost, err)
		}
		answer, err := tab.Answer(valid, a)
		if err != nil || answer.N != 15625 || answer.Params != a.Params() {
			t.Errorf("%+v (%v)", answer, err)
		}
	}
	forget()
	if again, err := Open(NASBench201Name, tab.Digest()); err != nil || again.Digest() != tab.Digest() {
		t.Error(err)
	}
	whole, err := OpenNASBench201(path, "nb201.csv", "cifar10", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole.Find(Query{Name: Valid}); err == nil {
		t.Error("cifar10 has validation accuracies")
	}
	if cost, err := whole.Cost(metricOf(t, whole, Test), sp.At(0)); err != nil || cost.Timed {
		t.Errorf("%+v %v", cost, err)
	}
}

func TestNASBench201Refuses(t *testing.T) {
	folder(t)
	row := space.OpenNASBench201().At(3).String()
	for content, want := range map[string]string{
		nb201Export(100):                                          "15525 of 15625 cells are missing, such as |none~0|",
		"index,test\n1,50\n":                                      "api.arch(index)",
		"arch,test\n|none~0|,50\n":                                "line 2",
		"arch,test\n" + row + ",101\n":                            "0 to 100",
		"arch,test\n" + row + ",50\n" + row + ",51\n":             "line 2 and line 3",
		"arch,dataset,test\n" + row + ",a,50\n" + row + ",b,50\n": "no rows of cifar10-valid",
		"arch\n" + row + "\n":                                     "no accuracies",
		"arch,epochs,seed,test\n" + row + ",200,777,\n" + row + ",200,888,50\n": "line 2",
	} {
		_, err := OpenNASBench201(write(t, "nb201.csv", content), "nb201.csv", "cifar10-valid", false)
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 500 {
			t.Errorf("%.60q: %v; want %q", content, err, want)
		}
	}
	path := write(t, "nb201.csv", nb201Export(100))
	if _, err := OpenNASBench201(path, "nb201.csv", "", true); err == nil || !strings.Contains(err.Error(), "dataset=") {
		t.Error(err)
	}
	if _, err := OpenNASBench201(path, "nb201.csv", "CIFAR-10", true); err == nil || !strings.Contains(err.Error(), "cifar10") {
		t.Error(err)
	}
	part, err := OpenNASBench201(path, "nb201.csv", "cifar10-valid", true)
	if err != nil {
		t.Fatal(err)
	}
	sp, ok := part.Space().(*space.Rows)
	if !ok || sp.Len() != 100 || !space.Counted(sp) || !space.Includes(space.OpenNASBench201(), sp) {
		t.Fatalf("%s", part.Space())
	}
	for i := range sp.Len() {
		if j, ok := sp.Index(sp.At(i)); !ok || j != i {
			t.Errorf("%d is found at %d", i, j)
		}
	}
}
