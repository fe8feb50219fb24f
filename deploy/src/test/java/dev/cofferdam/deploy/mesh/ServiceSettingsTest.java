package dev.cofferdam.deploy.mesh;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.deploy.mesh.ServiceSettings.DatabaseLogin;
import java.io.StringReader;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.junit.jupiter.api.Test;

/**
 * What the launcher writes is pinned here; that the services take it, every start of a mesh shows.
 */
final class ServiceSettingsTest {
  private static final DatabaseLogin LOGIN =
      new DatabaseLogin(
          "jdbc:postgresql://127.0.0.1:7450/x", "x", Path.of("/s/x/database.password"));

  private final ServiceSettings settings = new ServiceSettings(TestOptions.standard());

  @Test
  void scheduler() {
    assertThat(ServiceSettings.text(settings.of(MeshService.SCHEDULER, LOGIN)))
        .isEqualTo(
            """
            admin.listen=127.0.0.1:7401
            broker.address=127.0.0.1:7410
            database.password-file=/s/x/database.password
            database.url=jdbc:postgresql://127.0.0.1:7450/x
            database.user=x
            listen=127.0.0.1:7400
            tls.authority=/s/ca/ca.pem
            tls.certificate=/s/scheduler/tls.pem
            tls.key=/s/scheduler/tls.key
            """);
  }

  @Test
  void broker() {
    assertThat(ServiceSettings.text(settings.of(MeshService.BROKER, LOGIN)))
        .isEqualTo(
            """
            admin.listen=127.0.0.1:7412
            database.password-file=/s/x/database.password
            database.url=jdbc:postgresql://127.0.0.1:7450/x
            database.user=x
            mesh.listen=127.0.0.1:7410
            node.local.slot-prefix=100.80.0.0/16
            oauth.mesh-ports=7400-7483
            sealed.keyset-file=/s/broker/data/keyset
            tenant.listen=127.0.0.2:7411
            tls.authority=/s/ca/ca.pem
            tls.certificate=/s/broker/tls.pem
            tls.key=/s/broker/tls.key
            """);
  }

  @Test
  void node() {
    assertThat(ServiceSettings.text(settings.of(MeshService.NODE, DatabaseLogin.NONE)))
        .isEqualTo(
            """
            admin.listen=127.0.0.1:7421
            broker.address=127.0.0.1:7410
            gateway.address=127.0.0.1:7430
            helper.socket=/s/run/helper.sock
            image.files=/s/node/image-files
            image.made-root=/s/node/images
            image.root=/c/images
            kernel.files=/s/node/kernels
            listen=127.0.0.1:7420
            sandbox.root=/s/node/sandboxes
            scheduler.address=127.0.0.1:7400
            slot.prefix=100.80.0.0/16
            state.dir=/s/node/data
            template.debian=0123456789abcdef
            template.root=/c/templates
            tls.authority=/s/ca/ca.pem
            tls.certificate=/s/node/tls.pem
            tls.key=/s/node/tls.key
            volume.root=/s/node/volumes
            """);
  }

  @Test
  void gateway() {
    assertThat(ServiceSettings.text(settings.of(MeshService.GATEWAY, DatabaseLogin.NONE)))
        .isEqualTo(
            """
            admin.listen=127.0.0.1:7431
            broker.address=127.0.0.1:7410
            control.listen=127.0.0.1:7430
            mesh.ports=7400-7483
            state.dir=/s/gateway/data
            tls.authority=/s/ca/ca.pem
            tls.certificate=/s/gateway/tls.pem
            tls.key=/s/gateway/tls.key
            """);
  }

  /** Nothing by which the mesh would know it: it comes as its callers do. */
  @Test
  void edge() {
    assertThat(ServiceSettings.text(settings.of(MeshService.EDGE, DatabaseLogin.NONE)))
        .isEqualTo(
            """
            admin.listen=127.0.0.1:7481
            api.address=127.0.0.1:7400
            broker.address=127.0.0.2:7411
            listen=127.0.0.1:7480
            ports.listen=127.0.0.1:7482
            ssh.host-key=/s/edge/data/ssh_host_ed25519_key
            ssh.listen=127.0.0.1:7483
            tls.authority=/s/ca/ca.pem
            """);
  }

  @Test
  void gatewayAndBrokerReadCopiesOfTheOperatorsFiles() {
    ServiceSettings with =
        new ServiceSettings(
            TestOptions.with(
                Optional.of(Path.of("/root/ca.pem")),
                Optional.of(Path.of("/root/hosts")),
                Map.of()));
    assertThat(with.of(MeshService.GATEWAY, DatabaseLogin.NONE))
        .containsEntry("upstream.ca-file", "/s/gateway/upstream-ca.pem")
        .containsEntry("hosts.file", "/s/gateway/hosts");
    assertThat(with.of(MeshService.BROKER, LOGIN))
        .containsEntry("oauth.ca-file", "/s/broker/upstream-ca.pem")
        .containsEntry("oauth.hosts-file", "/s/broker/hosts");
  }

  @Test
  void anOverrideReachesItsServiceAlone() {
    ServiceSettings with =
        new ServiceSettings(
            TestOptions.with(
                Optional.empty(),
                Optional.empty(),
                Map.of("broker.policy.lease", "10s", "node.slots.max", "4")));
    assertThat(with.of(MeshService.BROKER, LOGIN))
        .containsEntry("policy.lease", "10s")
        .doesNotContainKey("slots.max");
    assertThat(with.of(MeshService.NODE, DatabaseLogin.NONE)).containsEntry("slots.max", "4");
  }

  @Test
  void theTextIsReadBackAsItWas() throws Exception {
    Properties read = new Properties();
    read.load(new StringReader(ServiceSettings.text(Map.of("a.b", "c:\\d e=f"))));
    assertThat(read).containsExactly(Map.entry("a.b", "c:\\d e=f"));
  }

  @Test
  void helper() {
    assertThat(settings.helper(995, 994))
        .isEqualTo(
            "{\"mesh\":\"cfd\",\"socket\":\"/s/run/helper.sock\",\"agent_uid\":995,\"agent_gid\":994,\"slot_prefix\":\"100.80.0.0/16\",\"sandbox_root\":\"/s/node/sandboxes\",\"template_root\":\"/c/templates\",\"image_root\":\"/c/images\",\"made_image_root\":\"/s/node/images\",\"volume_root\":\"/s/node/volumes\",\"link_root\":\"/s/run/links\",\"vmm_uid_base\":70000,\"max_slots\":250,\"qemu\":\"/usr/bin/qemu-system-x86_64\",\"cloud_hypervisor\":\"/usr/bin/cloud-hypervisor\"}\n");
  }
}
