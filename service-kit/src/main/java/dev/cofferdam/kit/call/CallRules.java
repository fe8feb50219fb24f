package dev.cofferdam.kit.call;

import io.grpc.MethodDescriptor;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Which callers each method has. A method that a listener serves and no rule names stops it from
 * starting.
 */
public final class CallRules {
  /** What a caller has to show. */
  public sealed interface Rule {
    /** A client certificate of one of these services. */
    record Peers(Set<String> services) implements Rule {
      public Peers {
        services = Set.copyOf(services);
      }
    }

    /** A token with this scope. */
    record Tenant(String scope) implements Rule {}

    /**
     * A token with this scope, an SSH session as with {@link SshSessionOr}, or a key for one port,
     * to which the handler holds it; with an empty scope a key alone.
     */
    record PortKeyOr(String scope) implements Rule {}

    /**
     * A token with this scope, or an SSH session whose key's token has it, to whose sandbox the
     * handler holds it; with an empty scope any session alone.
     */
    record SshSessionOr(String scope) implements Rule {}

    /** Nothing. */
    record Open() implements Rule {}
  }

  private final Map<String, Rule> rules;

  private CallRules(Map<String, Rule> rules) {
    this.rules = Map.copyOf(rules);
  }

  public static Builder builder() {
    return new Builder();
  }

  public Optional<Rule> rule(String fullMethodName) {
    return Optional.ofNullable(rules.get(fullMethodName));
  }

  /** The served methods that no rule names. */
  public List<String> missing(Collection<ServerServiceDefinition> services) {
    return services.stream()
        .flatMap(service -> service.getMethods().stream())
        .map(ServerMethodDefinition::getMethodDescriptor)
        .map(MethodDescriptor::getFullMethodName)
        .filter(name -> !rules.containsKey(name))
        .sorted()
        .toList();
  }

  public static final class Builder {
    private final Map<String, Rule> rules = new HashMap<>();

    private Builder() {}

    public Builder peers(MethodDescriptor<?, ?> method, String... services) {
      if (services.length == 0) {
        throw new IllegalArgumentException(
            method.getFullMethodName() + ": expected at least one service");
      }
      return put(method, new Rule.Peers(Set.of(services)));
    }

    public Builder tenant(MethodDescriptor<?, ?> method, String scope) {
      return put(method, new Rule.Tenant(scope));
    }

    public Builder portKeyOr(MethodDescriptor<?, ?> method, String scope) {
      return put(method, new Rule.PortKeyOr(scope));
    }

    /** A key for one port alone. */
    public Builder portKey(MethodDescriptor<?, ?> method) {
      return put(method, new Rule.PortKeyOr(""));
    }

    public Builder sshSessionOr(MethodDescriptor<?, ?> method, String scope) {
      return put(method, new Rule.SshSessionOr(scope));
    }

    /** An SSH session alone. */
    public Builder sshSession(MethodDescriptor<?, ?> method) {
      return put(method, new Rule.SshSessionOr(""));
    }

    public Builder open(MethodDescriptor<?, ?> method) {
      return put(method, new Rule.Open());
    }

    public CallRules build() {
      return new CallRules(rules);
    }

    private Builder put(MethodDescriptor<?, ?> method, Rule rule) {
      if (rules.putIfAbsent(method.getFullMethodName(), rule) != null) {
        throw new IllegalArgumentException(method.getFullMethodName() + " has a rule already");
      }
      return this;
    }
  }
}
