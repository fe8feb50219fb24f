package dev.cofferdam.gateway.dns;

import dev.cofferdam.gateway.event.Decisions;
import dev.cofferdam.gateway.event.Faults;
import dev.cofferdam.gateway.policy.Host;
import dev.cofferdam.gateway.slot.Slot;
import dev.cofferdam.gateway.slot.SlotTable;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.Verdict;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.dns.DefaultDnsRawRecord;
import io.netty.handler.codec.dns.DnsOpCode;
import io.netty.handler.codec.dns.DnsQuery;
import io.netty.handler.codec.dns.DnsQuestion;
import io.netty.handler.codec.dns.DnsRecord;
import io.netty.handler.codec.dns.DnsRecordType;
import io.netty.handler.codec.dns.DnsResponse;
import io.netty.handler.codec.dns.DnsResponseCode;
import io.netty.handler.codec.dns.DnsSection;
import java.net.InetAddress;
import java.util.Optional;

/**
 * Answers every query from what is known here. Nothing a guest asks is ever asked of anyone else,
 * so nothing can be told to the outside by asking.
 */
public final class DnsAnswers {
  /** An answer never changes within a lineage; short, so that a policy's change is soon seen. */
  private static final long TTL_SECONDS = 60;

  /** Of a lineage, while it learns. */
  public static final int MAX_LEARNED_NAMES = 4096;

  private final SlotTable slots;
  private final Decisions decisions;
  private final Faults faults;

  public DnsAnswers(SlotTable slots, Decisions decisions, Faults faults) {
    this.slots = slots;
    this.decisions = decisions;
    this.faults = faults;
  }

  Faults faults() {
    return faults;
  }

  /** Where the asker is; what comes from nowhere is recorded. */
  Optional<Slot> slot(InetAddress asker) {
    Optional<Slot> slot = slots.at(asker);
    if (slot.isEmpty()) {
      decisions.record(
          "",
          denied(EgressReason.EGRESS_REASON_UNKNOWN_SLOT, "")
              .setMessage("a DNS query from " + asker.getHostAddress()));
    }
    return slot;
  }

  /** Fills in the answer; empty when the asker is at no known slot and gets none. */
  Optional<DnsResponse> answer(DnsQuery query, InetAddress asker, DnsResponse answer) {
    Optional<Slot> slot = slot(asker);
    if (slot.isEmpty()) {
      return Optional.empty();
    }
    answer.setRecursionDesired(query.isRecursionDesired());
    answer.setRecursionAvailable(true);
    if (!query.opCode().equals(DnsOpCode.QUERY) || query.count(DnsSection.QUESTION) != 1) {
      return Optional.of(answer.setCode(DnsResponseCode.REFUSED));
    }
    DnsQuestion question = query.recordAt(DnsSection.QUESTION);
    answer.addRecord(DnsSection.QUESTION, question);
    return Optional.of(answer(slot.get(), question, answer));
  }

  private DnsResponse answer(Slot slot, DnsQuestion question, DnsResponse answer) {
    if (question.dnsClass() != DnsRecord.CLASS_IN) {
      return answer.setCode(DnsResponseCode.REFUSED);
    }
    Host host = Host.parse(question.name()).orElse(null);
    if (!(host instanceof Host.Name name) || !slot.attachment().policy().resolves(name)) {
      decisions.record(
          slot.attachment().tenant(),
          denied(EgressReason.EGRESS_REASON_NAME_NOT_ALLOWED, shown(question.name()))
              .setSandbox(slot.attachment().sandbox())
              .setLearning(slot.attachment().policy().learns())
              .setMessage("the policy allows no port of this name"));
      return answer.setCode(DnsResponseCode.NXDOMAIN);
    }
    DnsRecordType type = question.type();
    if (type.equals(DnsRecordType.A)) {
      return address(slot, name)
          .map(address ->
              answer.addRecord(
                  DnsSection.ANSWER,
                  (DnsRecord)
                      new DefaultDnsRawRecord(
                          question.name(),
                          DnsRecordType.A,
                          TTL_SECONDS,
                          Unpooled.wrappedBuffer(address.getAddress()))))
          .orElseGet(() -> answer.setCode(DnsResponseCode.SERVFAIL));
    }
    // Empty, for there is no IPv6, and a hint at keys or other ports would lead around the gateway.
    boolean empty =
        type.equals(DnsRecordType.AAAA) || type.intValue() == SVCB || type.intValue() == HTTPS;
    return empty ? answer : answer.setCode(DnsResponseCode.REFUSED);
  }

  /** A guest that is let ask for any name must not use up its lineage's addresses. */
  private Optional<InetAddress> address(Slot slot, Host.Name name) {
    if (!slot.attachment().policy().learned(name)) {
      return slot.names().addressOf(name);
    }
    Optional<InetAddress> address = slot.names().addressOf(name, MAX_LEARNED_NAMES);
    if (address.isEmpty()) {
      decisions.record(
          slot.attachment().tenant(),
          denied(EgressReason.EGRESS_REASON_TOO_MANY_NAMES, name.value())
              .setSandbox(slot.attachment().sandbox())
              .setLearning(true)
              .setMessage("more names were asked for than there are addresses in mode LEARN"));
    }
    return address;
  }

  /** RFC 9460. */
  private static final int SVCB = 64;

  private static final int HTTPS = 65;

  private static String shown(String name) {
    String printable = name.replaceAll("[^\\x21-\\x7e]", "?");
    return printable.endsWith(".") ? printable.substring(0, printable.length() - 1) : printable;
  }

  private static AuditEvent.Builder denied(EgressReason reason, String name) {
    return AuditEvent.newBuilder()
        .setVerdict(Verdict.VERDICT_DENIED)
        .setReason(reason)
        .setProtocol("dns")
        .setPort(53)
        .setHost(name);
  }
}
