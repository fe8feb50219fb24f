package dev.cofferdam.deploy.demo;

import dev.cofferdam.cli.ClientSettings;
import java.io.PrintStream;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.random.RandomGenerator;

/**
 * The main job, shown on a running mesh as nine claims, each of which can fail. They build on each
 * other: the first that does not hold ends the demo.
 */
public final class Demo {
  private final PrintStream screen;
  private final InstantSource clock;
  private final Claims claims;

  public Demo(
      ClientSettings settings,
      DemoWorld world,
      PrintStream screen,
      InstantSource clock,
      RandomGenerator random) {
    this.screen = screen;
    this.clock = clock;
    this.claims = new Claims(settings, world, new User(settings, screen), clock, random);
  }

  /** True if every claim held. */
  public boolean run() {
    List<Claim> all =
        List.of(
            new Claim("a secret goes into the broker; no call gives it back", claims::secretGoesIn),
            new Claim("a sandbox is a virtual machine", claims::sandboxIsVirtualMachine),
            new Claim("inside, the key is a placeholder", claims::placeholderInside),
            new Claim("at the approved host it becomes the key", claims::substitution),
            new Claim("elsewhere it is refused", claims::refusedElsewhere),
            new Claim("nothing else leaves", claims::nothingElseLeaves),
            new Claim("every use is on record", claims::usesOnRecord),
            new Claim("without the broker no secret, the rest goes on", claims::withoutBroker),
            new Claim("after the delete nothing is left", claims::nothingLeft));
    int held = 0;
    for (Claim claim : all) {
      screen.printf("%n  %d. %s%n", held + 1, claim.title());
      if (!holds(claim)) {
        break;
      }
      held++;
    }
    screen.printf("%n%d of %d claims held%n", held, all.size());
    return held == all.size();
  }

  private boolean holds(Claim claim) {
    Instant begin = clock.instant();
    String verdict = "ok    ";
    String fact;
    try {
      fact = claim.proof().show();
    } catch (ClaimFailed e) {
      verdict = "FAILED";
      fact = String.valueOf(e.getMessage());
    } catch (Exception e) {
      verdict = "FAILED";
      fact = e.toString();
    }
    long millis = Duration.between(begin, clock.instant()).toMillis();
    screen.printf("     %s %s (%.1f s)%n", verdict, fact, millis / 1000.0);
    return !verdict.equals("FAILED");
  }

  private record Claim(String title, Proof proof) {}

  /** Shows one claim and says what was seen. */
  private interface Proof {
    String show() throws Exception;
  }
}
