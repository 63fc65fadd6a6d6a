//! The events that are sent: as supervisord writes them, one number after the other.

use supd_core::wire::Header;

use super::session::Session;

impl Session<'_> {
    /// The header of the next event; its length is filled in by [`Self::wire`].
    pub(crate) fn header(&mut self, eventname: &str) -> Header {
        self.serial += 1;
        Header {
            ver: "3.0".into(),
            server: "supervisor".into(),
            serial: self.serial,
            pool: "listener".into(),
            poolserial: self.serial,
            eventname: eventname.into(),
            len: 0,
            other: Vec::new(),
        }
    }

    /// An event's bytes, its length in the unit that the listener is tried with.
    pub(crate) fn wire(&self, mut header: Header, payload: impl AsRef<[u8]>) -> Vec<u8> {
        let payload = payload.as_ref();
        header.len = self.setting.len.measure(payload);
        [header.encode().as_bytes(), payload].concat()
    }

    pub(crate) fn event(&mut self, eventname: &str, payload: impl AsRef<[u8]>) -> Vec<u8> {
        let header = self.header(eventname);
        self.wire(header, payload)
    }

    /// The plainest event: its payload ends without a newline.
    pub(crate) fn tick(&mut self) -> Vec<u8> {
        self.event("TICK_5", "when:1795356105")
    }

    /// An event whose payload ends with a newline: the only one that even a reader of lines gets right.
    pub(crate) fn group_added(&mut self) -> Vec<u8> {
        self.event("PROCESS_GROUP_ADDED", "groupname:web\n")
    }

    /// What a program printed.
    pub(crate) fn log(&mut self, text: impl AsRef<[u8]>) -> Vec<u8> {
        let tokens = b"processname:web groupname:web pid:4711 channel:stdout\n";
        self.event("PROCESS_LOG_STDOUT", [tokens, text.as_ref()].concat())
    }

    /// What a program printed, so much of it that the whole event has this many bytes.
    pub(crate) fn log_of_size(&mut self, bytes: usize) -> Vec<u8> {
        let most = self.log(vec![b'x'; bytes]);
        self.serial -= 1;
        // The length itself may have a digit less then; one more try and it fits.
        let text = bytes - (most.len() - bytes);
        let event = self.log(vec![b'x'; text]);
        self.serial -= 1;
        let missing = bytes - event.len();
        self.log(vec![b'x'; text + missing])
    }
}
