//! The options that say in what form records are written.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use jiff::tz::TimeZone;
use supd_core::cli::{self, Usage};
use supd_core::words::counted;

use super::aligned::Aligned;
use super::columns::Columns;
use super::csv::Csv;
use super::json::Json;
use super::logfmt::Logfmt;
use super::ndjson::Ndjson;
use super::paint::Color;
use super::rows::Rows;
use super::table::{self, Table};
use super::template::{Clock, Template};
use super::text::Text;
use super::tsv::Tsv;
use super::visible::Visible;
use super::zone::{self, Times};
use super::{Format, sheet};
use crate::text_file::TextFile;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputOptions {
    /// Form of the output; text on a terminal and ndjson otherwise, unless given
    #[arg(long, value_enum, value_name = "FORM")]
    to: Option<To>,

    /// Keys to write, in this order: any that records have, and title, subject, what and severity, which are made of
    /// any record
    #[arg(long, value_name = "KEY,…")]
    fields: Option<Columns>,

    /// MiniJinja template of a record's line, such as '{{ time }} {{ title }}'
    ///
    /// It knows the record's keys, and title, subject, what, severity, emoji, text (log text, or what a digest lists)
    /// and time (local, or in --tz). A newline is added where it does not end in one.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "template_file")]
    template: Option<String>,

    /// File that holds the template
    #[arg(long, value_name = "FILE")]
    template_file: Option<TextFile>,

    /// Time zone: UTC, local, a name such as Europe/Berlin, or an offset such as +02:00
    ///
    /// Text and tables show local time unless it is given; csv, tsv, logfmt and a template's ts are in UTC unless it is
    /// given; ndjson and json always are.
    #[arg(long, value_name = "ZONE", value_parser = zone::parse, allow_hyphen_values = true)]
    tz: Option<TimeZone>,

    /// Colours in text and tables
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    color: Color,

    /// Leave out the heading of csv, tsv and table
    #[arg(long)]
    no_header: bool,

    /// csv and tsv for spreadsheets: text that one would take for a formula (=, +, -, @ first) begins with an apostrophe
    #[arg(long)]
    safe: bool,

    /// Items that a template did not fit.
    #[arg(skip)]
    failures: Arc<AtomicU64>,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum To {
    /// One JSON object a line
    Ndjson,
    /// One JSON array, for other programs: we read back ndjson only
    Json,
    /// Comma-separated values, for spreadsheets and databases
    Csv,
    /// Values between tabs, a record a line, for cut, sort and awk
    Tsv,
    /// key=value pairs
    Logfmt,
    /// Lines for people
    Text,
    /// Columns for people
    Table,
    /// What --template makes of each record
    Template,
}

impl OutputOptions {
    /// The form that was asked for. Values that are no records may come from a stage before.
    ///
    /// # Errors
    /// [`Usage`] for options that the form has no use for, and for a template that cannot work; when its file cannot be
    /// read.
    pub(crate) fn format(&self, of_values: bool) -> anyhow::Result<Box<dyn Format>> {
        let terminal = io::stdout().is_terminal();
        let to = self.form(terminal);
        self.refuse_what_is_of_no_use(to)?;
        let columns = self.fields.clone();
        let rows = |usual, times| Rows::new(columns.clone(), usual, of_values, times);
        let sheet = || rows(&sheet::USUAL, self.exact());
        let paint = self.color.paint();
        let civil = Times::Civil(self.zone());
        let format: Box<dyn Format> = match to {
            To::Ndjson => Box::new(Ndjson { columns }),
            To::Json => Box::new(Json::new(columns)),
            To::Csv => Box::new(Csv::new(sheet(), !self.no_header, self.safe)),
            To::Tsv => Box::new(Tsv::new(sheet(), !self.no_header, self.safe)),
            To::Logfmt => Box::new(Logfmt { columns, times: self.exact() }),
            To::Text => match columns {
                Some(columns) => Box::new(Aligned::new(columns, civil, paint)),
                None => Box::new(Text::new(paint, civil, terminal)),
            },
            To::Table => {
                let room = terminal.then(table::terminal_width).flatten();
                let is_narrow = room.is_some_and(|room| room < table::ROOMY);
                let times = if is_narrow { Times::Short(self.zone()) } else { civil };
                Box::new(Table::new(rows(&table::USUAL, times), paint, !self.no_header, room))
            }
            To::Template => Box::new(self.compile(terminal, of_values)?),
        };
        Ok(match to {
            To::Ndjson | To::Json | To::Csv | To::Logfmt if terminal => {
                Box::new(Visible::new(format, &['\n']))
            }
            To::Tsv if terminal => Box::new(Visible::new(format, &['\n', '\t'])),
            _ => format,
        })
    }

    /// The zone in which times are meant and shown: `--tz`, or the machine's.
    pub(crate) fn zone(&self) -> TimeZone {
        self.tz.clone().unwrap_or_else(TimeZone::system)
    }

    /// What is left to say at the end, and the status that comes of it.
    pub(crate) fn status(&self) -> u8 {
        let unmet = self.fields.as_ref().map(Columns::never_met).unwrap_or_default();
        if !unmet.is_empty() {
            log::warn!("--fields: no record had '{}'", unmet.join("', '"));
        }
        match self.failures.load(Ordering::Relaxed) {
            0 => cli::DONE,
            failures => {
                log::error!("template: {} skipped that it does not fit", counted(failures, "record"));
                cli::FAILED
            }
        }
    }

    fn form(&self, terminal: bool) -> To {
        let implied = match (self.has_template(), terminal) {
            (true, _) => To::Template,
            (false, true) => To::Text,
            (false, false) => To::Ndjson,
        };
        self.to.unwrap_or(implied)
    }

    fn has_template(&self) -> bool {
        self.template.is_some() || self.template_file.is_some()
    }

    fn refuse_what_is_of_no_use(&self, to: To) -> anyhow::Result<()> {
        let is_sheet = matches!(to, To::Csv | To::Tsv);
        for (is_given, is_of_use, why) in [
            (self.safe, is_sheet, "--safe is for --to csv and --to tsv"),
            (self.no_header, is_sheet || to == To::Table, "--no-header is for --to csv, tsv and table"),
            (self.has_template(), to == To::Template, "a template is for --to template"),
            (to == To::Template, self.has_template(), "--to template: give --template or --template-file"),
            (self.fields.is_some(), to != To::Template, "--fields: a template says itself what it shows"),
        ] {
            if is_given && !is_of_use {
                bail!(Usage(why.to_owned()));
            }
        }
        Ok(())
    }

    fn compile(&self, terminal: bool, of_values: bool) -> anyhow::Result<Template> {
        let source = match &self.template_file {
            Some(file) => file.text("template file")?.to_owned(),
            None => self.template.clone().unwrap_or_default(),
        };
        let clock = Clock { exact: self.exact(), zone: self.zone() };
        Template::compile(source, terminal, of_values, clock, Arc::clone(&self.failures))
    }

    /// How programs are shown times.
    fn exact(&self) -> Times {
        self.tz.clone().map_or(Times::AsIs, Times::Rfc3339)
    }
}
