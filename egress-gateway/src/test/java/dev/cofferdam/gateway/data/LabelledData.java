package dev.cofferdam.gateway.data;

import dev.cofferdam.v1.DataDetector;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Texts that hold data of a kind, and others that only look like it. Made anew each time, always
 * the same: none is anybody's, and none stands in the repository.
 */
public final class LabelledData {
  /** Of each row. */
  private static final int TEXTS = 40;

  private static final String LOWER = "abcdefghijklmnopqrstuvwxyz";
  private static final String DIGITS = "0123456789";
  private static final String BASE62 = LOWER + LOWER.toUpperCase(java.util.Locale.ROOT) + DIGITS;
  private static final String BASE64 = BASE62 + "+/";

  /** Parts of numbers that regulators keep for fiction, with which libphonenumber agrees. */
  private static final List<String> PHONES =
      List.of("+49 30 23125", "+44 20 7946 0", "+1 202-555-0", "+33 1 99 00 ", "+4930231250");

  /**
   * @param name as the table has it
   * @param detector of the rule that it is tried on
   * @param holds whether there is something to be found
   */
  public record Row(String name, DataDetector detector, boolean holds, List<String> texts) {}

  private final Random random = new Random(20_25);

  private LabelledData() {}

  public static List<Row> rows() {
    return new LabelledData().make();
  }

  private List<Row> make() {
    List<Row> rows = new ArrayList<>();
    rows.add(row("keys and tokens", DataDetector.DATA_DETECTOR_CREDENTIALS, this::credential));
    rows.add(row("private keys", DataDetector.DATA_DETECTOR_PRIVATE_KEYS, this::privateKey));
    rows.add(row("card numbers", DataDetector.DATA_DETECTOR_CARD_NUMBERS, i -> card(i, "")));
    rows.add(
        row(
            "card numbers in groups",
            DataDetector.DATA_DETECTOR_CARD_NUMBERS,
            i -> card(i, i % 2 == 0 ? " " : "-")));
    rows.add(row("mail addresses", DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES, this::mail));
    rows.add(row("IBANs", DataDetector.DATA_DETECTOR_IBANS, this::iban));
    rows.add(row("phone numbers with +", DataDetector.DATA_DETECTOR_PHONE_NUMBERS, i -> phone(i)));
    rows.add(
        row(
            "phone numbers of one country",
            DataDetector.DATA_DETECTOR_PHONE_NUMBERS,
            i -> phone(i).replaceFirst("^\\+(49|44|33|1) ?", "0")));
    rows.add(
        row(
            "mail addresses, written out",
            DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES,
            i -> mail(i).replace("@", " at ").replace(".", " dot ")));
    lookAlikes()
        .forEach((name, texts) -> rows.add(new Row(name, texts.detector, false, texts.all)));
    return rows;
  }

  private record Texts(DataDetector detector, List<String> all) {}

  private Map<String, Texts> lookAlikes() {
    Map<String, Texts> rows = new LinkedHashMap<>();
    rows.put(
        "hashes of commits, UUIDs, digests in base64",
        texts(
            DataDetector.DATA_DETECTOR_CREDENTIALS,
            i -> i % 2 == 0 ? text(DIGITS + "abcdef", 40) : text(BASE64, 43) + "="));
    rows.put(
        "prefixes of keys alone, in words and in prose",
        texts(
            DataDetector.DATA_DETECTOR_CREDENTIALS,
            i ->
                List.of("AKIA is a prefix", "task-proj-" + text(LOWER, 45), "npm_config_registry")
                    .get(i % 3)));
    rows.put(
        "public keys and certificates",
        texts(
            DataDetector.DATA_DETECTOR_PRIVATE_KEYS,
            i -> armour(i % 2 == 0 ? "PUBLIC KEY" : "CERTIFICATE", text(BASE64, 300))));
    rows.put(
        "numbers of 16 digits (one in ten has a right check digit)",
        texts(DataDetector.DATA_DETECTOR_CARD_NUMBERS, i -> text(DIGITS, 16)));
    rows.put(
        "times in nanoseconds, fractions, identifiers",
        texts(
            DataDetector.DATA_DETECTOR_CARD_NUMBERS,
            i ->
                List.of(
                        "17" + text(DIGITS, 17),
                        "0." + text(DIGITS, 16),
                        "id_" + card(i, ""),
                        text(DIGITS, 8) + "-" + text(DIGITS, 4) + "-" + text(DIGITS, 4))
                    .get(i % 4)));
    rows.put(
        "versions of packages, images, annotations",
        texts(
            DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES,
            i ->
                List.of("lodash@4.17.21", "icon@2x.png", "@scope/name@1.0.0", "@Override public")
                    .get(i % 4)));
    rows.put(
        "addresses of repositories (git@github.com:a/b)",
        texts(
            DataDetector.DATA_DETECTOR_EMAIL_ADDRESSES,
            i -> "git@github.com:" + text(LOWER, 5) + "/" + text(LOWER, 5) + ".git"));
    rows.put(
        "IBANs with a wrong check digit, identifiers",
        texts(
            DataDetector.DATA_DETECTOR_IBANS,
            i -> {
              String iban = iban(i);
              return iban.substring(0, 2)
                  + (char) ('0' + (iban.charAt(2) - '0' + 1) % 10)
                  + iban.substring(3);
            }));
    rows.put(
        "sums, ranges, offsets of time zones",
        texts(
            DataDetector.DATA_DETECTOR_PHONE_NUMBERS,
            i ->
                List.of("1+" + text(DIGITS, 9), "2026-01-01T00:00:00+01:00", "+12", "+000 000 000")
                    .get(i % 4)));
    return rows;
  }

