//! A channel that shows what another would send.

use std::time::Duration;

use supd_core::stdio::{self, ClosedStdout};

use crate::channel::{Audience, Channel, Failure, Receipt};
use crate::parcel::Parcel;

/// Prints instead of sending.
pub(crate) struct Preview {
    pub(crate) channel: Box<dyn Channel>,
    /// Who would be sent to, where there may be several.
    pub(crate) target: Option<String>,
}

impl Channel for Preview {
    fn name(&self) -> &'static str {
        self.channel.name()
    }

    fn audience(&self) -> Audience {
        self.channel.audience()
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        self.channel.preview(parcel)
    }

    fn deliver(&mut self, parcel: &Parcel, _timeout: Duration) -> Result<Receipt, Failure> {
        let text = self.preview(parcel)?;
        let target = self.target.as_ref().map_or(String::new(), |target| format!("{target}: "));
        match stdio::print(format!("{target}{text}\n").as_bytes()) {
            Ok(()) => Ok(Receipt("printed".into())),
            // Whoever looked has seen enough.
            Err(error) if error.is::<ClosedStdout>() => std::process::exit(supd_core::cli::DONE.into()),
            Err(error) => Err(Failure::permanent(format!("{error:#}"))),
        }
    }
}
