package kernel

import "testing"

// TestRequestsAreBoundedInBytes queues few requests, of which each is large.
func TestRequestsAreBoundedInBytes(t *testing.T) {
	q := newRequests()
	big := &message{size: requestBytes/2 + 1}
	q.put(&message{size: 2 * requestBytes}) // alone it may be of any size that the socket takes
	if _, ok := q.next(); !ok || q.bytes != 0 {
		t.Fatalf("%d bytes are held by an empty queue", q.bytes)
	}
	q.put(big)
	if !q.full(big) {
		t.Fatalf("two requests of %d bytes are held, more than %d bytes together", big.size, requestBytes)
	}
	put := make(chan struct{})
	go func() {
		q.put(big)
		close(put)
	}()
	for range 2 { // the second comes when the first has gone
		if _, ok := q.next(); !ok {
			t.Fatal("the queue has ended")
		}
	}
	<-put
	if q.bytes != 0 {
		t.Errorf("%d bytes are held by an empty queue", q.bytes)
	}
}
