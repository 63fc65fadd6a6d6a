//! A channel that shows what another would send.

use std::time::Duration;

use supd_core::stdio::{self, ClosedStdout};

use crate::channel::{Audience, Channel, Failure, Receipt};
use crate::parcel::Parcel;

/// Prints instead of sending.
pub(crate) struct Preview(pub(crate) Box<dyn Channel>);

impl Channel for Preview {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn audience(&self) -> Audience {
        self.0.audience()
    }

    fn preview(&self, parcel: &Parcel) -> Result<String, Failure> {
        self.0.preview(parcel)
    }

    fn deliver(&mut self, parcel: &Parcel, _timeout: Duration) -> Result<Receipt, Failure> {
        let text = self.preview(parcel)?;
        match stdio::print(format!("{text}\n").as_bytes()) {
            Ok(()) => Ok(Receipt("printed".into())),
            // Whoever looked has seen enough.
            Err(error) if error.is::<ClosedStdout>() => std::process::exit(supd_core::cli::DONE.into()),
            Err(error) => Err(Failure::permanent(format!("{error:#}"))),
        }
    }
}
