package dev.cofferdam.broker.proposal;

import dev.cofferdam.broker.policy.HostPattern;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.ProposedRule;
import dev.cofferdam.v1.RuleAction;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/** The rules for what was seen, as few as say it. Pure. */
final class RuleSet {
  /** Names with the same to their right that need the same, from which on a wildcard says it. */
  static final int SIBLINGS = 4;

  private static final int MAX_PATTERNS = 64;
  private static final int MAX_PORTS = 64;
  private static final int MAX_HOSTS_SHOWN = 64;

  /** What a rule says of requests. No method: any request. */
  private record Need(List<String> methods, List<String> paths, String note) {}

  private record Subject(String pattern, Need need) {}

  private record NeedAt(Need need, int port) {}

  /** How often, and by whom, something was needed. */
  private static final class Count {
    final Set<String> hosts = new TreeSet<>();
    final Set<String> secrets = new TreeSet<>();
    final Set<Integer> ports = new TreeSet<>();
    long requests;

    void add(Count other) {
      hosts.addAll(other.hosts);
      secrets.addAll(other.secrets);
      ports.addAll(other.ports);
      requests += other.requests;
    }
  }

  private RuleSet() {}

  /** The most used first. */
  static List<ProposedRule> of(Map<Seen.Place, Seen.Traffic> places) {
    Map<NeedAt, Map<String, Count>> hostsByNeed = new LinkedHashMap<>();
    places.forEach((place, traffic) ->
        needs(traffic)
            .forEach((need, requests) -> {
              Count count = new Count();
              count.hosts.add(place.host());
              count.ports.add(place.port());
              count.secrets.addAll(traffic.secrets);
              count.requests = requests;
              hostsByNeed
                  .computeIfAbsent(new NeedAt(need, place.port()), _ -> new LinkedHashMap<>())
                  .put(place.host(), count);
            }));
    Map<Subject, Count> subjects = new LinkedHashMap<>();
    hostsByNeed.forEach((at, hosts) ->
        grouped(hosts)
            .forEach((pattern, count) ->
                subjects
                    .computeIfAbsent(new Subject(pattern, at.need()), _ -> new Count())
                    .add(count)));
    List<ProposedRule> rules = new ArrayList<>();
    subjects.forEach((subject, count) -> rules.addAll(rules(subject, count)));
    rules.sort(
        Comparator.comparingLong(ProposedRule::getRequests)
            .reversed()
            .thenComparing(rule -> rule.getRule().getHost()));
    return List.copyOf(rules);
  }

  private static Map<Need, Long> needs(Seen.Traffic traffic) {
    if (traffic.sockets > 0) {
      return Map.of(
          new Need(
              List.of(),
              List.of(),
              "any request, for a rule with conditions lets no WebSocket begin"),
          traffic.requests());
    }
    Map<Need, Long> needs = new LinkedHashMap<>();
    List<String> reading = traffic.methods.keySet().stream().filter(Seen::reads).toList();
    if (!reading.isEmpty()) {
      needs.put(
          new Need(reading, List.of(), ""),
          reading.stream().mapToLong(name -> requests(traffic, name)).sum());
    }
    Map<List<String>, List<String>> methodsByPaths = new LinkedHashMap<>();
    traffic.methods.forEach((name, method) -> {
      if (!Seen.reads(name)) {
        List<String> paths = method.anyPath ? List.of() : Paths.merged(method.paths);
        methodsByPaths
            .computeIfAbsent(
                paths.size() > MAX_PATTERNS ? List.of() : paths, _ -> new ArrayList<>())
            .add(name);
      }
    });
    methodsByPaths.forEach((paths, methods) ->
        needs.put(
            new Need(
                List.copyOf(methods),
                paths,
                paths.isEmpty() ? "any path, for there were more kinds than a rule holds" : ""),
            methods.stream().mapToLong(name -> requests(traffic, name)).sum()));
    return needs;
  }

  private static long requests(Seen.Traffic traffic, String name) {
    Seen.Method method = traffic.methods.get(name);
    return method == null ? 0 : method.requests;
  }

  /** By pattern: names, and wildcards in place of many. */
  private static Map<String, Count> grouped(Map<String, Count> hosts) {
    Map<String, List<String>> families = new LinkedHashMap<>();
    hosts
        .keySet()
        .forEach(host ->
            families
                .computeIfAbsent(host.substring(host.indexOf('.') + 1), _ -> new ArrayList<>())
                .add(host));
    Map<String, Count> grouped = new LinkedHashMap<>();
    families.forEach((parent, members) -> {
      Optional<String> wildcard = members.size() < SIBLINGS ? Optional.empty() : wildcard(parent);
      for (String member : members) {
        Count count = hosts.getOrDefault(member, new Count());
        grouped.computeIfAbsent(wildcard.orElse(member), _ -> new Count()).add(count);
      }
    });
    return grouped;
  }

  /** Empty on a public suffix, whose other names are other people's. */
  private static Optional<String> wildcard(String parent) {
    try {
      return Optional.of(new HostPattern(parent, /* wildcard= */ true).toString());
    } catch (Refusal e) {
      return Optional.empty();
    }
  }

  private static List<ProposedRule> rules(Subject subject, Count count) {
    List<Integer> ports = List.copyOf(count.ports);
    List<ProposedRule> rules = new ArrayList<>();
    for (int from = 0; from < ports.size(); from += MAX_PORTS) {
      EgressRule.Builder rule =
          EgressRule.newBuilder()
              .setHost(subject.pattern())
              .addAllPorts(ports.subList(from, Math.min(ports.size(), from + MAX_PORTS)))
              .setAction(RuleAction.RULE_ACTION_ALLOW);
      if (!subject.need().methods().isEmpty()) {
        rule.setHttp(
            HttpMatch.newBuilder()
                .addAllMethods(subject.need().methods())
                .addAllPaths(subject.need().paths()));
      }
      ProposedRule.Builder proposed =
          ProposedRule.newBuilder()
              .setRule(rule)
              .setRequests(count.requests)
              .addAllSecrets(count.secrets)
              .setNote(subject.need().note());
      if (subject.pattern().startsWith("*.")) {
        proposed.addAllHosts(count.hosts.stream().limit(MAX_HOSTS_SHOWN).toList());
      }
      rules.add(proposed.build());
    }
    return rules;
  }
}
