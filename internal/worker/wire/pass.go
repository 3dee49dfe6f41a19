package wire

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"google.golang.org/protobuf/proto"

	thalwegv1 "github.com/thalweg-io/thalweg/api/proto/thalweg/v1"
)

// MaxHello bounds a DataHello, in bytes: it comes from whoever can reach the data port.
const MaxHello = 4 << 10

// PassConn sends an accepted data connection and the hello that was read from it to the process at the other end of via, which
// is a SOCK_SEQPACKET pair: one message, one descriptor. The caller closes its own conn afterwards.
func PassConn(via *net.UnixConn, conn *net.TCPConn, hello *thalwegv1.DataHello) error {
	b, err := proto.Marshal(hello)
	if err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	// Control keeps the descriptor open for the call without setting it blocking, as (*os.File).Fd would.
	if err := raw.Control(func(fd uintptr) {
		_, _, sent = via.WriteMsgUnix(b, syscall.UnixRights(int(fd)), nil)
	}); err != nil {
		return err
	}
	return sent
}

// ReceiveConn is the other end of PassConn. It blocks until a connection comes or via is closed.
func ReceiveConn(via *net.UnixConn) (net.Conn, *thalwegv1.DataHello, error) {
	b := make([]byte, MaxHello)
	oob := make([]byte, syscall.CmsgSpace(4))
	n, oobn, _, _, err := via.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 && oobn == 0 {
		return nil, nil, net.ErrClosed
	}
	messages, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return nil, nil, fmt.Errorf("receive a data connection: %d control messages: %w", len(messages), err)
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, nil, fmt.Errorf("receive a data connection: %d descriptors: %w", len(fds), err)
	}
	file := os.NewFile(uintptr(fds[0]), "data")
	defer file.Close() // FileConn has its own duplicate
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, nil, fmt.Errorf("receive a data connection: %w", err)
	}
	hello := new(thalwegv1.DataHello)
	if err := proto.Unmarshal(b[:n], hello); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("receive a data connection: hello: %w", err)
	}
	return conn, hello, nil
}
