//! What the supd tools share: supervisord's eventlistener protocol (both sides, without I/O), its events as
//! NDJSON records, and the manners of the command line.
//!
//! The protocol modules (`wire`, `decoder`, `partial`, `listener`, `supervisor`, `event`, `record`, `member`,
//! `json`, `kind`, `fields`, `flat`, `moment`, `recent`) take bytes and give values: they never read a file descriptor or a clock.

pub mod ancestry;
pub mod append;
pub mod arguments;
pub mod children;
pub mod cli;
pub mod decoder;
pub mod describe;
pub mod digest;
pub mod event;
pub mod exit_status;
pub mod family;
pub mod fields;
pub mod flat;
pub mod gaps;
pub mod input;
pub mod interruption;
pub mod json;
pub mod kind;
pub mod listener;
mod member;
pub mod moment;
mod partial;
pub mod pattern;
pub mod reader;
pub mod recent;
pub mod record;
pub mod replace;
pub mod seen;
pub mod signals;
pub mod spool;
pub mod stdio;
pub mod supervisor;
pub mod template;
pub mod wire;
pub mod words;

pub use decoder::{Decoded, Decoder, LenMode};
pub use event::{Event, Payload};
pub use kind::{EventPattern, Kind, State};
pub use record::Record;
pub use wire::{Header, LenUnit, ProtocolError};
