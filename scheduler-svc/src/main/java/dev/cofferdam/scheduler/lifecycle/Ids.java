package dev.cofferdam.scheduler.lifecycle;

import dev.cofferdam.kit.call.RandomLetters;
import java.util.random.RandomGenerator;

/** Ids of 100 random bits: nobody meets another's by chance, and none says anything. */
final class Ids {
  private static final int LENGTH = 20;

  private Ids() {}

  static String sandbox(RandomGenerator random) {
    return next("sb-", random);
  }

  static String snapshot(RandomGenerator random) {
    return next("sn-", random);
  }

  static String template(RandomGenerator random) {
    return next("tp-", random);
  }

  static String volume(RandomGenerator random) {
    return next("vol-", random);
  }

  private static String next(String prefix, RandomGenerator random) {
    return prefix + RandomLetters.next(LENGTH, random);
  }
}
