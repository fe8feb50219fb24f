package dev.cofferdam.broker.api;

import io.grpc.MethodDescriptor;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import io.grpc.ServiceDescriptor;
import java.util.LinkedHashMap;
import java.util.Map;

/** A generated service with some of its methods bound by hand. */
final class HandBound {
  private HandBound() {}

  /**
   * @param own methods under the names of generated ones, whose place they take
   */
  static ServerServiceDefinition replace(
      ServerServiceDefinition generated, ServerMethodDefinition<?, ?>... own) {
    Map<String, ServerMethodDefinition<?, ?>> methods = new LinkedHashMap<>();
    generated.getMethods().forEach(method -> methods.put(name(method), method));
    for (ServerMethodDefinition<?, ?> method : own) {
      if (methods.put(name(method), method) == null) {
        throw new IllegalArgumentException("the service has no method " + name(method));
      }
    }
    ServiceDescriptor.Builder descriptor =
        ServiceDescriptor.newBuilder(generated.getServiceDescriptor().getName())
            .setSchemaDescriptor(generated.getServiceDescriptor().getSchemaDescriptor());
    methods.values().forEach(method -> descriptor.addMethod(method.getMethodDescriptor()));
    ServerServiceDefinition.Builder definition =
        ServerServiceDefinition.builder(descriptor.build());
    methods.values().forEach(definition::addMethod);
    return definition.build();
  }

  static <Q, A> ServerMethodDefinition<Q, A> method(
      MethodDescriptor<Q, A> descriptor, ClosingUnary.Method<Q, A> method) {
    return ServerMethodDefinition.create(descriptor, new ClosingUnary<>(method));
  }

  private static String name(ServerMethodDefinition<?, ?> method) {
    return method.getMethodDescriptor().getFullMethodName();
  }
}
