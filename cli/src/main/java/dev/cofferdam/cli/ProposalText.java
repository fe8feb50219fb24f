package dev.cofferdam.cli;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.JsonFormat;
import dev.cofferdam.v1.PolicyProposal;
import dev.cofferdam.v1.ProposedRule;
import dev.cofferdam.v1.RefusedTraffic;
import java.util.Locale;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;

/** A proposal as a policy file, with what a reader has to know of it as comments. */
final class ProposalText {
  private static final String REASON = "EGRESS_REASON_";

  private ProposalText() {}

  static String of(String sandbox, PolicyProposal proposal) {
    StringBuilder text = new StringBuilder();
    comment(
        text,
        "Proposed for %s from %d requests that no rule matched."
            .formatted(sandbox, proposal.getRequests()));
    int kept = proposal.getPolicy().getRulesCount() - proposal.getRulesCount();
    if (kept > 0) {
      comment(text, "Rules 1 to %d are those that it has.".formatted(kept));
    }
    int number = kept;
    for (ProposedRule rule : proposal.getRulesList()) {
      comment(text, line(++number, rule));
    }
    if (proposal.getRequestsLeftOut() > 0) {
      comment(
          text,
          "%d requests more are left out: there is no room for rules for them."
              .formatted(proposal.getRequestsLeftOut()));
    }
    if (proposal.getIncomplete()) {
      comment(text, "Incomplete: there are more events than were read.");
    }
    if (proposal.getRefusedCount() > 0) {
      comment(text, "Still refused:");
    }
    proposal.getRefusedList().forEach(refused -> comment(text, "  " + line(refused)));
    return text + yaml(proposal);
  }

  private static String line(int number, ProposedRule rule) {
    String line =
        "Rule %d: %d requests to %s"
            .formatted(number, rule.getRequests(), rule.getRule().getHost());
    if (rule.getHostsCount() > 0) {
      line += " (" + String.join(", ", rule.getHostsList()) + ")";
    }
    if (rule.getSecretsCount() > 0) {
      line += ", with the secrets " + String.join(", ", rule.getSecretsList());
    }
    return rule.getNote().isEmpty() ? line : line + "; " + rule.getNote();
  }

  private static String line(RefusedTraffic refused) {
    String place = refused.getHost().isEmpty() ? "others" : refused.getHost();
    if (refused.getPort() != 0) {
      place += ":" + refused.getPort();
    }
    String method = refused.getMethod().isEmpty() ? "" : refused.getMethod() + " ";
    String reason = refused.getReason().name().toLowerCase(Locale.ROOT);
    return "%s%s %s %s, %d times"
        .formatted(
            method,
            place,
            refused.getProtocol(),
            reason.substring(REASON.length()),
            refused.getCount());
  }

  /** In one line, whatever a guest put into a host or a method. */
  private static void comment(StringBuilder text, String line) {
    text.append("# ").append(line.replaceAll("[^\\x20-\\x7e]", "?")).append('\n');
  }

  private static String yaml(PolicyProposal proposal) {
    try {
      String json = JsonFormat.printer().preservingProtoFieldNames().print(proposal.getPolicy());
      // JSON is YAML.
      Object fields = new Load(LoadSettings.builder().build()).loadFromString(json);
      return new Dump(DumpSettings.builder().setDefaultFlowStyle(FlowStyle.AUTO).build())
          .dumpToString(fields);
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalStateException("a policy cannot be written", e);
    }
  }
}
