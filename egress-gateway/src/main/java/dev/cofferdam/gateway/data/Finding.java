package dev.cofferdam.gateway.data;

/**
 * That a rule found something, not what.
 *
 * @param rule its number in the policy
 * @param detector {@code card_numbers}, {@code pattern-2}
 */
public record Finding(int rule, String detector) {
  @Override
  public String toString() {
    return rule + ":" + detector;
  }
}
