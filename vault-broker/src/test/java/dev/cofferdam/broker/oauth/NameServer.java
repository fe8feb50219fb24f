package dev.cofferdam.broker.oauth;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.util.Arrays;

/** A DNS server (RFC 1035) on loopback that has one IPv4 address for every name. */
final class NameServer implements AutoCloseable {
  private final DatagramSocket socket;

  NameServer(String address) throws IOException {
    socket = new DatagramSocket(0, InetAddress.getByName("127.0.0.1"));
    byte[] told = InetAddress.getByName(address).getAddress();
    var _ = Thread.ofPlatform().daemon().start(() -> serve(told));
  }

  int port() {
    return socket.getLocalPort();
  }

  private void serve(byte[] address) {
    byte[] buffer = new byte[512];
    while (!socket.isClosed()) {
      try {
        DatagramPacket asked = new DatagramPacket(buffer, buffer.length);
        socket.receive(asked);
        byte[] answer = answer(Arrays.copyOf(buffer, asked.getLength()), address);
        socket.send(new DatagramPacket(answer, answer.length, asked.getSocketAddress()));
      } catch (IOException e) {
        // Closed.
      }
    }
  }

  private static byte[] answer(byte[] question, byte[] address) {
    int end = 12;
    while (question[end] != 0) {
      end += question[end] + 1;
    }
    boolean ipv4 = question[end + 2] == 1;
    int asked = end + 5;
    byte[] answer = Arrays.copyOf(question, asked + (ipv4 ? 16 : 0));
    answer[2] = (byte) 0x81;
    answer[3] = (byte) 0x80;
    answer[7] = (byte) (ipv4 ? 1 : 0);
    // What a client adds (EDNS) is not answered.
    answer[11] = 0;
    if (ipv4) {
      byte[] record = {(byte) 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 0, 0, 0, 0};
      System.arraycopy(address, 0, record, 12, 4);
      System.arraycopy(record, 0, answer, asked, 16);
    }
    return answer;
  }

  @Override
  public void close() {
    socket.close();
  }
}
