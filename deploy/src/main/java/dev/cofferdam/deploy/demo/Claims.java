package dev.cofferdam.deploy.demo;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.MethodDescriptor;
import dev.cofferdam.cli.ClientSettings;
import dev.cofferdam.v1.AuditEvent;
import dev.cofferdam.v1.AuditEventType;
import dev.cofferdam.v1.EgressReason;
import dev.cofferdam.v1.PutSecretRequest;
import dev.cofferdam.v1.Verdict;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.random.RandomGenerator;

/** The nine claims. Each method shows one and returns what was seen, or throws. */
final class Claims {
  static final String BOUND = "api.echo.test";
  static final String ALLOWED = "other.echo.test";
  static final String DENIED = "denied.echo.test";
  private static final String SECRET = "api-key";
  private static final String BEARER = "-H \"Authorization: Bearer $API_KEY\" ";

  /** Prints the status and the gateway's reason in place of the body. */
  private static final String VERDICT =
      "-o /dev/null -w \"%{http_code} %header{cofferdam-reason}\" ";

  /** IPv6 is off in the guest, so its frame is made by hand. */
  private static final String PACKETS =
      """
      python3 - <<'END'
      import socket
      for address in (("203.0.113.66", 9), ("198.51.100.1", 53), ("203.0.113.66", 443)):
          socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"probe", address)
      s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
      s.bind(("eth0", 0))
      header = bytes((0x60, 0, 0, 0, 0, 8, 17, 64)) + bytes(15) + b"\\1" + bytes.fromhex("20010db8") + bytes(11) + b"\\1"
      s.send(b"\\xff" * 6 + s.getsockname()[4] + b"\\x86\\xdd" + header + bytes((0, 9, 0, 9, 0, 8, 0, 0)))
      END
      """;

  private final ClientSettings settings;
  private final Machine machine;
  private final User user;
  private final InstantSource clock;
  private final String value;
  private final long marker;
  private String sandbox = "";
  private String placeholder = "";
  private long virtualMachine;

  Claims(
      ClientSettings settings,
      DemoWorld world,
      User user,
      InstantSource clock,
      RandomGenerator random) {
    this.settings = settings;
    this.machine =
        new Machine(
            world.layout(),
            world.stageScript(),
            world.stage(),
            world.upstream().resolve("requests.jsonl"));
    this.user = user;
    this.clock = clock;
    byte[] bytes = new byte[20];
    random.nextBytes(bytes);
    this.value = "sk-demo-" + HexFormat.of().formatHex(bytes);
    this.marker = random.nextLong(1_000_000_000L, 9_000_000_000L);
  }

  String secretGoesIn() throws ClaimFailed {
    User.Answer put = user.pipes(value + "\n", " < key", "secret", "put", SECRET, "--host", BOUND);
    put.ok();
    ClaimFailed.unless(!put.contains(value), "the answer shows the value");
    User.Answer list = user.types("secret", "ls");
    ClaimFailed.unless(list.ok().contains(SECRET), "the list is: " + list.out());
    ClaimFailed.unless(!list.contains(value), "the list shows the value");
    List<MethodDescriptor> methods =
        PutSecretRequest.getDescriptor().getFile().findServiceByName("SecretService").getMethods();
    for (MethodDescriptor method : methods) {
      for (FieldDescriptor field : fields(method.getOutputType(), new HashSet<>())) {
        ClaimFailed.unless(
            field.getType() != FieldDescriptor.Type.BYTES, field.getFullName() + " could hold it");
      }
    }
    return "listed by name and host; none of the %d calls has an answer that could hold a value"
        .formatted(methods.size());
  }

  /** Those of the messages in it too. */
  private static List<FieldDescriptor> fields(Descriptor message, Set<Descriptor> seen) {
    List<FieldDescriptor> found = new ArrayList<>();
    if (seen.add(message)) {
      for (FieldDescriptor field : message.getFields()) {
        found.add(field);
        if (field.getType() == FieldDescriptor.Type.MESSAGE) {
          found.addAll(fields(field.getMessageType(), seen));
        }
      }
    }
    return found;
  }

