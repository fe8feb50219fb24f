package dev.cofferdam.gateway.data;

import dev.cofferdam.gateway.policy.DataRules;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.RequestHead;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** What the data rules say of one request. One thread at a time. */
public final class DataGuard {
  /** Where a credential of the guest's own is in its place. */
  private static final Set<String> CREDENTIALS =
      Set.of("authorization", "proxy-authorization", "cookie");

  private static final int MAX_FINDINGS = 32;

  private final List<DataRule> rules;
  private final RequestHead head;
  private final Set<Finding> inHead = new LinkedHashSet<>();
  private Optional<Finding> inHeadRefused = Optional.empty();
  private boolean inPath;
  private Optional<BodySearch> body = Optional.empty();

  private DataGuard(List<DataRule> rules, RequestHead head) {
    this.rules = rules;
    this.head = head;
  }

  /** Empty where no rule covers the host. */
  public static Optional<DataGuard> of(DataRules rules, Host.Name host, RequestHead head) {
    return rules.covers(host)
        ? Optional.of(new DataGuard(rules.at(host).stream().map(DataRule::compile).toList(), head))
        : Optional.empty();
  }

  /** Looks at all but the body: what refuses the request. */
  public Optional<Refusal> judgeHead() {
    String target = head.target();
    int question = target.indexOf('?');
    String path = question < 0 ? target : target.substring(0, question);
    Optional<Finding> refused = search(rules, path, false);
    inPath = !inHead.isEmpty();
    if (refused.isEmpty() && question >= 0) {
      refused = search(rules, target.substring(question + 1), true);
    }
    if (refused.isPresent()) {
      return refused.map(finding -> new Refusal(finding, "the URL"));
    }
    List<DataRule> withHeaders = rules.stream().filter(DataRule::headers).toList();
    for (Header header : withHeaders.isEmpty() ? List.<Header>of() : head.headers().lines()) {
      if (!CREDENTIALS.contains(header.name().toLowerCase(Locale.ROOT))) {
        Optional<Finding> inHeader =
            search(withHeaders, header.name() + ": " + header.value(), false);
        if (inHeader.isPresent()) {
          return inHeader.map(finding -> new Refusal(finding, "a header"));
        }
      }
    }
    return Optional.empty();
  }

  private Optional<Finding> search(List<DataRule> by, String text, boolean form) {
    DataSearch search = new DataSearch(by, form, false);
    search.feed(
        Unpooled.wrappedBuffer(text.getBytes(StandardCharsets.ISO_8859_1)),
        true,
        part -> part.release());
    inHead.addAll(search.found());
    inHeadRefused = search.refused();
    return inHeadRefused;
  }

  /**
   * @param plain whether the body is sent as it can be read, so that it can be written anew
   * @param grpc whether it consists of messages of gRPC
   */
  public BodySearch body(boolean plain, boolean grpc) {
    boolean form =
        head.headers()
            .first("content-type")
            .filter(type ->
                type.toLowerCase(Locale.ROOT).startsWith("application/x-www-form-urlencoded"))
            .isPresent();
    BodySearch search =
        new BodySearch(
            new DataSearch(rules, form, plain && !grpc), new DataSearch(rules, false, false), grpc);
    body = Optional.of(search);
    return search;
  }

  /** Whether the path holds what must not be told on. */
  public boolean inPath() {
    return inPath;
  }

  /** For the event, each as {@code 2:email_addresses}. */
  public List<String> found() {
    return all().stream().limit(MAX_FINDINGS).map(Finding::toString).toList();
  }

  private Set<Finding> all() {
    Set<Finding> all = new LinkedHashSet<>(inHead);
    body.ifPresent(search -> all.addAll(search.found()));
    return all;
  }

  /** What the rules did: one that refuses says nothing of what others did before. */
  public Set<Effect> effects() {
    Set<Finding> all = all();
    Optional<Finding> refused =
        inHeadRefused.or(() -> body.flatMap(BodySearch::refused).map(Refusal::finding));
    Set<Effect> effects = new LinkedHashSet<>();
    for (DataRule rule : rules) {
      for (DataRule.Named named : rule.detectors()) {
        if (all.contains(named.finding())) {
          boolean stopped = refused.filter(named.finding()::equals).isPresent();
          effects.add(new Effect(named.kind(), stopped ? Effect.Outcome.REFUSED : did(rule)));
        }
      }
    }
    return effects;
  }

  private static Effect.Outcome did(DataRule rule) {
    return switch (rule.action()) {
      case DATA_ACTION_REPORT -> Effect.Outcome.REPORTED;
      case DATA_ACTION_REDACT -> Effect.Outcome.REDACTED;
      case DATA_ACTION_BLOCK, DATA_ACTION_UNSPECIFIED, UNRECOGNIZED -> Effect.Outcome.REFUSED;
    };
  }
}
