package dev.cofferdam.scheduler.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.kit.error.Refusal;
import dev.cofferdam.scheduler.sandbox.SandboxSize;
import dev.cofferdam.scheduler.template.Template;
import dev.cofferdam.scheduler.template.TemplateState;
import dev.cofferdam.scheduler.volume.Volume;
import dev.cofferdam.scheduler.volume.VolumeState;
import dev.cofferdam.v1.CreateSandboxRequest;
import dev.cofferdam.v1.ErrorReason;
import dev.cofferdam.v1.TemplateSource;
import java.time.Instant;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class DiskRequestsTest {
  private static final Volume.Base OLD = new Volume.Base("web", "tp-aaaaaaaaaaaaaaaaaaaa");

  /** Changes on top of another image would be changes to other files. */
  @Test
  void aTemplateThatWasMadeAnewUnderItsNameIsAnother() {
    Volume volume = volume(Optional.of(OLD));
    assertThat(DiskRequests.base(volume, Optional.of(template("tp-aaaaaaaaaaaaaaaaaaaa"))))
        .isEqualTo(OLD);
    refused(volume, Optional.of(template("tp-bbbbbbbbbbbbbbbbbbbb")));
    // The tenant's is gone, and the operator has one of that name.
    refused(volume, Optional.empty());
    Volume operators = volume(Optional.of(new Volume.Base("debian", "debian")));
    assertThat(DiskRequests.base(operators, Optional.empty()).offer()).isEqualTo("debian");
    // The tenant has made one that hides it.
    refused(operators, Optional.of(template("tp-bbbbbbbbbbbbbbbbbbbb")));
    refused(volume(Optional.empty()), Optional.empty());
  }

  @Test
  void oneOfTwoWaysNamesTheVolume() {
    CreateSandboxRequest attached =
        CreateSandboxRequest.newBuilder().putVolumes("/", "disk").putVolumes("/x", "data").build();
    CreateSandboxRequest copied = CreateSandboxRequest.newBuilder().setDiskSource("disk").build();
    assertThat(DiskRequests.volume(attached)).contains("disk");
    assertThat(DiskRequests.source(attached)).isEmpty();
    assertThat(DiskRequests.volume(copied)).contains("disk");
    assertThat(DiskRequests.volume(CreateSandboxRequest.getDefaultInstance())).isEmpty();
    assertThatThrownBy(() ->
            DiskRequests.check(
                copied.toBuilder().setSnapshot("sn-aaaaaaaaaaaaaaaaaaaa").build(),
                volume(Optional.of(OLD)),
                "web",
                new SandboxSize(1, 512, 128)))
        .hasMessageContaining("snapshot and disk_source");
  }

  private static void refused(Volume volume, Optional<Template> own) {
    assertThatThrownBy(() -> DiskRequests.base(volume, own))
        .isInstanceOfSatisfying(
            Refusal.class,
            refusal ->
                assertThat(refusal.reason())
                    .isEqualTo(ErrorReason.ERROR_REASON_VOLUME_NOT_BOOTABLE));
  }

  private static Volume volume(Optional<Volume.Base> base) {
    return new Volume(
        "vol-aaaaaaaaaaaaaaaaaaaa",
        "acme",
        "disk",
        128,
        "n1",
        Optional.empty(),
        base,
        Instant.EPOCH,
        new VolumeState.Ready(Optional.empty()));
  }

  private static Template template(String id) {
    return new Template(
        id,
        "acme",
        "web",
        TemplateSource.getDefaultInstance(),
        new SandboxSize(1, 512, 128),
        "",
        TemplateState.READY,
        "",
        "",
        Instant.EPOCH);
  }
}
