package dev.cofferdam.gateway;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where the native TLS is missing the JDK's takes its place, towards guests, upstreams and all. */
final class JdkTlsTest {
  /** Of which each speaks TLS on both sides of the gateway. */
  private static final List<Class<?>> TESTS =
      List.of(GatewayAppTest.class, ProxyTest.class, Http2Test.class, MetersTest.class);

  @Test
  void theGatewayHoldsItsTestsWithTheTlsOfTheJdk(@TempDir Path directory) throws Exception {
    List<String> command =
        new ArrayList<>(Jvm.command("-Xmx512m", "-Dio.netty.handler.ssl.noOpenSsl=true"));
    command.add(JdkTlsRun.class.getName());
    TESTS.forEach(test -> command.add(test.getName()));
    Path output = directory.resolve("said");
    Process run =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      assertThat(run.waitFor(10, TimeUnit.MINUTES)).isTrue();
    } finally {
      run.destroyForcibly();
    }
    String said = Files.readString(output);
    Matcher counts = Pattern.compile("(\\d+) passed, 0 failed, 0 did not run\n").matcher(said);
    assertThat(counts.find()).as(said).isTrue();
    assertThat(Integer.parseInt(counts.group(1))).isGreaterThanOrEqualTo(20);
    // An operator is told: values then pass through buffers of the JDK's.
    assertThat(said).contains("tls_of_the_jdk");
  }
}
