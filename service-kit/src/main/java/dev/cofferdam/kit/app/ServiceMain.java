package dev.cofferdam.kit.app;

import dev.cofferdam.kit.config.ConfigException;
import dev.cofferdam.kit.config.Settings;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Runs one service from its start to SIGTERM: {@code <service> --config FILE}. */
public final class ServiceMain {
  /** The wiring of a service. What it returns is closed at the end. */
  @FunctionalInterface
  public interface Application {
    AutoCloseable start(Settings settings) throws Exception;
  }

  private static final int USAGE = 64;
  private static final int CONFIG = 78;
  private static final int FAILED = 70;

  private ServiceMain() {}

  /**
   * Shuts the process's memory to others first. Exit status as sysexits(3): 64 for a wrong command
   * line, 78 for a configuration that cannot be used, 70 when the service cannot start.
   */
  public static void run(String service, String[] args, Application application) {
    OwnMemory.shut();
    int status = tryRun(service, args, application, System.getenv(), System.err);
    if (status != 0) {
      System.exit(status);
    }
  }

  static int tryRun(
      String service,
      String[] args,
      Application application,
      Map<String, String> environment,
      PrintStream errors) {
    if (args.length != 2 || !args[0].equals("--config")) {
      errors.println("usage: " + service + " --config FILE");
      return USAGE;
    }
    Logger log = LoggerFactory.getLogger(ServiceMain.class);
    try {
      AutoCloseable running =
          application.start(Settings.load(service, Path.of(args[1]), environment));
      CountDownLatch ended = new CountDownLatch(1);
      Runtime.getRuntime()
          .addShutdownHook(
              Thread.ofPlatform()
                  .name("shutdown")
                  .unstarted(() -> {
                    try {
                      running.close();
                    } catch (Exception e) {
                      log.atWarn().setMessage("close_failed").setCause(e).log();
                    }
                    log.atInfo().setMessage("service_stopped").log();
                    ended.countDown();
                  }));
      log.atInfo().setMessage("service_started").addKeyValue("service", service).log();
      ended.await();
      return 0;
    } catch (ConfigException e) {
      errors.println(service + ": the configuration cannot be used\n" + e.getMessage());
      return CONFIG;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return FAILED;
    } catch (Exception e) {
      log.atError().setMessage("start_failed").setCause(e).log();
      errors.println(service + " cannot start: " + e.getMessage());
      return FAILED;
    }
  }
}