  String sandboxIsVirtualMachine() throws ClaimFailed, IOException {
    Instant begin = clock.instant();
    sandbox =
        user.types(
                "sandbox",
                "create",
                "--allow-net",
                BOUND,
                "--allow-net",
                ALLOWED,
                "--secret",
                SECRET)
            .ok();
    long millis = Duration.between(begin, clock.instant()).toMillis();
    for (String file : List.of("/proc/sys/kernel/random/boot_id", "/proc/cmdline")) {
      String inside = user.types("sandbox", "exec", sandbox, "--", "cat", file).ok();
      String outside = Files.readString(Path.of(file)).strip();
      ClaimFailed.unless(
          !inside.isEmpty() && !inside.equals(outside), file + " is the host's: " + inside);
    }
    inSandbox("sleep " + marker + " </dev/null >/dev/null 2>&1 &").ok();
    String inside =
        quietlyInSandbox("grep -laz '^" + marker + "$' /proc/[0-9]*/cmdline | wc -l").ok();
    ClaimFailed.unless(!inside.equals("0"), "the process does not run inside either");
    Set<Long> outside = machine.processesNaming(Long.toString(marker));
    ClaimFailed.unless(outside.isEmpty(), "the host sees the guest's process as " + outside);
    Set<Long> machines = machine.machines(sandbox);
    ClaimFailed.unless(machines.size() == 1, "its virtual machine is one of " + machines);
    virtualMachine = machines.iterator().next();
    return "created in %d ms; another kernel; its process is in no process table of the host"
        .formatted(millis);
  }

  String placeholderInside() throws ClaimFailed {
    placeholder = inSandbox("echo $API_KEY").ok();
    ClaimFailed.unless(
        placeholder.length() >= 16 && !placeholder.contains(value), "it is " + placeholder);
    return placeholder;
  }

  String substitution() throws ClaimFailed, IOException {
    int before = machine.received().size();
    String answer = curl(BEARER + "https://" + BOUND + "/headers").ok();
    List<String> received = since(before);
    ClaimFailed.unless(
        received.size() == 1 && received.getFirst().contains("[\"Bearer " + value + "\"]"),
        "the upstream received %d requests, the key in %d"
            .formatted(received.size(), received.stream().filter(r -> r.contains(value)).count()));
    ClaimFailed.unless(!answer.contains(value), "the guest sees the key");
    ClaimFailed.unless(
        answer.contains("Bearer " + placeholder), "the guest got instead: " + answer);
    return "the upstream received the key, the guest sees its placeholder in the echo";
  }

  String refusedElsewhere() throws ClaimFailed, IOException {
    int before = machine.received().size();
    String url = "https://" + BOUND + "/echo";
    refused("in the body", "-d \"key=$API_KEY\" " + url, "403 placeholder_outside_target");
    refused("in User-Agent", "-A \"agent $API_KEY\" " + url, "403 placeholder_outside_target");
    refused("elsewhere", BEARER + "https://" + ALLOWED + "/", "403 placeholder_host_not_bound");
    List<String> received = since(before);
    ClaimFailed.unless(received.isEmpty(), "the upstream received " + received);
    return "403 placeholder_outside_target, twice, and placeholder_host_not_bound; the upstream"
        + " received nothing";
  }

  private void refused(String where, String options, String verdict) throws ClaimFailed {
    String seen = curl(VERDICT + options).ok();
    ClaimFailed.unless(seen.equals(verdict), where + ": " + seen + ", expected " + verdict);
  }

  String nothingElseLeaves() throws ClaimFailed, IOException {
    int receivedBefore = machine.received().size();
    int before = machine.unexpectedPackets();
    AuditRecord audit = new AuditRecord(settings, sandbox);
    for (String url :
        List.of(
            "https://" + DENIED + "/",
            "https://203.0.113.66/",
            "https://192.0.2.2:7400/",
            "https://169.254.0.22:7411/")) {
      User.Answer answer = curl(VERDICT + "-k -m 5 " + url);
      ClaimFailed.unless(
          answer.code() != 0 || answer.out().startsWith("403"), url + ": " + answer.out());
    }
    quietlyInSandbox(PACKETS).ok();
    audit.await("the name", e -> e.getHost().equals(DENIED) && denied(e));
    audit.await(
        "the raw address", e -> decision(e) && e.getPort() == 443 && e.getProtocol().equals("tls"));
    audit.await("the scheduler's port", e -> decision(e) && e.getPort() == 7400);
    audit.await("the broker's port", e -> drop(e) && e.getPort() == 7411);
    audit.await("UDP", e -> drop(e) && e.getProtocol().equals("udp") && e.getPort() == 9);
    audit.await("DNS", e -> drop(e) && e.getProtocol().equals("udp") && e.getPort() == 53);
    audit.await("IPv6", e -> drop(e) && e.getProtocol().equals("ipv6"));
    List<String> received = since(receivedBefore);
    ClaimFailed.unless(received.isEmpty(), "the upstream received " + received);
    int leaked = machine.unexpectedPackets() - before;
    ClaimFailed.unless(leaked == 0, leaked + " packets reached the uplink");
    return "a host, an address, UDP, IPv6, another DNS server, two ports of the mesh: 0 packets at"
        + " the uplink, 7 events";
  }

