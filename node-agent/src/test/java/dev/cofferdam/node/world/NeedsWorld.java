package dev.cofferdam.node.world;

import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;

/** For tests that run with node-helper and an image. Unlike JUnit's own, classes inherit it. */
@Inherited
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@EnabledIfSystemProperty(
    named = "cofferdam.world",
    matches = ".+",
    disabledReason = "needs node-helper and an image: testkit/nested/run.sh brings both")
@interface NeedsWorld {}
