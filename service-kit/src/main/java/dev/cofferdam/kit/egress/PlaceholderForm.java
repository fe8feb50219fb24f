package dev.cofferdam.kit.egress;

/**
 * What a placeholder is known by, wherever it stands and whatever stands before and behind it: a
 * mark, and behind it what nobody can guess. The two are its core; it is kept and compared by the
 * core's hash.
 */
public enum PlaceholderForm {
  /** The usual one, all of the placeholder: 43 of base62 are 256 bits. */
  USUAL("cofferdam_", 43),
  /** Where a secret's owner wants letters and digits alone: 26 of base62 are 154 bits. */
  ALPHANUMERIC("c0fferdam", 26),
  /** In lower-case hexadecimal digits: 32 of them are 128 bits. */
  HEX("c0ffe2da5e", 32);

  private static final String BASE62 =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

  private final String mark;
  private final int tail;

  PlaceholderForm(String mark, int tail) {
    this.mark = mark;
    this.tail = tail;
  }

  /** Lower case. */
  public String mark() {
    return mark;
  }

  /** How many characters behind the mark nobody can guess. */
  public int tail() {
    return tail;
  }

  /** Of mark and tail. */
  public int length() {
    return mark.length() + tail;
  }

  /** What the tail is made of. */
  public String alphabet() {
    return this == HEX ? BASE62.substring(0, 10) + "abcdef" : BASE62;
  }

  /** The form of a core; the usual one for what is none. */
  public static PlaceholderForm of(String core) {
    for (PlaceholderForm form : values()) {
      if (core.length() == form.length() && core.startsWith(form.mark)) {
        return form;
      }
    }
    return USUAL;
  }

  /**
   * A whole placeholder. What a shape wants more than a core has says nothing: it repeats the tail.
   *
   * @param length of all of it, at least that of prefix and core
   */
  public static String whole(String prefix, String core, int length) {
    PlaceholderForm form = of(core);
    StringBuilder whole = new StringBuilder(length).append(prefix).append(core);
    for (int i = 0; whole.length() < length; i++) {
      whole.append(core.charAt(form.mark.length() + i % form.tail));
    }
    return whole.toString();
  }
}
