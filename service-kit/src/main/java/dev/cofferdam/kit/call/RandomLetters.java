package dev.cofferdam.kit.call;

import java.util.random.RandomGenerator;

/** What ids, names and tokens are made of: {@code [a-z2-7]}, five random bits each. */
public final class RandomLetters {
  private static final String ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

  private RandomLetters() {}

  public static String next(int count, RandomGenerator random) {
    StringBuilder text = new StringBuilder(count);
    for (int i = 0; i < count; i++) {
      text.append(ALPHABET.charAt(random.nextInt(ALPHABET.length())));
    }
    return text.toString();
  }
}
