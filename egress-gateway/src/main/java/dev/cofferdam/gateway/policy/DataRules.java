package dev.cofferdam.gateway.policy;

import dev.cofferdam.kit.egress.DataRuleSpec;
import dev.cofferdam.v1.DataRule;
import dev.cofferdam.v1.EgressPolicy;
import java.util.ArrayList;
import java.util.List;

/** Those of a policy. Immutable. */
public final class DataRules {
  /** Of a policy that has none. */
  public static final DataRules NONE = new DataRules(List.of());

  /** Where a rule holds; no hosts: everywhere. */
  private record Bound(List<HostPattern> hosts, DataRuleSpec rule, DataRule written) {
    boolean covers(Host.Name host) {
      return hosts.isEmpty() || hosts.stream().anyMatch(pattern -> pattern.matches(host));
    }
  }

  private final List<Bound> rules;

  private DataRules(List<Bound> rules) {
    this.rules = rules;
  }

  /**
   * @throws IllegalArgumentException for a rule that makes no sense
   */
  public static DataRules compile(EgressPolicy policy) {
    List<Bound> rules = new ArrayList<>();
    for (DataRuleSpec spec : DataRuleSpec.of(policy)) {
      rules.add(
          new Bound(
              spec.hosts().stream().map(HostPattern::parse).toList(),
              spec,
              policy.getData(rules.size())));
    }
    return rules.isEmpty() ? NONE : new DataRules(List.copyOf(rules));
  }

  /** Whether the same rules hold at a host. */
  public boolean sameAt(Host.Name host, DataRules others) {
    return written(host).equals(others.written(host));
  }

  private List<DataRule> written(Host.Name host) {
    return rules.stream().filter(bound -> bound.covers(host)).map(Bound::written).toList();
  }

  public boolean covers(Host.Name host) {
    return !rules.isEmpty() && rules.stream().anyMatch(bound -> bound.covers(host));
  }

  /** In the policy's order. */
  public List<DataRuleSpec> at(Host.Name host) {
    return rules.stream().filter(bound -> bound.covers(host)).map(Bound::rule).toList();
  }
}
