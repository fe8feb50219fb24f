package dev.cofferdam.broker.sign;

import static org.assertj.core.api.Assertions.assertThat;

import dev.cofferdam.broker.secret.SecretValue;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** By what AWS published: its test suite for Version 4, and the examples in the pages of S3. */
final class Aws4Test {
  private static final String EMPTY =
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

  private static String[] sign(Aws4.Input input, String credential) {
    try (SecretValue value =
            SecretValue.copyOf(
                MemorySegment.ofArray(credential.getBytes(StandardCharsets.US_ASCII)));
        SecretValue signed = Aws4.sign(input, value)) {
      return new String(signed.segment().toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII)
          .split("\n", -1);
    }
  }

  private static List<Aws4.Header> headers(String lines) {
    List<Aws4.Header> headers = new ArrayList<>();
    for (String line : lines.split("\\|", -1)) {
      headers.add(
          new Aws4.Header(
              line.substring(0, line.indexOf(':')), line.substring(line.indexOf(':') + 1)));
    }
    return headers;
  }

  @ParameterizedTest
  @CsvSource(
      textBlock =
          """
          GET, /, '', 5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31
          GET, '', '', 5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31
          GET, /?Param2=value2&Param1=value1, '', b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500
          POST, /, '', 5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b
          GET, /-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz, '', 07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f
          GET, //example//, '', 9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84
          GET, /?%E1%88%B4=bar, '', 2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04
          GET, /, |my-header1: value1|my-header2: "a   b   c" , acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736
          """)
  void theTestSuite(String method, String target, String more, String signature) {
    String[] signed =
        sign(
            new Aws4.Input(
                method,
                target,
                headers("host:example.amazonaws.com|x-amz-date:20150830T123600Z" + more),
                EMPTY,
                "20150830T123600Z",
                "us-east-1",
                "service"),
            "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    assertThat(signed).containsExactly("AKIDEXAMPLE", signature, "");
  }

  /** The suite's post-sts-header-after adds the token unsigned, its -before signs it. */
  @Test
  void theSessionTokenIsSigned() {
    String token =
        "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGd"
            + "QrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU"
            + "9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz"
            + "+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
    String[] signed =
        sign(
            new Aws4.Input(
                "POST",
                "/",
                headers("host:example.amazonaws.com|x-amz-date:20150830T123600Z"),
                EMPTY,
                "20150830T123600Z",
                "us-east-1",
                "service"),
            "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:" + token);
    assertThat(signed)
        .containsExactly(
            "AKIDEXAMPLE",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            token);
  }

  @ParameterizedTest
  @CsvSource(
      textBlock =
          """
          GET, /test.txt, |range:bytes=0-9, e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41
          PUT, /test%24file.text, '|date:Fri, 24 May 2013 00:00:00 GMT|x-amz-storage-class:REDUCED_REDUNDANCY', 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072, 98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd
          GET, /?lifecycle, '', e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543
          GET, /?max-keys=2&prefix=J, '', e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, 34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7
          """)
  void theExamplesOfS3(
      String method, String target, String more, String payload, String signature) {
    String[] signed =
        sign(
            new Aws4.Input(
                method,
                target,
                headers(
                    "host:examplebucket.s3.amazonaws.com|x-amz-date:20130524T000000Z"
                        + "|x-amz-content-sha256:"
                        + payload
                        + more),
                payload,
                "20130524T000000Z",
                "us-east-1",
                "s3"),
            "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    assertThat(signed).containsExactly("AKIAIOSFODNN7EXAMPLE", signature, "");
  }
}
