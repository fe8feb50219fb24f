package dev.cofferdam.node.world;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs what needs a real hypervisor, and says of each test on a line what became of it. For an
 * outer machine, which has no build.
 */
public final class Suite implements TestExecutionListener {
  private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
  private int failed;
  private int passed;
  private long begin;

  /**
   * @param arguments the driver's name, or {@code refused} for one that boots no guest here
   */
  public static void main(String[] arguments) {
    Class<?> contract =
        switch (arguments[0]) {
          case "cloud-hypervisor" -> CloudHypervisorTest.class;
          case "qemu" -> QemuTest.class;
          case "refused" -> RefusedTest.class;
          default -> throw new IllegalArgumentException("no suite " + arguments[0]);
        };
    Suite suite = new Suite();
    LauncherFactory.create()
        .execute(
            LauncherDiscoveryRequestBuilder.request().selectors(selectClass(contract)).build(),
            suite);
    // No test at all is no success.
    Runtime.getRuntime().halt(suite.failed == 0 && suite.passed > 0 ? 0 : 1);
  }

  @Override
  public void executionStarted(TestIdentifier test) {
    begin = System.nanoTime();
  }

  @Override
  public void executionSkipped(TestIdentifier test, String reason) {
    out.println("SKIP " + test.getDisplayName() + ": " + reason);
  }

  @Override
  public void executionFinished(TestIdentifier test, TestExecutionResult result) {
    long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begin);
    boolean good = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
    if (test.isTest() || !good) {
      passed += good ? 1 : 0;
      failed += good ? 0 : 1;
      out.printf("%s %s (%d ms)%n", good ? "PASS" : "FAIL", test.getDisplayName(), millis);
    }
    result.getThrowable().ifPresent(thrown -> thrown.printStackTrace(out));
  }
}
