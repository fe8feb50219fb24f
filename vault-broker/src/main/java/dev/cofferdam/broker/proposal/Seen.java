package dev.cofferdam.broker.proposal;

import dev.cofferdam.broker.policy.HostPattern;
import dev.cofferdam.kit.egress.RequestMatch;
import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.HttpMatch;
import dev.cofferdam.v1.RefusedTraffic;
import dev.cofferdam.v1.Verdict;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What a sandbox did while it learned, added up. Of bounded size, whatever the guest does: what is
 * beyond is counted and nothing else, so that it can hide nothing but itself.
 */
final class Seen {
  static final int MAX_PLACES = 1024;
  static final int MAX_METHODS = 16;
  static final int MAX_PATHS = 10_000;
  static final int MAX_SECRETS = 64;
  static final int MAX_REFUSED = 256;

  /** The rest is one for each reason, of which there are fewer. */
  private static final int MAX_REFUSED_APART = MAX_REFUSED / 2;

  /** Kinds of paths of one method beyond which it is no matter of paths any more. */
  static final int MAX_PATHS_OF_METHOD = 128;

  private static final Set<String> READING = Set.of("GET", "HEAD", "OPTIONS");

  /** Where requests went. */
  record Place(String host, int port) {}

  /** What went to one place. */
  static final class Traffic {
    final Map<String, Method> methods = new TreeMap<>();
    final Set<String> secrets = new TreeSet<>();

    /** That became WebSockets, which no rule with conditions lets begin. */
    long sockets;

    long requests() {
      return sockets + methods.values().stream().mapToLong(method -> method.requests).sum();
    }
  }

  /** Requests of one method. */
  static final class Method {
    /** Of one that changes something. */
    final Set<String> paths = new TreeSet<>();

    boolean anyPath;
    long requests;
  }

  private record Refused(
      String host, int port, String protocol, String method, EgressReason reason) {}

  private final Map<Place, Traffic> places = new LinkedHashMap<>();
  private final Map<Refused, Long> refused = new HashMap<>();
  private int paths;
  private long leftOut;

  static boolean reads(String method) {
    return READING.contains(method);
  }

  void add(AuditEvent event) {
    boolean learned = event.getLearned();
    if (event.getVerdict() == Verdict.VERDICT_ALLOWED) {
      // Without an answer it is no use to anyone that the host may be reached.
      if (learned && event.getStatus() != 0) {
        see(event);
      }
    } else if (event.getReason() == EgressReason.EGRESS_REASON_LEARNING) {
      // The owner bound a secret to just this, which only the mode kept back.
      if (learned && !event.getSecret().isEmpty()) {
        see(event);
      }
    } else if (learned || event.getLearning()) {
      refuse(event, "", event.getReason());
    }
  }

  private void see(AuditEvent event) {
    Optional<String> kind = Optional.empty();
    boolean socket = event.getStatus() == 101;
    if (!socket) {
      boolean reads = reads(event.getMethod());
      kind = reads ? Optional.of("") : Paths.kind(event.getPath());
      if (kind.isEmpty() || !methodOfRule(event.getMethod())) {
        refuse(event, event.getMethod(), EgressReason.EGRESS_REASON_REQUEST_AMBIGUOUS);
        return;
      }
    }
    if (!host(event.getHost())) {
      leftOut++;
      return;
    }
    Place place = new Place(event.getHost(), event.getPort());
    Traffic traffic = places.get(place);
    if (traffic == null) {
      if (places.size() >= MAX_PLACES) {
        leftOut++;
        return;
      }
      traffic = new Traffic();
      places.put(place, traffic);
    }
    if (socket) {
      traffic.sockets++;
    } else if (!counted(traffic, event.getMethod(), kind.orElse(""))) {
      leftOut++;
      return;
    }
    if (!event.getSecret().isEmpty() && traffic.secrets.size() < MAX_SECRETS) {
      traffic.secrets.add(event.getSecret());
    }
  }

  private boolean counted(Traffic traffic, String name, String kind) {
    Method method = traffic.methods.getOrDefault(name, new Method());
    boolean newPath = !kind.isEmpty() && !method.anyPath && !method.paths.contains(kind);
    boolean tooMany = method.paths.size() >= MAX_PATHS_OF_METHOD;
    // A method without a path that was kept would be a rule for any.
    if ((newPath && !tooMany && paths >= MAX_PATHS)
        || (method.requests == 0 && traffic.methods.size() >= MAX_METHODS)) {
      return false;
    }
    traffic.methods.put(name, method);
    method.requests++;
    if (newPath && tooMany) {
      method.anyPath = true;
      paths -= method.paths.size();
      method.paths.clear();
    } else if (newPath) {
      method.paths.add(kind);
      paths++;
    }
    return true;
  }

  private void refuse(AuditEvent event, String method, EgressReason reason) {
    Refused kind =
        new Refused(event.getHost(), event.getPort(), event.getProtocol(), method, reason);
    if (refused.size() >= MAX_REFUSED_APART && !refused.containsKey(kind)) {
      kind = new Refused("", 0, "", "", reason);
    }
    refused.merge(kind, Math.max(1, event.getCount()), Long::sum);
  }

  private static boolean host(String text) {
    try {
      return !new HostPattern(text, /* wildcard= */ false).name().isEmpty();
    } catch (Refusal e) {
      return false;
    }
  }

  private static boolean methodOfRule(String method) {
    try {
      var _ = RequestMatch.of(HttpMatch.newBuilder().addMethods(method).build());
      return true;
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  Map<Place, Traffic> places() {
    return places;
  }

  long leftOut() {
    return leftOut;
  }

  /** The most frequent first. */
  List<RefusedTraffic> refused() {
    return refused.entrySet().stream()
        .sorted(
            Map.Entry.<Refused, Long>comparingByValue()
                .reversed()
                .thenComparing(entry -> entry.getKey().host())
                .thenComparingInt(entry -> entry.getKey().port())
                .thenComparing(entry -> entry.getKey().reason()))
        .map(entry ->
            RefusedTraffic.newBuilder()
                .setHost(entry.getKey().host())
                .setPort(entry.getKey().port())
                .setProtocol(entry.getKey().protocol())
                .setMethod(entry.getKey().method())
                .setReason(entry.getKey().reason())
                .setCount(entry.getValue())
                .build())
        .toList();
  }
}
