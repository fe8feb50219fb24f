package dev.cofferdam.broker.ca;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.sealed.KeysetFile;
import dev.cofferdam.broker.sealed.Sealer;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@SuppressWarnings("NullAway.Init") // JUnit fills the fields
class RootReservoirTest {
  private static final int AHEAD = 32;

  private final AtomicInteger ids = new AtomicInteger();
  private Sealer sealer;
  private CertificateAuthority authority;

  @BeforeEach
  void begin(@TempDir Path directory) {
    SecureRandom random = new SecureRandom();
    sealer = new Sealer(KeysetFile.open(directory.resolve("keyset")), random);
    authority = new CertificateAuthority(sealer, InstantSource.system(), random);
  }

  private RootReservoir reservoir() {
    return new RootReservoir(authority, () -> "ln-" + ids.incrementAndGet());
  }

  private static void awaitFull(RootReservoir roots) {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (roots.size() < AHEAD) {
      assertThat(System.nanoTime()).as("the roots never came").isLessThan(end);
      LockSupport.parkNanos(1_000_000);
    }
  }

  @Test
  void eachRootIsTakenOnceAlsoWhenTheyAreTakenFasterThanTheyAreMade() throws Exception {
    try (RootReservoir roots = reservoir();
        var takers = Executors.newFixedThreadPool(4)) {
      awaitFull(roots);
      List<Callable<LineageRoot>> wanted = new ArrayList<>();
      for (int i = 0; i < 3 * AHEAD; i++) {
        wanted.add(() -> roots.take("acme"));
      }
      List<LineageRoot> taken = new ArrayList<>();
      for (Future<LineageRoot> one : takers.invokeAll(wanted)) {
        taken.add(one.get());
      }
      assertThat(taken).extracting(LineageRoot::lineage).doesNotHaveDuplicates();
      assertThat(taken).extracting(LineageRoot::certificate).doesNotHaveDuplicates();
    }
  }

  /** Its key is wiped with the sealing: of the copy that was taken, and not before. */
  @Test
  void whatIsTakenIsWholeAndSealedForItsTenantAndLineage() throws Exception {
    try (RootReservoir roots = reservoir()) {
      awaitFull(roots);
      LineageRoot root = roots.take("acme");
      byte[] key =
          sealer.openBytes(root.sealedKey().toByteArray(), "lineage", "acme", root.lineage());
      assertThat(key).isNotEqualTo(new byte[key.length]);
      assertThat(
              java.security.KeyFactory.getInstance("EC")
                  .generatePrivate(new java.security.spec.PKCS8EncodedKeySpec(key)))
          .isNotNull();
      assertThat(
              org.assertj.core.api.Assertions.catchThrowable(() ->
                  sealer.openBytes(
                      root.sealedKey().toByteArray(), "lineage", "other", root.lineage())))
          .isInstanceOf(java.security.GeneralSecurityException.class);
    }
  }

  @Test
  void afterItsEndThereIsNoneLeftAndNoThread() {
    RootReservoir roots = reservoir();
    awaitFull(roots);
    roots.close();
    int made = ids.get();
    assertThat(roots.size()).isZero();
    assertThat(Thread.getAllStackTraces().keySet())
        .noneMatch(thread -> thread.getName().equals("roots"));
    assertThat(ids.get()).isEqualTo(made);
  }
}
