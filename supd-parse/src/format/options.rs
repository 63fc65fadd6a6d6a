//! The options that say in what form records are written.

use std::io::{self, IsTerminal as _};

use super::{Format, json, ndjson, text};

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Form of the output; text on a terminal and ndjson otherwise, unless given
    #[arg(long, value_enum, value_name = "FORM")]
    to: Option<To>,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// One JSON object a line
    Ndjson,
    /// One JSON array, for other programs: we read back ndjson only
    Json,
    /// Lines for people
    Text,
}

impl OutputOptions {
    /// The form that was asked for.
    pub(crate) fn format(&self) -> Box<dyn Format> {
        let terminal = io::stdout().is_terminal();
        match self.to.unwrap_or(if terminal { To::Text } else { To::Ndjson }) {
            To::Ndjson => Box::new(ndjson::Ndjson),
            To::Json => Box::new(json::Json::default()),
            To::Text => Box::new(text::Text::new(
                terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
            )),
        }
    }
}
