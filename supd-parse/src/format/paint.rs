//! Colours, where they are wanted.

use std::io::{self, IsTerminal as _};

use supd_core::describe::Severity;

/// Whether to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless the variable NO_COLOR is set
    #[default]
    Auto,
    /// Into pipes and files too: less -R shows it
    Always,
    /// Nowhere
    Never,
}

impl Color {
    /// What it comes to here.
    pub(crate) fn paint(self) -> Paint {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Paint {
            on: match self {
                Self::Always => true,
                Self::Never => false,
                Self::Auto => io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb(),
            },
        }
    }
}

/// Puts text into colour, or leaves it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) on: bool,
}

impl Paint {
    /// For what stands beside what matters.
    pub(crate) fn subdued(self, text: &str) -> String {
        self.with("2", text)
    }

    /// For headings.
    pub(crate) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    /// As bad as it is.
    pub(crate) fn severity(self, severity: Severity, text: &str) -> String {
        match severity {
            Severity::Critical => self.with("1;31", text),
            Severity::Error => self.with("31", text),
            Severity::Warning => self.with("33", text),
            Severity::Good => self.with("32", text),
            Severity::Info => text.to_owned(),
        }
    }

    /// A cell of the column of this key: what says how bad it is stands out, when and where does not.
    pub(crate) fn cell(self, key: &str, severity: Severity, text: &str) -> String {
        match key {
            "ts" | "host" => self.subdued(text),
            "severity" | "what" | "title" | "eventname" => self.severity(severity, text),
            _ => text.to_owned(),
        }
    }

    fn with(self, attributes: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\x1b[{attributes}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
