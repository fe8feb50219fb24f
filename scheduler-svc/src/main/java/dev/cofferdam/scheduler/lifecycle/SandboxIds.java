package dev.cofferdam.scheduler.lifecycle;

import java.util.random.RandomGenerator;

/** Ids of 100 random bits: nobody meets another's by chance, and none says anything. */
final class SandboxIds {
  private static final String ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
  private static final int LENGTH = 20;

  private SandboxIds() {}

  static String next(RandomGenerator random) {
    StringBuilder id = new StringBuilder("sb-");
    for (int i = 0; i < LENGTH; i++) {
      id.append(ALPHABET.charAt(random.nextInt(ALPHABET.length())));
    }
    return id.toString();
  }
}
