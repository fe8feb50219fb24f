package dev.cofferdam.gateway.data;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Keys and tokens by the forms that their issuers publish, for the scanners of code hosting among
 * others: a prefix and a run of certain characters.
 */
final class CredentialForms implements Detector {
  /**
   * @param prefix right after something that is no letter or digit
   * @param between how many blanks, quotes, colons and equals signs may follow the prefix
   * @param characters of the run, behind which none of them may follow
   */
  private record Form(String prefix, int between, Characters characters, int least, int most) {}

  private enum Characters {
    ALPHANUMERIC,
    IDENTIFIER,
    WORD,
    DOTTED,
    HEX,
    BASE32,
    BASE64;

    boolean has(int c) {
      return switch (this) {
        case ALPHANUMERIC -> Text.alphanumeric(c);
        case IDENTIFIER -> Text.alphanumeric(c) || c == '_';
        case WORD -> Text.alphanumeric(c) || c == '_' || c == '-';
        case DOTTED -> Text.alphanumeric(c) || c == '_' || c == '-' || c == '.';
        case HEX -> Text.digit(c) || (c >= 'a' && c <= 'f');
        case BASE32 -> Text.upper(c) || (c >= '2' && c <= '7');
        case BASE64 -> Text.alphanumeric(c) || c == '+' || c == '/';
      };
    }
  }

  /**
   * Where a run ends, remembered, for many prefixes may stand in one run and none of them makes it
   * be read again.
   */
  private static final class Run {
    private final Characters characters;
    private int from;
    private int end;

    /** Behind the last that is no full stop: one at the end is the sentence's. */
    private int trimmed;

    Run(Characters characters) {
      this.characters = characters;
    }

    void read(Text text, int begin) {
      if (begin >= from && begin < end) {
        return;
      }
      int at = begin;
      int last = begin;
      while (characters.has(text.at(at))) {
        if (at == from && end > from) {
          last = trimmed > from ? trimmed : last;
          at = end;
        } else {
          last = text.at(at) == '.' ? last : at + 1;
          at++;
        }
      }
      from = begin;
      end = at;
      trimmed = last;
    }
  }

  /** Of one text. */
  private static final class Runs {
    private final Map<Characters, Run> runs = new EnumMap<>(Characters.class);
    private final Run[] parts = {
      new Run(Characters.WORD), new Run(Characters.WORD), new Run(Characters.WORD)
    };

    int trimmed(Text text, int begin, Characters characters) {
      Run run = runs.computeIfAbsent(characters, Run::new);
      run.read(text, begin);
      return Math.max(begin, run.trimmed);
    }

    /** RFC 7515: whether three parts end there, of which the first two are JSON objects. */
    boolean token(Text text, int from, int end) {
      int at = from;
      for (int part = 0; part < parts.length; part++) {
        if (part == 1 && !starts(text, at, JWT)) {
          return false;
        }
        parts[part].read(text, at);
        int behind = Math.max(at, parts[part].end);
        if (part == 2) {
          return behind == end && behind - at >= LEAST_SIGNATURE;
        }
        if (text.at(behind) != '.') {
          return false;
        }
        at = behind + 1;
      }
      return false;
    }
  }

  private static final int LONG = 1 << 20;
  private static final String JWT = "eyJ";
  private static final int LEAST_SIGNATURE = 20;

