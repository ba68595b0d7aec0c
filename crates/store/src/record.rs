//! Decisions become evidence here: what is [`Recorded`] stands in the log, or in a committed transaction that the log will take over.
