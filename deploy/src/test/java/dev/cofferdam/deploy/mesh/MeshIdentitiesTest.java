package dev.cofferdam.deploy.mesh;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.deploy.authority.MeshAuthority;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Collection;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class MeshIdentitiesTest {
  private static final int URI = 6;

  @TempDir private Path directory;
  private MeshLayout layout;

  @BeforeEach
  void issue() throws Exception {
    layout = new MeshLayout(directory);
    MeshAuthority authority =
        MeshAuthority.create(
            new SecureRandom(), InstantSource.fixed(Instant.parse("2026-03-01T12:00:00Z")));
    Map<MeshService, Integer> groups = new EnumMap<>(MeshService.class);
    for (MeshService service : MeshService.values()) {
      Files.createDirectories(layout.home(service));
      groups.put(service, (int) Files.getAttribute(directory, "unix:gid"));
    }
    new MeshIdentities(layout, authority).issueAll(groups);
  }

  private List<String> hosts(MeshService service) throws Exception {
    try (InputStream in = Files.newInputStream(MeshIdentities.certificate(layout, service))) {
      X509Certificate certificate =
          (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(in);
      Collection<List<?>> names = certificate.getSubjectAlternativeNames();
      return names.stream()
          .filter(name -> !name.getFirst().equals(URI))
          .map(name -> name.getLast().toString())
          .toList();
    }
  }

  /**
   * A tenant knows the broker by its address. Were another service's certificate good for it, that
   * service could wait at the broker's port for values while the broker is down.
   */
  @Test
  void noOtherServicesCertificateHoldsWhereTenantsReachTheBroker() throws Exception {
    String broker = MeshPorts.STANDARD.brokerTenantsAddress().replaceFirst(":.*", "");

    assertThat(hosts(MeshService.BROKER)).containsExactly(broker);
    assertThat(hosts(MeshService.SCHEDULER)).containsExactly("localhost", "127.0.0.1");
    assertThat(hosts(MeshService.NODE)).isEmpty();
    assertThat(hosts(MeshService.GATEWAY)).isEmpty();
  }

  @Test
  void theEdgeHasNoIdentityInTheMesh() {
    assertThat(MeshIdentities.certificate(layout, MeshService.EDGE)).doesNotExist();
    assertThat(MeshIdentities.key(layout, MeshService.EDGE)).doesNotExist();
  }
}
