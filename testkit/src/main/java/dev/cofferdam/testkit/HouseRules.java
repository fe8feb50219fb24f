package dev.cofferdam.testkit;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.util.List;
import java.util.Map;

/**
 * The rules of structure that hold for every service, each checked against its compiled classes.
 *
 * <p>A service calls {@link #check} from one test of its own.
 */
public final class HouseRules {
  private static final String ROOT = "dev.cofferdam.";
  private static final List<String> SERVICES =
      List.of("scheduler", "node", "broker", "gateway", "edge");

  private HouseRules() {}

  /**
   * Throws an AssertionError that names every place where a rule is broken.
   *
   * @param service the service's package under {@code dev.cofferdam}
   * @param vendors packages of a vendor's client, and the one package of the service that may touch
   *     each
   */
  public static void check(String service, Map<String, String> vendors) {
    JavaClasses classes =
        new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages(ROOT + service);
    if (classes.isEmpty()) {
      throw new AssertionError("no classes in " + ROOT + service);
    }
    noOtherService(service).check(classes);
    onlyApiServes(service).check(classes);
    noMutableStatics().check(classes);
    noAmbientTime().check(classes);
    noCycles(service).check(classes);
    vendors.forEach((vendor, owner) -> onlyIn(vendor, ROOT + service + "." + owner).check(classes));
  }

  private static ArchRule noOtherService(String service) {
    String[] others =
        SERVICES.stream()
            .filter(other -> !other.equals(service))
            .map(other -> ROOT + other + "..")
            .toArray(String[]::new);
    return noClasses()
        .should()
        .dependOnClassesThat(resideInAnyPackage(others))
        .because("services share the contract and the kit, nothing else");
  }

  private static ArchRule onlyApiServes(String service) {
    return noClasses()
        .that()
        .resideOutsideOfPackages(ROOT + service + ".api..", ROOT + service)
        .should()
        .dependOnClassesThat()
        .haveSimpleNameEndingWith("ImplBase")
        .because("only api packages touch generated server classes");
  }

  private static ArchRule noMutableStatics() {
    return noFields()
        .that()
        .areStatic()
        .should()
        .notHaveModifier(JavaModifier.FINAL)
        .because("state belongs to an object that somebody made and closes");
  }

  private static ArchRule noAmbientTime() {
    return noClasses()
        .should()
        .callMethod(java.time.Instant.class, "now")
        .orShould()
        .callMethod(System.class, "currentTimeMillis")
        .because("time comes from an InstantSource that the wiring hands in");
  }

  private static ArchRule noCycles(String service) {
    return slices()
        .matching(ROOT + service + ".(*)..")
        .should()
        .beFreeOfCycles()
        .allowEmptyShould(true)
        .as("packages of " + service + " depend on each other in one direction");
  }

  private static ArchRule onlyIn(String vendor, String owner) {
    return noClasses()
        .that()
        .resideOutsideOfPackage(owner + "..")
        .should()
        .dependOnClassesThat(resideInAnyPackage(vendor + ".."))
        .because("only " + owner + " knows this vendor");
  }
}
