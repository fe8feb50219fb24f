package guest

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// rehearse lets the protobuf runtime learn every message once. It builds the tables that it reads and writes a message
// by when it first meets one: work that each clone would repeat between its restore and its first process.
func rehearse() error {
	var failed error
	protoregistry.GlobalTypes.RangeMessages(func(kind protoreflect.MessageType) bool {
		var bytes []byte
		if bytes, failed = proto.Marshal(kind.New().Interface()); failed == nil {
			failed = proto.Unmarshal(bytes, kind.New().Interface())
		}
		return failed == nil
	})
	return failed
}