  private Row row(String name, DataDetector detector, Function<Integer, String> make) {
    Texts texts = texts(detector, make);
    return new Row(name, detector, true, texts.all);
  }

  private Texts texts(DataDetector detector, Function<Integer, String> make) {
    return new Texts(detector, IntStream.range(0, TEXTS).mapToObj(make::apply).toList());
  }

  private String text(String alphabet, int length) {
    StringBuilder text = new StringBuilder();
    random.ints(length, 0, alphabet.length()).forEach(i -> text.append(alphabet.charAt(i)));
    return text.toString();
  }

  private String credential(int i) {
    String word = BASE62 + "_-";
    List<String> all =
        Stream.of(
                "AKIA" + text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16),
                "aws_secret_access_key = " + text(BASE64, 40),
                "ghp_" + text(BASE62, 36),
                "github_pat_" + text(BASE62, 22) + "_" + text(BASE62, 59),
                "glpat-" + text(word, 20),
                "AIza" + text(word, 35),
                "sk_live_" + text(BASE62, 24),
                "xoxb-" + text(DIGITS, 12) + "-" + text(BASE62, 24),
                "sk-ant-api03-" + text(word, 93) + "AA",
                "sk-proj-" + text(word, 120),
                "npm_" + text(BASE62, 36),
                "SG." + text(word, 22) + "." + text(word, 43),
                "AccountKey=" + text(BASE64, 86) + "==",
                "dop_v1_" + text(DIGITS + "abcdef", 64),
                "hf_" + text(BASE62, 34),
                "eyJ" + text(word, 30) + ".eyJ" + text(word, 60) + "." + text(word, 43))
            .toList();
    return all.get(i % all.size());
  }

  private String privateKey(int i) {
    String kind = List.of("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ").get(i % 5);
    return armour(kind + "PRIVATE KEY", text(BASE64, 300 + 40 * i));
  }

  private static String armour(String label, String text) {
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n"
        .formatted(label, text.replaceAll(".{64}", "$0\n"), label);
  }

  private String card(int i, String between) {
    String begin = List.of("4", "53", "2221", "37", "6011", "3530").get(i % 6);
    int length = begin.equals("37") ? 15 : 16;
    String digits = begin + text(DIGITS, length - 1 - begin.length());
    int sum = 0;
    for (int at = digits.length() - 1, place = 1; at >= 0; at--, place++) {
      int digit = (digits.charAt(at) - '0') * (place % 2 + 1);
      sum += digit > 9 ? digit - 9 : digit;
    }
    String card = digits + (10 - sum % 10) % 10;
    return between.isEmpty()
        ? card
        : card.replaceFirst(
            length == 15 ? "(.{4})(.{6})(.{5})" : "(.{4})(.{4})(.{4})(.{4})",
            length == 15
                ? "$1" + between + "$2" + between + "$3"
                : "$1" + between + "$2" + between + "$3" + between + "$4");
  }

  private String mail(int i) {
    return text(LOWER, 1 + i % 7)
        + List.of(".", "+", "_", "").get(i % 4)
        + text(LOWER + DIGITS, 3)
        + "@"
        + text(LOWER, 8)
        + List.of(".com", ".co.uk", ".example.org", ".de").get(i % 4);
  }

  private String iban(int i) {
    String country = List.of("DE", "AT", "NL", "GB", "NO", "FR").get(i % 6);
    String account =
        switch (country) {
          case "DE" -> text(DIGITS, 18);
          case "AT" -> text(DIGITS, 16);
          case "NL" -> "ABNA" + text(DIGITS, 10);
          case "GB" -> "NWBK" + text(DIGITS, 14);
          case "NO" -> text(DIGITS, 11);
          default -> text(DIGITS, 23);
        };
    int rest = 0;
    for (char c : (account + country + "00").toCharArray()) {
      int value = Character.digit(c, 36);
      rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
    }
    String iban = "%s%02d%s".formatted(country, 98 - rest, account);
    return i % 2 == 0 ? iban : iban.replaceAll(".{4}(?!$)", "$0 ");
  }

  private String phone(int i) {
    String begin = PHONES.get(i % PHONES.size());
    return begin
        + text(DIGITS, begin.startsWith("+33") ? 4 : begin.equals("+4930231250") ? 2 : 3)
            .replaceAll("^(..)(..)$", "$1 $2");
  }
}
