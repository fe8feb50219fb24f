package dev.cofferdam.broker.audit;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

final class AuditTextsTest {
  @Test
  void whatTheDatabaseTakesStaysAsItIs() {
    for (String text : new String[] {"", "/v1/models", "größer als", "\ud83d\udd11 key"}) {
      assertThat(AuditTexts.line(text, 20)).isEqualTo(text);
    }
  }

  @Test
  void whatWouldBreakALineOrTheDatabaseIsReplaced() {
    assertThat(AuditTexts.line("a\nb\0c\u007fd\u0085e", 20)).isEqualTo("a?b?c?d?e");
    assertThat(AuditTexts.line("half \ud83d", 20)).isEqualTo("half ?");
    assertThat(AuditTexts.line("\udd11 other half", 20)).isEqualTo("? other half");
  }

  @Test
  void theLimitIsOfCharactersAsPeopleCountThem() {
    assertThat(AuditTexts.line("abcdef", 3)).isEqualTo("abc");
    assertThat(AuditTexts.line("\ud83d\udd11\ud83d\udd11\ud83d\udd11", 2))
        .isEqualTo("\ud83d\udd11\ud83d\udd11");
  }
}
