//! The words of messages for people: those that templates make, where somebody has given any.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use supd_core::cli::Usage;
use supd_core::words::shortened;

use crate::args::heading::WORDING;
use crate::parcel::Parcel;
use crate::template::{Escape, Template};

/// The longest title, in characters.
const MAX_TITLE: usize = 1_000;
/// The longest body.
const MAX_BODY: usize = 10_000;

/// What was asked for.
#[derive(Debug, Clone, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[group(skip)]
pub(crate) struct Options {
    /// MiniJinja template of the title, for channels that people read
    ///
    /// It knows the record's keys, and title, text, severity, emoji, facts (of label and value) and lately; of several
    /// events count, first_ts, last_ts and events.
    #[arg(long, value_name = "TEMPLATE", global = true, help_heading = WORDING)]
    title: Option<String>,

    /// File that holds it
    #[arg(long, value_name = "FILE", global = true, help_heading = WORDING, hide_short_help = true)]
    title_file: Option<PathBuf>,

    /// Template of what stands below the title, instead of facts and log text
    #[arg(long, value_name = "TEMPLATE", global = true, help_heading = WORDING)]
    body: Option<String>,

    /// File that holds it
    #[arg(long, value_name = "FILE", global = true, help_heading = WORDING, hide_short_help = true)]
    body_file: Option<PathBuf>,
}

impl Options {
    /// These, and where they say nothing, the others.
    pub(crate) fn or(self, other: &Self) -> Self {
        let has_title = self.title.is_some() || self.title_file.is_some();
        let has_body = self.body.is_some() || self.body_file.is_some();
        let titles = if has_title { &self } else { other };
        let bodies = if has_body { &self } else { other };
        Self {
            title: titles.title.clone(),
            title_file: titles.title_file.clone(),
            body: bodies.body.clone(),
            body_file: bodies.body_file.clone(),
        }
    }

    /// For a channel that has no use for them.
    ///
    /// # Errors
    /// [`Usage`] when there are any; it says what there is instead.
    pub(crate) fn refuse(&self, channel: &str, instead: &str) -> anyhow::Result<()> {
        let Self { title, title_file, body, body_file } = self;
        if title.is_some() || title_file.is_some() || body.is_some() || body_file.is_some() {
            bail!(Usage(format!("{channel}: it has no title and body to give templates for: {instead}")));
        }
        Ok(())
    }
}

/// The words of a channel. Where it has none of its own for something, the usual ones are to be used.
#[derive(Default)]
pub(crate) struct Wording {
    title: Option<Words>,
    body: Option<Words>,
}

impl Wording {
    /// Compiles what was asked for; values will be escaped like this.
    ///
    /// # Errors
    /// [`Usage`] for a template that cannot work; when a file cannot be read.
    pub(crate) fn compile(options: &Options, escape: Escape) -> anyhow::Result<Self> {
        let words = |what, template: &Option<String>, file: &Option<PathBuf>, max| {
            let source = match (template, file) {
                (Some(_), Some(_)) => bail!(Usage(format!("give either --{what} or --{what}-file"))),
                (Some(template), None) => template.clone(),
                (None, Some(path)) => std::fs::read_to_string(path)
                    .with_context(|| format!("read {what} file '{}'", path.display()))?,
                (None, None) => return Ok(None),
            };
            let template = match Template::compile(source, escape) {
                Ok(template) => template,
                Err(error) => bail!(Usage(format!("{what}: {error:#}"))),
            };
            Ok(Some(Words { what, template, max, has_failed: AtomicBool::new(false) }))
        };
        Ok(Self {
            title: words("title", &options.title, &options.title_file, MAX_TITLE)?,
            body: words("body", &options.body, &options.body_file, MAX_BODY)?,
        })
    }

    /// The title, in the channel's markup; `None` for the usual one. Never blank.
    pub(crate) fn title(&self, parcel: &Parcel) -> Option<String> {
        let title = self.title.as_ref()?.about(parcel)?;
        Some(title.trim().to_owned()).filter(|title| !title.is_empty())
    }

    /// What stands below the title, in the channel's markup, and may be nothing; `None` for what is usual.
    pub(crate) fn body(&self, parcel: &Parcel) -> Option<String> {
        let body = self.body.as_ref()?.about(parcel)?;
        Some(body.trim_end().to_owned())
    }
}

/// A template and what became of it.
struct Words {
    what: &'static str,
    template: Template,
    /// In characters.
    max: usize,
    has_failed: AtomicBool,
}

impl Words {
    /// A template that fails costs nobody a message.
    fn about(&self, parcel: &Parcel) -> Option<String> {
        match self.template.render(parcel) {
            Ok(text) => Some(shortened(text, self.max)),
            Err(error) => {
                if !self.has_failed.swap(true, Ordering::Relaxed) {
                    let name = &parcel.record().eventname;
                    log::warn!("{} template: {error:#} for {name}; using the usual words", self.what);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::parcel;

    fn wording(title: &str, body: &str) -> Wording {
        let options = Options { title: Some(title.into()), body: Some(body.into()), ..Options::default() };
        Wording::compile(&options, str::to_owned).unwrap()
    }

    #[test]
    fn where_a_template_fails_or_says_nothing_the_usual_words_remain() {
        let wording = wording("{% if pid %}{{ pid + 1 }}{% endif %}", "{{ pid + 1 }}");
        let without = parcel(r#"{"eventname":"TICK_5"}"#);
        assert_eq!((wording.title(&without), wording.body(&without)), (None, None));
        let with = parcel(r#"{"eventname":"PROCESS_STATE_EXITED","pid":7}"#);
        assert_eq!((wording.title(&with).as_deref(), wording.body(&with).as_deref()), (Some("8"), Some("8")));
        assert_eq!(self::wording("x", "").body(&with).as_deref(), Some(""), "nothing below the title");
        let nothing = Wording::default();
        assert_eq!((nothing.title(&with), nothing.body(&with)), (None, None));
    }

    #[test]
    fn what_others_wrote_makes_no_message_too_long() {
        let log =
            parcel(&format!(r#"{{"eventname":"PROCESS_LOG_STDOUT","data":"{}"}}"#, "é".repeat(100_000)));
        let wording = wording("{{ data }}", "{{ data }}");
        assert_eq!(wording.title(&log).unwrap().chars().count(), MAX_TITLE + 1);
        assert_eq!(wording.body(&log).unwrap().chars().count(), MAX_BODY + 1);
    }

    #[test]
    fn what_comes_first_wins_each_for_itself() {
        let both: Options = toml::from_str("title = 'a'\nbody_file = 'b'").unwrap();
        let other: Options = toml::from_str("title_file = 'c'\nbody = 'd'").unwrap();
        let title = Options { title: Some("e".into()), ..Options::default() };
        let merged = title.or(&other);
        assert_eq!((merged.title.as_deref(), merged.title_file), (Some("e"), None));
        assert_eq!(merged.body.as_deref(), Some("d"));
        assert_eq!(both.clone().or(&other).body, None);
        let error = toml::from_str::<Options>("titel = 'a'").unwrap_err();
        assert!(error.to_string().contains("titel"), "{error}");
        let twice = Options { title_file: Some("x".into()), ..both };
        assert!(Wording::compile(&twice, str::to_owned).err().unwrap().is::<Usage>());
        assert!(twice.refuse("file", "x").unwrap_err().is::<Usage>());
        Options::default().refuse("file", "x").unwrap();
    }
}
