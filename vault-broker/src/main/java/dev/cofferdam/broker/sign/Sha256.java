package dev.cofferdam.broker.sign;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** SHA-256 off the heap, FIPS 180-4 section 6.2. */
final class Sha256 implements Digest {
  private static final ValueLayout.OfInt INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
  private static final int BLOCK = 64;
  private static final int WORDS = 8;
  private static final int ROUNDS = 64;

  /** Where in the last block the message's length begins. */
  private static final int LENGTH_AT = BLOCK - 8;

  private static final int[] FIRST = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
  };

  private static final int[] K = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
  };

  private final Arena arena = Arena.ofConfined();
  private final MemorySegment block = arena.allocate(BLOCK);
  private final MemorySegment state = arena.allocate(WORDS * 4L);
  private final MemorySegment schedule = arena.allocate(ROUNDS * 4L);
  private int filled;
  private long length;

  Sha256() {
    for (int i = 0; i < WORDS; i++) {
      state.set(INT, 4L * i, FIRST[i]);
    }
  }

  @Override
  public int length() {
    return WORDS * 4;
  }

  @Override
  public int blockLength() {
    return BLOCK;
  }

  @Override
  public void update(int unit) {
    length++;
    add(unit);
  }

  private void add(int unit) {
    block.set(ValueLayout.JAVA_BYTE, filled++, (byte) unit);
    if (filled == BLOCK) {
      compress();
      filled = 0;
    }
  }

  @Override
  public void finish(MemorySegment out) {
    long bits = length * 8;
    add(0x80);
    while (filled != LENGTH_AT) {
      add(0);
    }
    for (int shift = 56; shift >= 0; shift -= 8) {
      add((int) (bits >>> shift));
    }
    MemorySegment.copy(state, 0, out, 0, length());
  }

  private void compress() {
    for (int i = 0; i < ROUNDS; i++) {
      schedule.set(INT, 4L * i, i < 16 ? block.get(INT, 4L * i) : scheduled(i));
    }
    int a = word(0);
    int b = word(1);
    int c = word(2);
    int d = word(3);
    int e = word(4);
    int f = word(5);
    int g = word(6);
    int h = word(7);
    for (int i = 0; i < ROUNDS; i++) {
      int sum1 =
          Integer.rotateRight(e, 6) ^ Integer.rotateRight(e, 11) ^ Integer.rotateRight(e, 25);
      int one = h + sum1 + ((e & f) ^ (~e & g)) + K[i] + schedule.get(INT, 4L * i);
      int sum0 =
          Integer.rotateRight(a, 2) ^ Integer.rotateRight(a, 13) ^ Integer.rotateRight(a, 22);
      int two = sum0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + one;
      d = c;
      c = b;
      b = a;
      a = one + two;
    }
    add(0, a);
    add(1, b);
    add(2, c);
    add(3, d);
    add(4, e);
    add(5, f);
    add(6, g);
    add(7, h);
  }

  private int scheduled(int i) {
    int x = schedule.get(INT, 4L * (i - 15));
    int y = schedule.get(INT, 4L * (i - 2));
    int sigma0 = Integer.rotateRight(x, 7) ^ Integer.rotateRight(x, 18) ^ (x >>> 3);
    int sigma1 = Integer.rotateRight(y, 17) ^ Integer.rotateRight(y, 19) ^ (y >>> 10);
    return schedule.get(INT, 4L * (i - 16)) + sigma0 + schedule.get(INT, 4L * (i - 7)) + sigma1;
  }

  private int word(int i) {
    return state.get(INT, 4L * i);
  }

  private void add(int i, int value) {
    state.set(INT, 4L * i, word(i) + value);
  }

  @Override
  public void close() {
    block.fill((byte) 0);
    state.fill((byte) 0);
    schedule.fill((byte) 0);
    arena.close();
  }
}
