package dev.cofferdam.loadtest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** The ways to the upstream that are compared: straight, through the gateway, by its peers. */
final class Ways {
  static final String DIRECT = "direct";
  static final String INTERCEPTED = "through the gateway";
  static final String SUBSTITUTED = "with substitution and audit";
  static final String MITMPROXY = "mitmproxy";
  static final String MITMPROXY_SUBSTITUTED = "mitmproxy, substituting";
  static final String SQUID = "Squid, ssl-bump";

  /** Names for a command line, {@link #DIRECT} being always there. */
  static final Set<String> NAMES = Set.of("gateway", "substituted", "mitmproxy", "squid");

  /** Where the one who started this has put mitmproxy's {@code mitmdump}. */
  private static final String MITMDUMP = "COFFERDAM_MITMDUMP";

  private final Report report;
  private final Contenders contenders;
  private final Origin origin;
  private final SpeakingSandbox sandbox;

  /**
   * @param sandbox with a secret
   */
  Ways(Report report, Contenders contenders, Origin origin, SpeakingSandbox sandbox) {
    this.report = report;
    this.contenders = contenders;
    this.origin = origin;
    this.sandbox = sandbox;
  }

  /**
   * @param only of {@link #NAMES}
   * @param request what each of their clients asks for, as options of {@link LoadClient}
   */
  void add(Set<String> only, List<String> request) throws IOException {
    List<String> authorized = Origin.and(request, sandbox.authorization());
    contenders.add(DIRECT, List.of(), origin.direct(request));
    if (only.contains("gateway")) {
      contenders.add(INTERCEPTED, sandbox.prefix(), origin.from(sandbox, request));
    }
    if (only.contains("substituted")) {
      contenders.add(SUBSTITUTED, sandbox.prefix(), origin.from(sandbox, authorized));
    }
    if (only.contains("mitmproxy")) {
      addMitmproxy(request, authorized);
    }
    if (only.contains("squid")) {
      addSquid(request);
    }
  }

  private void addMitmproxy(List<String> request, List<String> authorized) throws IOException {
    Optional<Path> program = Optional.ofNullable(System.getenv(MITMDUMP)).map(Path::of);
    if (program.filter(Files::isExecutable).isEmpty()) {
      report.line(MITMPROXY + ": not measured, it is not installed");
      return;
    }
    Mitmproxy mitmproxy = new Mitmproxy(program.get(), origin.authority());
    ProxyPeer plain = contenders.own(mitmproxy.plain());
    contenders.add(MITMPROXY, List.of(), origin.by(plain, request));
    SpeakingSandbox.Secret secret = sandbox.secret();
    ProxyPeer substituting =
        contenders.own(mitmproxy.substituting(secret.placeholder(), secret.value()));
    contenders.add(MITMPROXY_SUBSTITUTED, List.of(), origin.by(substituting, authorized));
  }

  private void addSquid(List<String> request) throws IOException {
    Optional<ProxyPeer> squid = Squid.start(origin.authority());
    if (squid.isEmpty()) {
      report.line(SQUID + ": not measured, Debian's package squid-openssl is not installed");
      return;
    }
    contenders.add(SQUID, List.of(), origin.by(contenders.own(squid.get()), request));
  }
}
