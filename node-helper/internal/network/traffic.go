package network

// Traffic counts the bytes of Ethernet frames since the slot was made.
type Traffic struct {
	// FromGuest is what the guest has sent, dropped or not; ToGuest what reached its tap, the host's own calls included.
	FromGuest, ToGuest uint64
}

// SlotTraffic reads the counters of the slot's tap.
func (n *Network) SlotTraffic(slot int) (Traffic, error) {
	ns, err := n.OpenSlot(slot)
	if err != nil {
		return Traffic{}, err
	}
	defer ns.Close()
	h, err := handle(ns)
	if err != nil {
		return Traffic{}, err
	}
	defer h.Close()
	tap, err := h.LinkByName("tap0")
	if err != nil {
		return Traffic{}, err
	}
	counters := tap.Attrs().Statistics
	if counters == nil {
		return Traffic{}, nil
	}
	return Traffic{FromGuest: counters.RxBytes, ToGuest: counters.TxBytes}, nil
}
