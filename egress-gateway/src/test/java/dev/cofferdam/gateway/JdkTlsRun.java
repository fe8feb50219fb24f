package dev.cofferdam.gateway;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import io.netty.handler.ssl.OpenSsl;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/**
 * Runs tests of the gateway in a process of their own, whose Netty has no native TLS.
 *
 * <p>Arguments: the names of their classes.
 */
final class JdkTlsRun {
  private JdkTlsRun() {}

  public static void main(String[] arguments) {
    if (OpenSsl.isAvailable()) {
      throw new IllegalStateException("the native TLS is there");
    }
    List<String> classes = Arrays.asList(arguments);
    LauncherDiscoveryRequest request =
        LauncherDiscoveryRequestBuilder.request()
            .selectors(classes.stream().map(name -> selectClass(name)).toList())
            .build();
    SummaryGeneratingListener listener = new SummaryGeneratingListener();
    LauncherFactory.create().execute(request, listener);
    TestExecutionSummary summary = listener.getSummary();
    summary.printFailuresTo(new PrintWriter(System.out, true, StandardCharsets.UTF_8), 20);
    System.out.printf(
        "%d passed, %d failed, %d did not run%n",
        summary.getTestsSucceededCount(),
        summary.getTotalFailureCount(),
        summary.getTestsFoundCount() - summary.getTestsStartedCount());
    System.exit(0);
  }
}
