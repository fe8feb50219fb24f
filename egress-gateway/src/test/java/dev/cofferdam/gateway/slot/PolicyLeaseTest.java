package dev.cofferdam.gateway.slot;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class PolicyLeaseTest {
  /** {@link System#nanoTime} is anything, negative too, and runs over. */
  @Test
  void itEndsByTheTimeThatPassedAndNoClockThatIsSet() {
    AtomicLong nanos = new AtomicLong(Long.MAX_VALUE - Duration.ofMinutes(1).toNanos());
    PolicyLease lease = new PolicyLease(nanos::get);
    lease.renew(Duration.ofMinutes(2));

    nanos.addAndGet(Duration.ofMinutes(2).toNanos());
    assertThat(nanos).hasNegativeValue();
    assertThat(lease.expired()).isFalse();
    nanos.incrementAndGet();
    assertThat(lease.expired()).isTrue();

    lease.renew();
    assertThat(lease.expired()).isFalse();
  }

  @Test
  void beforeTheFirstWordItIsTenMinutes() {
    AtomicLong nanos = new AtomicLong();
    PolicyLease lease = new PolicyLease(nanos::get);
    nanos.set(Duration.ofMinutes(10).toNanos());
    assertThat(lease.expired()).isFalse();
    nanos.incrementAndGet();
    assertThat(lease.expired()).isTrue();
  }
}
