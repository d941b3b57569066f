//! What is measured is right, what is shown exists, and every alert fires for its fault and for nothing else.

mod faults;
mod figures;
mod rules;
mod scraped;
mod shop;
