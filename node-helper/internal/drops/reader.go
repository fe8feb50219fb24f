package drops

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// linux/netfilter/nfnetlink_log.h; not in x/sys.
const (
	messagePacket = unix.NFNL_SUBSYS_ULOG << 8
	messageConfig = unix.NFNL_SUBSYS_ULOG<<8 | 1

	attrPacketHeader = 1
	attrInDevice     = 4
	attrPayload      = 9
	attrPrefix       = 10

	configCommand = 1
	configMode    = 2
	configTimeout = 4
	commandBind   = 1
	commandUnbind = 2
	copyPacket    = 2
	copyBytes     = 128
)

// A flood may cost the answer to the last question.
const finishWithin = time.Second

// Reader receives the log messages of one namespace.
type Reader struct {
	conn  *netlink.Conn
	group uint16
}

// OpenReader binds the log group inside the namespace. The socket keeps the namespace alive until Close.
func OpenReader(ns *os.File, group uint16) (*Reader, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: int(ns.Fd())})
	if err != nil {
		return nil, fmt.Errorf("netfilter socket: %w", err)
	}
	// A flood must cost messages, not the reader an error.
	if err := conn.SetOption(netlink.NoENOBUFS, true); err != nil {
		conn.Close()
		return nil, err
	}
	mode := make([]byte, 6)
	binary.BigEndian.PutUint32(mode, copyBytes)
	mode[4] = copyPacket
	// Hundredths of a second that the kernel may gather messages.
	timeout := binary.BigEndian.AppendUint32(nil, 10)
	for _, c := range []netlink.Attribute{
		{Type: configCommand, Data: []byte{commandBind}}, {Type: configMode, Data: mode}, {Type: configTimeout, Data: timeout},
	} {
		if err := configure(conn, group, c); err != nil {
			conn.Close()
			return nil, fmt.Errorf("log group %d: %w", group, err)
		}
	}
	return &Reader{conn, group}, nil
}

func configure(conn *netlink.Conn, group uint16, a netlink.Attribute) error {
	m, err := configuration(group, a)
	if err != nil {
		return err
	}
	_, err = conn.Execute(m)
	return err
}

func configuration(group uint16, a netlink.Attribute) (netlink.Message, error) {
	attrs, err := netlink.MarshalAttributes([]netlink.Attribute{a})
	if err != nil {
		return netlink.Message{}, err
	}
	header := []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, byte(group >> 8), byte(group)}
	return netlink.Message{
		Header: netlink.Header{Type: messageConfig, Flags: netlink.Request | netlink.Acknowledge},
		Data:   append(header, attrs...),
	}, nil
}

// Finish makes Run end by itself: the kernel hands over what it has gathered so far, and nothing more. Run may go on meanwhile.
func (r *Reader) Finish() error {
	m, err := configuration(r.group, netlink.Attribute{Type: configCommand, Data: []byte{commandUnbind}})
	if err != nil {
		return err
	}
	if err := r.conn.SetReadDeadline(time.Now().Add(finishWithin)); err != nil {
		return err
	}
	_, err = r.conn.Send(m)
	return err
}

// Close ends Run at once.
func (r *Reader) Close() error { return r.conn.Close() }

// Run hands each packet on, with the index of the device it came in by, until Finish, Close or an error of the socket.
func (r *Reader) Run(each func(inDevice uint32, p Packet)) error {
	for {
		messages, err := r.conn.Receive()
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch m.Header.Type {
			case messagePacket:
				if device, p, ok := parse(m.Data); ok {
					each(device, p)
				}
			case netlink.Error:
				// The answer to Finish, for nothing else is asked by now.
				return nil
			}
		}
	}
}

func parse(data []byte) (device uint32, p Packet, ok bool) {
	if len(data) < 4 {
		return 0, p, false
	}
	attrs, err := netlink.UnmarshalAttributes(data[4:])
	if err != nil {
		return 0, p, false
	}
	var prefix string
	var etherType uint16
	var payload []byte
	for _, a := range attrs {
		switch {
		case a.Type == attrPacketHeader && len(a.Data) >= 2:
			etherType = binary.BigEndian.Uint16(a.Data)
		case a.Type == attrInDevice && len(a.Data) == 4:
			device = binary.BigEndian.Uint32(a.Data)
		case a.Type == attrPayload:
			payload = a.Data
		case a.Type == attrPrefix:
			prefix = strings.TrimRight(string(a.Data), "\x00")
		}
	}
	return device, Classify(prefix, etherType, payload), true
}
