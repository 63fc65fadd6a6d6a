//! The four programs as a person meets them: in a shell, under supd-mock, and under real supervisord.

mod harness;

mod bench;
mod captures;
mod chaos;
mod check;
mod config;
mod consumer;
mod delivery;
mod differential;
mod grouping;
mod heartbeat;
mod lint;
mod listen;
mod mail;
mod metrics;
mod mock;
mod notify;
mod outage;
mod parse;
mod play;
mod print_config;
mod replay;
mod retry;
mod secrets;
mod select;
mod spool;
mod spool_command;
mod stop;
mod supervisord;
mod targets;
mod test_message;
mod track;
mod wake;
mod wording;
