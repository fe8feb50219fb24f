package dev.cofferdam.broker.sign;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigInteger;
import java.nio.ByteOrder;
import java.util.stream.IntStream;

/** SHA-512 off the heap, FIPS 180-4 section 6.4. */
final class Sha512 implements Digest {
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);
  private static final int BLOCK = 128;
  private static final int WORDS = 8;
  private static final int ROUNDS = 80;

  /** Where in the last block the message's length begins. */
  private static final int LENGTH_AT = BLOCK - 16;

  private static final int[] PRIMES =
      IntStream.iterate(2, n -> n + 1)
          .filter(n -> IntStream.range(2, n).allMatch(d -> n % d != 0))
          .limit(ROUNDS)
          .toArray();

  /** The first 64 bits of what follows the point in the square roots of the first eight primes. */
  private static final long[] FIRST = new long[WORDS];

  /** The same of the cube roots of the first eighty. */
  private static final long[] K = new long[ROUNDS];

  static {
    for (int i = 0; i < WORDS; i++) {
      FIRST[i] = BigInteger.valueOf(PRIMES[i]).shiftLeft(2 * 64).sqrt().longValue();
    }
    for (int i = 0; i < ROUNDS; i++) {
      K[i] = cubeRoot(BigInteger.valueOf(PRIMES[i]).shiftLeft(3 * 64)).longValue();
    }
  }

  private final Arena arena = Arena.ofConfined();
  private final MemorySegment block = arena.allocate(BLOCK);
  private final MemorySegment state = arena.allocate(WORDS * 8L);
  private final MemorySegment schedule = arena.allocate(ROUNDS * 8L);
  private int filled;
  private long length;

  Sha512() {
    for (int i = 0; i < WORDS; i++) {
      state.set(LONG, 8L * i, FIRST[i]);
    }
  }

  /** Rounded down; by halves. */
  private static BigInteger cubeRoot(BigInteger of) {
    BigInteger root = BigInteger.ZERO;
    for (int bit = of.bitLength() / 3 + 1; bit >= 0; bit--) {
      BigInteger next = root.setBit(bit);
      if (next.pow(3).compareTo(of) <= 0) {
        root = next;
      }
    }
    return root;
  }

  @Override
  public int length() {
    return WORDS * 8;
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
    // Of the sixteen bytes of the length no message here needs the first eight.
    for (int i = 0; i < 8; i++) {
      add(0);
    }
    for (int shift = 56; shift >= 0; shift -= 8) {
      add((int) (bits >>> shift));
    }
    MemorySegment.copy(state, 0, out, 0, length());
  }

  private void compress() {
    for (int i = 0; i < ROUNDS; i++) {
      schedule.set(LONG, 8L * i, i < 16 ? block.get(LONG, 8L * i) : scheduled(i));
    }
    long a = word(0);
    long b = word(1);
    long c = word(2);
    long d = word(3);
    long e = word(4);
    long f = word(5);
    long g = word(6);
    long h = word(7);
    for (int i = 0; i < ROUNDS; i++) {
      long sum1 = Long.rotateRight(e, 14) ^ Long.rotateRight(e, 18) ^ Long.rotateRight(e, 41);
      long one = h + sum1 + ((e & f) ^ (~e & g)) + K[i] + schedule.get(LONG, 8L * i);
      long sum0 = Long.rotateRight(a, 28) ^ Long.rotateRight(a, 34) ^ Long.rotateRight(a, 39);
      long two = sum0 + ((a & b) ^ (a & c) ^ (b & c));
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

  private long scheduled(int i) {
    long x = schedule.get(LONG, 8L * (i - 15));
    long y = schedule.get(LONG, 8L * (i - 2));
    long sigma0 = Long.rotateRight(x, 1) ^ Long.rotateRight(x, 8) ^ (x >>> 7);
    long sigma1 = Long.rotateRight(y, 19) ^ Long.rotateRight(y, 61) ^ (y >>> 6);
    return schedule.get(LONG, 8L * (i - 16)) + sigma0 + schedule.get(LONG, 8L * (i - 7)) + sigma1;
  }

  private long word(int i) {
    return state.get(LONG, 8L * i);
  }

  private void add(int i, long value) {
    state.set(LONG, 8L * i, word(i) + value);
  }

  @Override
  public void close() {
    block.fill((byte) 0);
    state.fill((byte) 0);
    schedule.fill((byte) 0);
    arena.close();
  }
}
