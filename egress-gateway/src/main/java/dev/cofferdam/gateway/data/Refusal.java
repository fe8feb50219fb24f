package dev.cofferdam.gateway.data;

/**
 * That what a rule found may not leave.
 *
 * @param place {@code the URL}, {@code a header}, {@code the body}
 */
public record Refusal(Finding finding, String place) {
  /** For people. */
  public String message() {
    return "data rule %d of the policy lets nothing out that %s finds, and it did in %s"
        .formatted(finding.rule(), finding.detector(), place);
  }
}