  private static final List<Form> FORMS =
      List.of(
          // AWS: identifiers of keys; the key itself by the name that stands before it.
          form("AKIA", Characters.BASE32, 16, 16),
          form("ASIA", Characters.BASE32, 16, 16),
          new Form("aws_secret_access_key", 8, Characters.BASE64, 40, 40),
          new Form("AWS_SECRET_ACCESS_KEY", 8, Characters.BASE64, 40, 40),
          new Form("SecretAccessKey", 8, Characters.BASE64, 40, 40),
          // Google.
          form("AIza", Characters.WORD, 35, 35),
          form("GOCSPX-", Characters.WORD, 28, 28),
          form("ya29.", Characters.DOTTED, 30, LONG),
          // Azure's storage and the other services with connection strings.
          form("AccountKey=", Characters.BASE64, 86, 86),
          form("SharedAccessKey=", Characters.BASE64, 43, 43),
          form("dop_v1_", Characters.HEX, 64, 64),
          form("doo_v1_", Characters.HEX, 64, 64),
          form("dor_v1_", Characters.HEX, 64, 64),
          form("hvs.", Characters.WORD, 24, LONG),
          form("hvb.", Characters.WORD, 24, LONG),
          // Code hosting and registries of packages.
          form("ghp_", Characters.ALPHANUMERIC, 36, 251),
          form("gho_", Characters.ALPHANUMERIC, 36, 251),
          form("ghu_", Characters.ALPHANUMERIC, 36, 251),
          form("ghs_", Characters.ALPHANUMERIC, 36, 251),
          form("ghr_", Characters.ALPHANUMERIC, 36, 251),
          form("github_pat_", Characters.IDENTIFIER, 82, 82),
          form("glpat-", Characters.DOTTED, 20, 300),
          form("npm_", Characters.ALPHANUMERIC, 36, 36),
          form("pypi-", Characters.WORD, 50, LONG),
          form("dckr_pat_", Characters.WORD, 27, 27),
          // Models.
          form("sk-ant-", Characters.WORD, 32, LONG),
          form("sk-proj-", Characters.WORD, 40, LONG),
          form("sk-svcacct-", Characters.WORD, 40, LONG),
          form("sk-", Characters.ALPHANUMERIC, 48, 48),
          form("hf_", Characters.ALPHANUMERIC, 34, 37),
          // Payment, shops, mail, chats.
          form("sk_live_", Characters.ALPHANUMERIC, 16, 247),
          form("rk_live_", Characters.ALPHANUMERIC, 16, 247),
          form("sk_test_", Characters.ALPHANUMERIC, 16, 247),
          form("rk_test_", Characters.ALPHANUMERIC, 16, 247),
          form("whsec_", Characters.BASE64, 32, 64),
          form("shpat_", Characters.HEX, 32, 32),
          form("SG.", Characters.DOTTED, 66, 66),
          form("xoxb-", Characters.WORD, 20, 300),
          form("xoxp-", Characters.WORD, 20, 300),
          form("xoxa-", Characters.WORD, 20, 300),
          form("xoxr-", Characters.WORD, 20, 300),
          form("xoxs-", Characters.WORD, 20, 300),
          form("xapp-", Characters.WORD, 20, 300),
          form("glsa_", Characters.IDENTIFIER, 32, 64),
          form(JWT, Characters.DOTTED, 40, LONG));

  private static final Form[][] BY_FIRST = new Form[256][];

  static {
    for (int first = 0; first < BY_FIRST.length; first++) {
      List<Form> forms = new ArrayList<>();
      for (Form form : FORMS) {
        if (form.prefix().charAt(0) == first) {
          forms.add(form);
        }
      }
      BY_FIRST[first] = forms.toArray(Form[]::new);
    }
  }

  private static Form form(String prefix, Characters characters, int least, int most) {
    return new Form(prefix, 0, characters, least, most);
  }

  @Override
  public Optional<Match> next(Text text, int from) {
    Runs runs = new Runs();
    for (int at = from; at < text.length(); at++) {
      Form[] forms = BY_FIRST[text.at(at)];
      if (forms.length > 0 && !Text.alphanumeric(text.at(at - 1))) {
        for (Form form : forms) {
          int end = end(text, at, form, runs);
          if (end > 0) {
            return Optional.of(new Match(at, end));
          }
        }
      }
    }
    return Optional.empty();
  }

  /** Negative for none. */
  private static int end(Text text, int at, Form form, Runs runs) {
    if (!starts(text, at, form.prefix())) {
      return -1;
    }
    int begin = at + form.prefix().length();
    for (int skipped = 0; skipped < form.between() && between(text.at(begin)); skipped++) {
      begin++;
    }
    int end = runs.trimmed(text, begin, form.characters());
    int length = end - begin;
    boolean fits = length >= form.least() && length <= form.most();
    return fits && (!form.prefix().equals(JWT) || runs.token(text, at, end)) ? end : -1;
  }

  private static boolean starts(Text text, int at, String word) {
    for (int i = 0; i < word.length(); i++) {
      if (text.at(at + i) != word.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  private static boolean between(int c) {
    return c == ' ' || c == '\t' || c == '"' || c == '\'' || c == ':' || c == '=' || c == '>';
  }
}
