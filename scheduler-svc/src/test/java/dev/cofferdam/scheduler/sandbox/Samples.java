package dev.cofferdam.scheduler.sandbox;

import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.StartReport;
import dev.cofferdam.v1.StartWay;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;

/** Records for tests. */
public final class Samples {
  public static final Instant NOW = Instant.parse("2026-03-04T05:06:07.089Z");
  public static final UUID PROCESS = UUID.fromString("00000000-0000-0000-0000-000000000001");

  private Samples() {}

  /** {@code sb-} and the number in base 2 of the id's alphabet. */
  public static String id(int number) {
    StringBuilder id = new StringBuilder("sb-");
    for (int bit = 19; bit >= 0; bit--) {
      id.append((number >> bit & 1) == 0 ? 'a' : 'b');
    }
    return id.toString();
  }

  public static Sandbox starting(int number, String tenant, String node) {
    return new Sandbox(
        id(number),
        tenant,
        "debian",
        new SandboxSize(1, 512, 1024),
        Map.of("team", "blue"),
        NOW.plusMillis(number),
        new Lifetime(Optional.empty(), TimeoutAction.DELETE, Optional.empty()),
        Optional.empty(),
        node,
        1,
        1,
        EgressPolicy.getDefaultInstance(),
        0,
        0,
        List.of(new SecretUse("api-key", "API_KEY")),
        List.of(),
        Isolation.EMULATED,
        Optional.empty(),
        new SandboxState.Starting(PROCESS));
  }

  /** What node and broker gave, under generation 1. */
  public static Sandbox.Started started(Isolation isolation, long policyRevision) {
    return new Sandbox.Started(
        isolation,
        policyRevision,
        1,
        StartReport.newBuilder()
            .setWay(StartWay.START_WAY_POOLED)
            .putStepsMs("claim", 1.5)
            .build());
  }
}
