//! Everything that needs all of Glyph at once: the world with every part running, the demo that walks the main
//! job in it, the measures whose result is a figure. The tests of `tests/all` use the same world.
//!
//! Nothing in here is part of what is shipped, and nothing in here decides what Glyph does: the two programs
//! run as users run them, and are looked at from outside only.

pub mod arguments;
pub mod caller;
pub mod checkout;
pub mod cluster;
pub mod demo;
pub mod flow;
pub mod measures;
pub mod report;
pub mod resources;
pub mod scrape;
pub mod story;
pub mod world;
