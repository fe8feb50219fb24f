package dev.cofferdam.broker.secret;

import static dev.cofferdam.broker.Refused.assertRefused;
import static dev.cofferdam.broker.secret.SecretStoreContract.value;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.cofferdam.v1.ErrorReason;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SecretValueTest {
  @Test
  void itSaysItsLengthAndNothingElse() {
    try (SecretValue value = value("sk-0123456789abcdef")) {
      assertThat(value).hasToString("SecretValue[19 bytes]");
      assertThat(value.hashCode()).isEqualTo(System.identityHashCode(value));
    }
  }

  @Test
  void nothingGivesItsBytesAsAnArrayOrText() {
    assertThat(Arrays.stream(SecretValue.class.getMethods()))
        .noneMatch(method -> method.getReturnType() == byte[].class)
        .filteredOn(method -> method.getReturnType() == String.class)
        .extracting(java.lang.reflect.Method::getName)
        .containsExactly("toString");
    assertThat(java.io.Serializable.class.isAssignableFrom(SecretValue.class)).isFalse();
  }

  @Test
  void itsMemoryIsNativeAndDeadOnceClosed() {
    SecretValue value = value("sk-0123456789abcdef");
    MemorySegment memory = value.segment();
    assertThat(memory.isNative()).isTrue();
    value.close();
    value.close();
    assertThatThrownBy(() -> memory.get(ValueLayout.JAVA_BYTE, 0))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void itLivesUntilTheLastOfItsOwnersHasClosed() {
    SecretValue original = value("sk-0123456789abcdef");
    MemorySegment memory = original.segment();
    try (SecretValue another = original.another();
        SecretValue same = value("sk-0123456789abcdef")) {
      original.close();
      original.close();
      assertThat(another.sameAs(same)).isTrue();
      assertThatThrownBy(() -> original.at(0)).isInstanceOf(IllegalStateException.class);
      SecretValue later = another.another();
      later.close();
      assertThat(another.sameAs(same)).isTrue();
    }
    assertThatThrownBy(() -> memory.get(ValueLayout.JAVA_BYTE, 0))
        .isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(original::another).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void sixteenBytesAreEnough() {
    try (SecretValue enough = value("0123456789abcdef")) {
      assertThatCode(() -> SecretRules.checkValue(enough, false)).doesNotThrowAnyException();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "0", "0123456789abcde"})
  void shorterOnesAreNot(String text) {
    try (SecretValue value = value(text)) {
      assertRefused(
          () -> SecretRules.checkValue(value, false),
          ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID);
    }
  }

  @Test
  void weakOnesMayBeShortButNotEmpty() {
    try (SecretValue one = value("x");
        SecretValue none = value("")) {
      assertThatCode(() -> SecretRules.checkValue(one, true)).doesNotThrowAnyException();
      assertRefused(
          () -> SecretRules.checkValue(none, true), ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"\r", "\n", "\0"})
  void lineEndsAndNulAreRefusedWhereverTheyStand(String forbidden) {
    for (String text :
        new String[] {
          forbidden + "0123456789abcdef",
          "0123456789" + forbidden + "abcdef",
          "0123456789abcdef" + forbidden
        }) {
      try (SecretValue value = value(text)) {
        assertThatThrownBy(() -> SecretRules.checkValue(value, true))
            .hasMessageNotContaining("0123")
            .satisfies(e ->
                assertRefused(
                    () -> {
                      throw e;
                    },
                    ErrorReason.ERROR_REASON_SECRET_VALUE_INVALID));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "Api", "1st", "-a", "a_b", "a.b", "sk-live-0123456789ABCDEF"})
  void aNameIsCheckedAndNeverToldInFull(String name) {
    assertRefused(() -> SecretRules.checkName(name), ErrorReason.ERROR_REASON_INVALID_ARGUMENT);
    if (name.length() > 8) {
      assertThatThrownBy(() -> SecretRules.checkName(name)).hasMessageNotContaining(name);
    }
  }
}
