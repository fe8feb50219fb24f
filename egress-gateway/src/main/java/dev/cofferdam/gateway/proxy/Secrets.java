package dev.cofferdam.gateway.proxy;

import dev.cofferdam.gateway.placeholder.RequestTarget;
import dev.cofferdam.gateway.placeholder.Target;
import dev.cofferdam.gateway.placeholder.Template;
import dev.cofferdam.gateway.placeholder.Use;
import dev.cofferdam.gateway.scrub.Scrubber;
import dev.cofferdam.gateway.scrub.SecretValue;
import dev.cofferdam.kit.http.Header;
import dev.cofferdam.kit.http.Headers;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The values of one request, from the broker's answer to the end of the upstream's. */
final class Secrets implements AutoCloseable {
  private final List<SecretValue> values;
  private final Map<String, SecretValue> byPlaceholder = new HashMap<>();
  private final List<Scrubber.Secret> searched;
  private final Scrubber scrubber;
  private final boolean weak;
  private final boolean inTarget;
  private final Optional<Signature> signature;

  /**
   * @param values in the order of the uses; taken over
   * @param signed the request, where one of its uses is one that signs
   */
  Secrets(List<Use> uses, List<SecretValue> values, Optional<Signable> signed) {
    this.signature = signed.map(request -> request.read(values.get(signing(uses))));
    this.values = new ArrayList<>(values);
    List<Scrubber.Secret> secrets = new ArrayList<>();
    for (int i = 0; i < uses.size(); i++) {
      Use use = uses.get(i);
      if (use.signs()) {
        signature.ifPresent(made -> secrets.addAll(signed(use, made)));
        continue;
      }
      SecretValue value = values.get(i);
      if (byPlaceholder.putIfAbsent(use.placeholder(), value) == null) {
        secrets.add(new Scrubber.Secret(value, use.placeholder(), use.grant().weak()));
      }
      SecretValue written = use.target().escape().of(value);
      this.values.add(written);
      if (written.length() != value.length()) {
        // As it stands in the request: a server may say that back in base64 or hexadecimal.
        secrets.add(new Scrubber.Secret(written, use.placeholder(), use.grant().weak()));
      }
    }
    this.searched = List.copyOf(secrets);
    this.scrubber = new Scrubber(secrets);
    this.inTarget =
        uses.stream()
            .map(Use::target)
            .anyMatch(target ->
                switch (target) {
                  case Target.Path _, Target.Query _, Target.HmacQuery _ -> true;
                  default -> false;
                });
    this.weak = uses.stream().anyMatch(use -> use.grant().weak());
  }

  private List<Scrubber.Secret> signed(Use use, Signature made) {
    List<SecretValue> parts = new ArrayList<>(made.parts());
    made.inTarget()
        .ifPresent(value -> {
          byPlaceholder.put(use.placeholder(), value);
          SecretValue written = use.target().escape().of(value);
          this.values.add(written);
          if (written.length() != value.length()) {
            parts.add(written);
          }
        });
    return parts.stream()
        .map(part -> new Scrubber.Secret(part, use.placeholder(), use.grant().weak()))
        .toList();
  }

  private static int signing(List<Use> uses) {
    int at = 0;
    while (!uses.get(at).signs()) {
      at++;
    }
    return at;
  }

  /** Whether an answer must not show any of them, not even as a gap. */
  boolean weak() {
    return weak;
  }

  Scrubber scrubber() {
    return scrubber;
  }

  /** With a line for each that has to be added, which {@link #seal} then fills. */
  Headers prepared(Headers headers) {
    return signature.map(made -> made.prepared(headers)).orElse(headers);
  }

  /** What that looks for, for another that has to look for more besides. */
  List<Scrubber.Secret> searched() {
    return searched;
  }

  /**
   * The values of those headers that hold a placeholder, by their place; for the writer to close.
   */
  Map<Integer, SecretValue> seal(List<Header> lines) {
    Map<Integer, SecretValue> sealed = new HashMap<>();
    for (int i = 0; i < lines.size(); i++) {
      Header line = lines.get(i);
      Optional<SecretValue> signing = signature.flatMap(made -> made.of(line));
      if (signing.isPresent()) {
        sealed.put(i, signing.get());
      } else if (Splicer.concerns(lines.get(i), byPlaceholder)) {
        sealed.put(i, Splicer.splice(lines.get(i), byPlaceholder));
      }
    }
    return sealed;
  }

  /** The path and query with values in them; empty where they have no place for one. */
  Optional<SecretValue> seal(String target) throws Template.UnrepresentableException {
    return inTarget
        ? Optional.of(RequestTarget.parse(target).template().render(byPlaceholder))
        : Optional.empty();
  }

  /** A body with values in it, for the caller to release. */
  ByteBuf fill(Template template, ByteBufAllocator allocator)
      throws Template.UnrepresentableException {
    try (SecretValue body = template.render(byPlaceholder)) {
      ByteBuf filled = allocator.directBuffer(body.length());
      body.writeTo(filled);
      return filled;
    }
  }

  @Override
  public void close() {
    scrubber.close();
    signature.ifPresent(Signature::close);
    values.forEach(SecretValue::close);
  }
}
