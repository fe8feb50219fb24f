package dev.cofferdam.edge.session;

import com.fasterxml.jackson.databind.JsonNode;
import dev.cofferdam.edge.protocol.CallError;
import dev.cofferdam.edge.protocol.Params;
import dev.cofferdam.edge.protocol.SdkError;
import io.grpc.StatusException;

/** What a call does, on a thread of its own. */
@FunctionalInterface
public interface Method {
  /**
   * @return what stands as {@code ok} in the answer
   */
  JsonNode call(Params params) throws CallError, SdkError, StatusException, InterruptedException;
}
