//! The controllers: for each kind, how its world is observed and how its actions are done. What to do is
//! `glyph_operator_core`'s.

pub mod api_key;
pub mod customer;
pub mod glyph_api;
pub mod grant;
mod offer;
pub mod pack;
pub mod purchase;
pub mod subscription;
pub mod tier;