  String usesOnRecord() throws ClaimFailed, IOException {
    user.types("events", "--sandbox", sandbox).ok();
    AuditRecord audit = new AuditRecord(settings, sandbox);
    AuditEvent use = audit.await("the use", Claims::use);
    String seen =
        "%s %s https://%s:%d%s in %s"
            .formatted(
                use.getSecret(),
                use.getMethod(),
                use.getHost(),
                use.getPort(),
                use.getPath(),
                use.getTarget());
    String expected =
        "%s GET https://%s:443/headers in header:authorization".formatted(SECRET, BOUND);
    ClaimFailed.unless(seen.equals(expected), "recorded: " + seen);
    ClaimFailed.unless(use.getVerdict() == Verdict.VERDICT_ALLOWED, "its verdict is " + use);
    long uses = audit.events().stream().filter(Claims::use).count();
    ClaimFailed.unless(uses == 1, uses + " uses on record, there was 1");
    for (EgressReason reason :
        List.of(
            EgressReason.EGRESS_REASON_PLACEHOLDER_OUTSIDE_TARGET,
            EgressReason.EGRESS_REASON_PLACEHOLDER_HOST_NOT_BOUND)) {
      audit.await(reason.name(), e -> denied(e) && e.getReason() == reason);
    }
    ClaimFailed.unless(!audit.events().toString().contains(value), "the record holds the value");
    return seen + ": allowed; the refusals too; the value nowhere";
  }

  String withoutBroker() throws Exception {
    String seen =
        machine.without(
            "vault-broker",
            () ->
                curl(VERDICT + BEARER + "https://" + BOUND + "/headers").ok()
                    + "; without a secret "
                    + curl(VERDICT + "https://" + ALLOWED + "/headers").ok());
    ClaimFailed.unless(seen.equals("503 broker_unavailable; without a secret 200"), seen);
    boolean again =
        Machine.soon(() ->
            quietlyInSandbox("curl -s " + VERDICT + BEARER + "https://" + BOUND + "/headers")
                .out()
                .startsWith("200"));
    ClaimFailed.unless(again, "with the broker back, the secret still cannot be used");
    return seen + "; with the broker back: 200";
  }

  String nothingLeft() throws ClaimFailed, IOException {
    String gone = sandbox;
    ClaimFailed.unless(
        machine.hasFilesOf(gone) && machine.runs(virtualMachine), "there was nothing before");
    machine.markSlot(virtualMachine, gone);
    ClaimFailed.unless(machine.slotMarked(gone), "its slot was not to be seen before");
    user.types("sandbox", "rm", gone).ok();
    ClaimFailed.unless(Machine.soon(() -> !machine.hasFilesOf(gone)), "its files are there");
    ClaimFailed.unless(
        Machine.soon(() -> !machine.runs(virtualMachine)), "its virtual machine runs");
    ClaimFailed.unless(
        Machine.soon(() -> !machine.slotMarked(gone)), "its namespace and tap are there");
    int before = machine.received().size();
    // With the same secret: were the old grant alive, nothing else would stand in its way.
    sandbox = user.types("sandbox", "create", "--allow-net", BOUND, "--secret", SECRET).ok();
    String seen =
        curl(VERDICT + "-H \"Authorization: Bearer " + placeholder + "\" https://" + BOUND + "/")
            .ok();
    ClaimFailed.unless(seen.equals("403 placeholder_foreign"), "the placeholder: " + seen);
    ClaimFailed.unless(since(before).isEmpty(), "the upstream received something");
    String own = curl(VERDICT + BEARER + "https://" + BOUND + "/headers").ok();
    ClaimFailed.unless(own.equals("200"), "the new sandbox's own placeholder: " + own);
    user.types("sandbox", "rm", sandbox).ok();
    return "no process, tap, namespace or file; its placeholder in a new sandbox with the same"
        + " secret: %s, the new one's own: %s".formatted(seen, own);
  }

  private List<String> since(int before) throws IOException {
    List<String> all = machine.received();
    return all.subList(before, all.size());
  }

  private User.Answer curl(String options) {
    return inSandbox("curl -sm 20 " + options);
  }

  private User.Answer inSandbox(String script) {
    return user.types("sandbox", "exec", sandbox, "--", "sh", "-c", script);
  }

  private User.Answer quietlyInSandbox(String script) {
    return user.quietly("", "sandbox", "exec", sandbox, "--", "sh", "-c", script);
  }

  private static boolean denied(AuditEvent event) {
    return event.getVerdict() == Verdict.VERDICT_DENIED;
  }

  private static boolean decision(AuditEvent event) {
    return event.getType() == AuditEventType.AUDIT_EVENT_TYPE_DECISION && denied(event);
  }

  private static boolean drop(AuditEvent event) {
    return event.getType() == AuditEventType.AUDIT_EVENT_TYPE_DROP;
  }

  private static boolean use(AuditEvent event) {
    return event.getType() == AuditEventType.AUDIT_EVENT_TYPE_USE;
  }
}
