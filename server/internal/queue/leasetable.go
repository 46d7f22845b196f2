package queue

// leaseTable finds the message of a lease. Leases are numbers that rise by one,
// and most end soon: so they stand in pages, and few of those are in use.
type leaseTable struct {
	pages  map[uint64]*leasePage // by number
	recent [recentPages]*leasePage
	free   []*leasePage // memory
	n      int
}

const (
	leasesPerPage = 32 // one lease that lasts for hours keeps a page of 280 bytes
	freePages     = 64
	recentPages   = 8 // a call takes a lease, ends another, and so does its neighbour
)

type leasePage struct {
	number   uint64
	used     int
	messages [leasesPerPage]*Message
}

// page finds the page of a lease; nil if there is none.
func (t *leaseTable) page(l Lease) *leasePage {
	number := uint64(l) / leasesPerPage
	slot := &t.recent[number%recentPages]
	if p := *slot; p != nil && p.number == number {
		return p
	}
	p := t.pages[number]
	if p != nil {
		*slot = p
	}
	return p
}

// get is the message under a lease; nil if there is none.
func (t *leaseTable) get(l Lease) *Message {
	if p := t.page(l); p != nil {
		return p.messages[l%leasesPerPage]
	}
	return nil
}

// put notes the message of a lease that has none.
func (t *leaseTable) put(l Lease, m *Message) {
	p := t.page(l)
	if p == nil {
		p = t.newPage()
		p.number = uint64(l) / leasesPerPage
		if t.pages == nil {
			t.pages = map[uint64]*leasePage{}
		}
		t.pages[p.number], t.recent[p.number%recentPages] = p, p
	}
	p.messages[l%leasesPerPage] = m
	p.used++
	t.n++
}

// find looks for a message by its id, at the lookBack leases up to the last one; nil
// if it is on none.
func (t *leaseTable) find(id ID, last Lease) *Message {
	number := uint64(last) / leasesPerPage
	for range min(number, lookBack/leasesPerPage) + 1 {
		if p := t.pages[number]; p != nil {
			for _, m := range p.messages {
				if m != nil && m.ID == id {
					return m
				}
			}
		}
		number--
	}
	return nil
}

func (t *leaseTable) newPage() (p *leasePage) {
	last := len(t.free) - 1
	if last < 0 {
		return new(leasePage)
	}
	p, t.free = t.free[last], t.free[:last]
	return p
}

// remove forgets a lease that has a message.
func (t *leaseTable) remove(l Lease) {
	p := t.page(l)
	p.messages[l%leasesPerPage] = nil
	t.n--
	if p.used--; p.used > 0 {
		return
	}
	delete(t.pages, p.number)
	t.recent[p.number%recentPages] = nil
	if len(t.free) < freePages {
		t.free = append(t.free, p)
	}
}
