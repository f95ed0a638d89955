//! Who accepts while a new server takes over from an old one: two small machines that speak over the control socket.
//!
//! ```text
//! old                                     new
//! serving            <- take over --      asks, with nothing opened
//! offered            -- sockets ->        reads its settings against them
//! quiet              <- claim ----        is ready for all that needs no data
//! yielded            -- yours, lock ->    opens the databases
//! leaving            <- ready ----        has opened them
//!                    -- go ------>        accepts
//! gone               <- serving --
//! ```
//!
//! From `yours` on nobody accepts, and the kernel keeps new connections in line. Until it hears `serving` the old one
//! keeps all it needs to go on: the end of the conversation means that the other process is dead, or has given up.

/// How far the old server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Old {
    Serving,
    Offered,
    /// No new write begins, and the running ones end.
    Quiet,
    /// Nothing is accepted, and nobody writes.
    Yielded,
    Leaving,
    Gone,
}

/// What the old server hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldHears {
    Asked,
    Claimed,
    /// No write is running.
    Silence,
    Ready,
    Serving,
    /// The conversation has ended, or makes no sense.
    Lost,
    /// It took too long.
    Late,
    /// The other process was ended by us.
    Ended,
    /// It could not be ended.
    Unended,
}

/// What the old server does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldDoes {
    Offer,
    QuietWrites,
    /// Stop accepting, let requests wait, say `yours`.
    Yield,
    SayGo,
    /// Nothing more is answered here but what runs.
    Leave,
    /// End the other process: it might accept beside us.
    EndThem,
    /// Serve on as if nothing had happened.
    Resume,
}

impl Old {
    pub fn hear(self, heard: OldHears) -> (Self, OldDoes) {
        use OldHears::{Asked, Claimed, Ended, Late, Ready, Serving, Silence, Unended};
        match (self, heard) {
            (Self::Serving, Asked) => (Self::Offered, OldDoes::Offer),
            (Self::Offered, Claimed) => (Self::Quiet, OldDoes::QuietWrites),
            (Self::Quiet, Silence) => (Self::Yielded, OldDoes::Yield),
            (Self::Yielded, Ready) => (Self::Leaving, OldDoes::SayGo),
            (Self::Leaving, Serving) => (Self::Gone, OldDoes::Leave),
            // Told to go, they may accept already: only their death makes it safe to go on.
            (Self::Yielded | Self::Leaving, Late) => (self, OldDoes::EndThem),
            (Self::Leaving, Unended) => (Self::Gone, OldDoes::Leave),
            (Self::Gone, _) => (Self::Gone, OldDoes::Leave),
            (_, Ended | Unended) | (_, _) => (Self::Serving, OldDoes::Resume),
        }
    }
}

/// How far the new server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum New {
    Asking,
    Preparing,
    Claiming,
    Opening,
    Waiting,
    Serving,
    Ended,
}

/// What the new server hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewHears {
    Offered,
    /// All that needs no data directory is ready.
    Prepared,
    Yours,
    /// The databases are open.
    Opened,
    Go,
    /// The old one says why not, and serves on.
    Refused,
    /// The conversation has ended without a word: the old one is dead.
    Lost,
    /// Something of ours did not work, or took too long.
    Failed,
}

/// What the new server does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewDoes {
    Prepare,
    Claim,
    /// Open the databases under the lock that was handed over.
    Open,
    /// Open them under a lock of our own: the dead need none.
    OpenAlone,
    SayReady,
    /// Accept, and say `serving`.
    Accept,
    End,
}

impl New {
    pub fn hear(self, heard: NewHears) -> (Self, NewDoes) {
        use NewHears::{Go, Lost, Offered, Opened, Prepared, Yours};
        match (self, heard) {
            (Self::Asking, Offered) => (Self::Preparing, NewDoes::Prepare),
            (Self::Preparing, Prepared) => (Self::Claiming, NewDoes::Claim),
            (Self::Claiming, Yours) => (Self::Opening, NewDoes::Open),
            (Self::Claiming, Lost) => (Self::Opening, NewDoes::OpenAlone),
            (Self::Opening, Opened) => (Self::Waiting, NewDoes::SayReady),
            (Self::Waiting, Go | Lost) => (Self::Serving, NewDoes::Accept),
            _ => (Self::Ended, NewDoes::End),
        }
    }
}

#[cfg(test)]
mod tests;
