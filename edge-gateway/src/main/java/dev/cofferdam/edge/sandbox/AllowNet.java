package dev.cofferdam.edge.sandbox;

import dev.cofferdam.edge.protocol.HttpError;
import dev.cofferdam.v1.EgressPolicy;
import dev.cofferdam.v1.EgressRule;
import dev.cofferdam.v1.RuleAction;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * {@code allowNet} as a policy: {@code host}, {@code *.host} or an IPv4 address, each with {@code
 * :port} or for 443 and 80. What is none of them the broker refuses.
 */
final class AllowNet {
  private static final Pattern ENTRY = Pattern.compile("([^:/]{1,255})(?::([0-9]{1,5}))?");
  private static final Pattern ADDRESS = Pattern.compile("[0-9]{1,3}(\\.[0-9]{1,3}){3}");

  private AllowNet() {}

  static EgressPolicy policy(List<String> entries) throws HttpError {
    EgressPolicy.Builder policy = EgressPolicy.newBuilder();
    for (String entry : entries) {
      policy.addRules(rule(entry));
    }
    return policy.build();
  }

  private static EgressRule rule(String entry) throws HttpError {
    Matcher matcher = ENTRY.matcher(entry);
    if (!matcher.matches()) {
      throw HttpError.invalid(
          "INVALID_ALLOW_NET",
          "allowNet has '%s', expected host, *.host or an IPv4 address, with or without :port"
              .formatted(entry));
    }
    EgressRule.Builder rule = EgressRule.newBuilder().setAction(RuleAction.RULE_ACTION_ALLOW);
    String host = matcher.group(1).toLowerCase(Locale.ROOT);
    boolean address = ADDRESS.matcher(host).matches();
    if (address) {
      rule.setCidr(host + "/32");
    } else {
      rule.setHost(host);
    }
    if (matcher.group(2) != null) {
      rule.addPorts(Integer.parseInt(matcher.group(2)));
    } else if (address) {
      rule.addPorts(443).addPorts(80);
    }
    return rule.build();
  }
}
