package dev.cofferdam.gateway.policy;

import dev.cofferdam.v1.EgressReason;

/** What a policy says to one request. */
public sealed interface RequestVerdict {
  /**
   * @param rule under which it goes, with the limits that are set there
   */
  record Let(Rule rule) implements RequestVerdict {}

  /**
   * @param message for people, naming the rule but nothing that the guest wrote
   */
  record Denied(EgressReason reason, String message) implements RequestVerdict {}
}
