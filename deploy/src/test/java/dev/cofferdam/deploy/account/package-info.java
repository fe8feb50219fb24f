@NullMarked
package dev.cofferdam.deploy.account;

import org.jspecify.annotations.NullMarked;
