package dev.cofferdam.kit.app;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * Shuts this process's memory to all others of its user, ptrace(2) and {@code /proc/PID/mem} alike,
 * and to core dumps, those into a pipe included: PR_SET_DUMPABLE of prctl(2). Root with
 * CAP_SYS_PTRACE is not kept out. What the process starts has memory of its own, which is not shut.
 */
public final class OwnMemory {
  /** Of linux/prctl.h. */
  private static final int GET_DUMPABLE = 3;

  private static final int SET_DUMPABLE = 4;

  private OwnMemory() {}

  /**
   * @throws IllegalStateException when the kernel does not do it: then nothing may be kept here
   */
  public static void shut() {
    if (prctl(SET_DUMPABLE) != 0 || !isShut()) {
      throw new IllegalStateException("the kernel does not shut this process's memory to others");
    }
  }

  public static boolean isShut() {
    return prctl(GET_DUMPABLE) == 0;
  }

  private static int prctl(int option) {
    Linker linker = Linker.nativeLinker();
    MethodHandle prctl =
        linker.downcallHandle(
            linker.defaultLookup().findOrThrow("prctl"),
            FunctionDescriptor.of(
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_INT,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG,
                ValueLayout.JAVA_LONG),
            Linker.Option.firstVariadicArg(1));
    try {
      return (int) prctl.invokeExact(option, 0L, 0L, 0L, 0L);
    } catch (Throwable e) {
      throw new IllegalStateException("prctl(2) cannot be called", e);
    }
  }
}
