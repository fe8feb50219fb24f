package dev.cofferdam.testkit;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Inputs for a target of the fuzzer where it runs as a test: few, and the same each time. */
public final class FuzzInputs {
  private static final int MADE_UP = 3_000;

  private FuzzInputs() {}

  /** Those that the fuzzer begins with, and those that it once found. */
  public static List<byte[]> seeds(String name) throws IOException {
    List<byte[]> seeds = new ArrayList<>();
    try (Stream<Path> files = Files.list(Path.of("src/test/resources/fuzz", name))) {
      for (Path file : files.sorted().toList()) {
        seeds.add(Files.readAllBytes(file));
      }
    }
    return seeds;
  }

  /** Gives a target the seeds, and what is made of them. */
  public static void give(String name, List<byte[]> seeds, Consumer<byte[]> target) {
    if (seeds.isEmpty()) {
      throw new IllegalStateException("no seeds for " + name);
    }
    seeds.forEach(target);
    Random random = new Random(name.hashCode());
    for (int i = 0; i < MADE_UP; i++) {
      target.accept(
          changed(
              seeds.get(random.nextInt(seeds.size())),
              seeds.get(random.nextInt(seeds.size())),
              random));
    }
  }

  /** The beginning of one and the end of another, with some bytes changed. */
  private static byte[] changed(byte[] one, byte[] other, Random random) {
    int cut = random.nextInt(one.length + 1);
    int from =
        random.nextBoolean() ? Math.min(cut, other.length) : random.nextInt(other.length + 1);
    byte[] made = Arrays.copyOf(one, cut + other.length - from);
    System.arraycopy(other, from, made, cut, other.length - from);
    for (int flips = random.nextInt(4); flips > 0 && made.length > 0; flips--) {
      made[random.nextInt(made.length)] =
          random.nextBoolean()
              ? (byte) random.nextInt()
              : (byte) "\r\n :;,.0\t\0%".charAt(random.nextInt(11));
    }
    return made;
  }
}
